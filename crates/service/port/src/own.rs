//! Which addresses are the host's own.
//!
//! The kernel is asked for them: that an address can be bound says nothing where `ip_nonlocal_bind` is set, as on hosts that share
//! an address with others (attack `nonlocal_bind`).

use std::{collections::BTreeSet, net::IpAddr};

use hakone_netlink::Socket;

/// The host's own addresses at one moment.
#[derive(Debug, Default)]
pub struct OwnAddresses(BTreeSet<IpAddr>);

/// Reports whether one address is the host's; of loopback nobody is asked.
#[must_use]
pub fn is_own(address: IpAddr) -> bool {
    address.is_loopback() || OwnAddresses::read().hold(address)
}

impl OwnAddresses {
    /// Reads them in the calling thread's namespace. When the kernel does not tell, only loopback is the host's.
    #[must_use]
    pub fn read() -> Self {
        match Socket::open().and_then(|mut socket| socket.addresses()) {
            Ok(all) => Self(all.into_iter().map(|one| one.address.addr()).collect()),
            Err(error) => {
                tracing::error!(%error, "the kernel does not list the host's addresses");
                Self::default()
            }
        }
    }

    /// Reports whether an address is the host's.
    #[must_use]
    pub fn hold(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.0.contains(&address)
    }
}
