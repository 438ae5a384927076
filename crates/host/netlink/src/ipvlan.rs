//! Interfaces that share another one's Ethernet address: the kernel hands each what is for its IP addresses.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use hakone_base::IfName;

use crate::{
    LinkIndex, MacvlanMode, Request,
    kernel::{IFLA_IPVLAN_FLAGS, IFLA_IPVLAN_MODE, IFLA_MTU, IFLA_NET_NS_FD},
    macvlan::on_top,
};

/// At which layer an ipvlan interface is on its parent's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpvlanMode {
    /// Its frames are the link's.
    L2,
    /// The parent's namespace routes its packets, past its rules.
    L3,
    /// The same, through the rules for what that namespace sends and gets itself.
    L3s,
}

/// An ipvlan interface to make.
#[derive(Clone, Debug)]
pub struct Ipvlan<'a> {
    /// Its name.
    pub name: &'a IfName,
    /// The interface below.
    pub parent: LinkIndex,
    /// Its largest packet.
    pub mtu: u32,
    /// At which layer it is.
    pub mode: IpvlanMode,
    /// Whom it reaches of the others on the same parent; all of them have what the last one was made with.
    pub flag: MacvlanMode,
    /// The namespace it is made in; `None` is this one.
    pub netns: Option<BorrowedFd<'a>>,
}

/// Makes an ipvlan interface, down. `EOPNOTSUPP` says that the kernel has none.
pub fn add_ipvlan(ipvlan: &Ipvlan<'_>) -> Request {
    let mode: u16 = match ipvlan.mode {
        IpvlanMode::L2 => 0,
        IpvlanMode::L3 => 1,
        IpvlanMode::L3s => 2,
    };
    let flag: u16 = match ipvlan.flag {
        MacvlanMode::Bridge => 0,
        MacvlanMode::Private => 1,
        MacvlanMode::Vepa => 2,
    };
    let mut message = on_top(ipvlan.name, ipvlan.parent, "ipvlan", |data| {
        data.attribute(IFLA_IPVLAN_MODE, &mode.to_ne_bytes())
            .attribute(IFLA_IPVLAN_FLAGS, &flag.to_ne_bytes())
    });
    message = message.number(IFLA_MTU, ipvlan.mtu);
    if let Some(netns) = ipvlan.netns {
        message = message.attribute(IFLA_NET_NS_FD, &netns.as_raw_fd().to_ne_bytes());
    }
    Request::new("add ipvlan", ipvlan.name.as_str(), message)
}
