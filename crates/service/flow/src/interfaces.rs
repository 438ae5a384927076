//! What the host's interfaces are called, and which addresses it has.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    os::fd::OwnedFd,
};

use hakone_base::IfName;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};

/// How many names are remembered: an interface's number is given once, its name hardly ever changes.
const NAMES: usize = 4096;

/// Names by number.
#[derive(Debug, Default)]
pub(crate) struct Interfaces {
    names: HashMap<u32, IfName>,
    socket: Option<OwnedFd>,
}

impl Interfaces {
    /// Finds a name; `None` when the interface is gone and was never asked for.
    pub(crate) fn name(&mut self, number: u32) -> Option<&IfName> {
        if !self.names.contains_key(&number) {
            if self.names.len() >= NAMES {
                self.names.clear();
            }
            let name = self.ask(number)?;
            self.names.insert(number, name);
        }
        self.names.get(&number)
    }

    fn ask(&mut self, number: u32) -> Option<IfName> {
        if self.socket.is_none() {
            let flags = SocketFlags::CLOEXEC;
            self.socket = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None).ok();
        }
        let name = netdevice::index_to_name(self.socket.as_ref()?, number).ok()?;
        name.parse().ok()
    }
}

/// Lists the host's addresses.
pub(crate) fn addresses() -> Result<BTreeSet<IpAddr>, hakone_netlink::Error> {
    let mut socket = hakone_netlink::Socket::open()?;
    let addresses = socket.addresses()?.into_iter();
    Ok(addresses.map(|address| address.address.addr()).collect())
}
