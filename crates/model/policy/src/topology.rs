//! What is wanted: every bridge network of the host with its endpoints, as one value.
//!
//! The network service derives it whole from its records each time; the history of creates and removes leaves no trace
//! in it. Order does not matter: [`crate::compile`] sorts by bridge name and endpoint id.

use std::net::IpAddr;

use hakone_base::{
    BridgeName, ContainerId, EndpointId, IfName, MacAddr, NetworkId, PublishedPort, Subnet,
};

/// Every bridge network of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The networks, one bridge each.
    pub bridges: Vec<Bridge>,
    /// What the daemon decides for all of them.
    pub options: Options,
}

/// A network of driver `bridge`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// The network.
    pub network: NetworkId,
    /// Its interface on the host; the rules speak of this name only, so they can be loaded before it exists.
    pub name: BridgeName,
    /// Its prefixes, of either family.
    pub subnets: Vec<Subnet>,
    /// The bridge's own addresses.
    pub gateways: Vec<IpAddr>,
    /// Whether the network has no way out and no way in.
    pub internal: bool,
    /// Whether its members may talk to each other.
    pub icc: Icc,
    /// Whether members may send multicast to each other.
    pub multicast: Multicast,
    /// Whether members appear outside under the host's address.
    pub masquerade: bool,
    /// Its members.
    pub endpoints: Vec<Endpoint>,
}

/// A container's place in a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The endpoint.
    pub id: EndpointId,
    /// The container behind it.
    pub container: ContainerId,
    /// The host side of its veth pair.
    pub port: IfName,
    /// The address of the container side.
    pub mac: MacAddr,
    /// Its addresses, the main one of each family first.
    pub addresses: Vec<IpAddr>,
    /// The host's ports that lead to it. Those bound to loopback are served by the daemon, not by rules.
    pub published: Vec<PublishedPort>,
}

/// Inter-container communication: whether members of one network may talk to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Icc {
    /// They may.
    #[default]
    Allowed,
    /// No path at all between members, published ports included.
    Denied,
}

/// Whether members of one network may send multicast to each other; neighbour discovery always may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Multicast {
    /// They may not: whoever answers a multicast question is believed (attack `mdns_poison`).
    #[default]
    Denied,
    /// They may (network option `dev.hakone.multicast`).
    Allowed,
}

/// What holds for all networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// Whether other machines may route to container addresses.
    pub direct_routing: DirectRouting,
}

/// Whether a packet from outside may name a container's address instead of the host's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DirectRouting {
    /// Published ports answer on the host's addresses only.
    #[default]
    Denied,
    /// Published ports answer on the container's own address as well (`--allow-direct-routing`).
    Allowed,
}

impl Endpoint {
    /// Gives the main address of the same family as `other`.
    pub(crate) fn address_like(&self, other: IpAddr) -> Option<IpAddr> {
        let mut own = self.addresses.iter();
        own.find(|address| address.is_ipv6() == other.is_ipv6())
            .copied()
    }
}
