//! Who is who: the addresses that frames claim and mean.

use std::net::{Ipv4Addr, Ipv6Addr};

use hakone_base::MacAddr;

/// Somebody with addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// Ethernet.
    pub mac: MacAddr,
    /// IPv4.
    pub v4: Ipv4Addr,
    /// IPv6; `None` where the host has none.
    pub v6: Option<Ipv6Addr>,
}

/// Those whom an attacker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scene {
    /// The attacker.
    pub me: Person,
    /// Its neighbour on the same network.
    pub victim: Person,
    /// The gateway of its network; its Ethernet address is the bridge's.
    pub gateway: Person,
    /// A container of another network.
    pub stranger: Person,
    /// An address of the network that nobody has.
    pub unused: Ipv4Addr,
}

impl Person {
    /// Gives the address that the link gives it.
    #[must_use]
    pub fn link_local(&self) -> Ipv6Addr {
        self.mac.link_local()
    }
}
