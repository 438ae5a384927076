//! What is wanted: every bridge network of the host with its endpoints, as one value.
//!
//! The network service derives it whole from its records each time; the history of creates and removes leaves no trace
//! in it. Order does not matter: [`crate::compile`] sorts by bridge name and endpoint id.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr},
};

use hakone_base::{
    BridgeName, ContainerId, EndpointId, ExposedPort, IfName, MacAddr, NetworkId, PublishedPort,
    Subnet,
};
use hakone_network_policy::{Identity, Policy};

/// Every bridge network of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The networks, one bridge each.
    pub bridges: Vec<Bridge>,
    /// What the daemon decides for all of them.
    pub options: Options,
    /// Resolvers of the host under link-local addresses, as clouds have them: they answer containers of every network.
    pub resolvers: Vec<IpAddr>,
    /// What endpoints may say to each other and to the world, where networks let them; each key is there once.
    pub policies: Vec<Policy>,
    /// What the embedded resolver answered containers about other machines.
    pub resolved: Vec<Resolved>,
}

impl Topology {
    /// The ends of all links over IPv6, each on its bridge.
    #[must_use]
    pub fn linked_ends(&self) -> BTreeSet<(BridgeName, Ipv6Addr)> {
        let ends = self.bridges.iter().flat_map(|bridge| {
            let links = bridge.links.iter();
            let ends = links.flat_map(|link| [link.client, link.server]);
            ends.map(|end| (bridge.name.clone(), end))
        });
        let six = ends.filter_map(|(bridge, end)| match end {
            IpAddr::V6(end) => Some((bridge, end)),
            IpAddr::V4(_) => None,
        });
        six.collect()
    }

    /// Reports whether this is the address of a container that is no more: of a network, and nobody's.
    #[must_use]
    pub fn has_left(&self, address: IpAddr) -> bool {
        self.bridges.iter().any(|bridge| {
            let mut owned = bridge.endpoints.iter().flat_map(|one| &one.addresses);
            bridge.subnets.iter().any(|subnet| subnet.contains(address))
                && !bridge.gateways.contains(&address)
                && !owned.any(|own| *own == address)
        })
    }
}

/// An address that the embedded resolver gave a container for names of another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Who asked.
    pub container: ContainerId,
    /// The address.
    pub address: IpAddr,
    /// The names asked for, lowercase and without a dot at their ends.
    pub names: Vec<String>,
    /// Until when new flows may begin, in seconds of the kernel's clock since boot; `None` when that is over and the address is known
    /// for the flows that began before.
    pub until: Option<Moment>,
}

/// A second of the kernel's clock since boot, which no administrator turns back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

/// A network of driver `bridge`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// The network.
    pub network: NetworkId,
    /// Its interface on the host; the rules speak of this name only, so they can be loaded before it exists.
    pub name: BridgeName,
    /// Its Ethernet address, to which frames are led that the host is to judge.
    pub mac: MacAddr,
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
    /// Whether members reach the metadata service of the machine that the host runs on.
    pub metadata: Metadata,
    /// What of the host members reach.
    pub host_access: HostAccess,
    /// Whether members appear outside under the host's address.
    pub masquerade: bool,
    /// How others reach its members.
    pub access: Access,
    /// Its members.
    pub endpoints: Vec<Endpoint>,
    /// What members may reach of each other where they may not otherwise.
    pub links: Vec<Link>,
}

/// A path from one member to a port of another on a network without [`Icc`], with its replies and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// Who may begin.
    pub client: IpAddr,
    /// Whom it may reach.
    pub server: IpAddr,
    /// At which port.
    pub port: ExposedPort,
}

/// A container's place in a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The endpoint.
    pub id: EndpointId,
    /// The container behind it.
    pub container: ContainerId,
    /// Who it is to policies.
    pub identity: Identity,
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

/// Whether members of a network reach the link-local addresses under which clouds hand out a machine's secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Metadata {
    /// They do not.
    #[default]
    Denied,
    /// They do (network option `dev.hakone.metadata`).
    Allowed,
}

/// What of the host the members of a network reach; an internal one never more than its own gateway's ping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HostAccess {
    /// Its services, by any of its addresses but the other networks' gateways: Docker's way.
    #[default]
    All,
    /// Ping, and these ports of its own gateway: the hardened way, in which published ports are for the outside.
    Ports(Vec<ExposedPort>),
}

/// How others reach the members of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// By IPv4.
    pub v4: GatewayMode,
    /// By IPv6.
    pub v6: GatewayMode,
    /// The host's interfaces by which published ports answer on the containers' own addresses.
    pub trusted: Vec<IfName>,
}

/// What the gateway of a family does (Docker's `gateway_mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GatewayMode {
    /// Translates: published ports answer on the host's addresses.
    #[default]
    Nat,
    /// Translates, and lets other machines reach every port of members by their own addresses.
    NatUnprotected,
    /// Routes: nothing is translated, published ports and ICMP answer on the members' own addresses.
    Routed,
}

/// What holds for all networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// Whether other machines may route to container addresses.
    pub direct_routing: DirectRouting,
    /// How many flows through or to the host an address of a container may have at a time.
    pub flows: FlowQuota,
    /// Whether IPv6 has rules as IPv4 has.
    pub ipv6: Ipv6Rules,
    /// Whether the rules tell the flow log what they see.
    pub telling: Telling,
}

/// Whether the rules tell the flow log of what they drop, and of what begins between members of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Telling {
    /// They do not, and none of them is there for it.
    #[default]
    Silent,
    /// They do.
    Told,
}

/// Whether IPv6 has rules as IPv4 has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ipv6Rules {
    /// It has.
    #[default]
    Loaded,
    /// It passes untouched (`--ip6tables=false`); frames of containers are held to their addresses all the same.
    None,
}

/// How many flows one address may have in the host's connection tracking, which all containers share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowQuota(pub u32);

impl FlowQuota {
    /// What a container gets where the kernel's table is large.
    const GENEROUS: u32 = 16_384;

    /// Takes an eighth of a table of that size, for one container must not fill it; never more than generous.
    #[must_use]
    pub const fn of_table(size: u32) -> Self {
        match size / 8 {
            0 => Self(1),
            eighth if eighth > Self::GENEROUS => Self::default_quota(),
            eighth => Self(eighth),
        }
    }

    const fn default_quota() -> Self {
        Self(Self::GENEROUS)
    }
}

impl Default for FlowQuota {
    fn default() -> Self {
        Self::default_quota()
    }
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

impl Access {
    /// Gives the mode for the family of an address.
    pub(crate) const fn of(&self, like: IpAddr) -> GatewayMode {
        match like {
            IpAddr::V4(_) => self.v4,
            IpAddr::V6(_) => self.v6,
        }
    }
}

impl Endpoint {
    /// Gives every address under which it speaks: its own, and with IPv6 the one that its link gives it.
    pub(crate) fn every_address(&self) -> impl Iterator<Item = IpAddr> {
        let on_link = self.addresses.iter().any(IpAddr::is_ipv6);
        let on_link = on_link.then(|| IpAddr::V6(self.mac.link_local()));
        self.addresses.iter().copied().chain(on_link)
    }

    /// Gives the main address of the same family as `other`.
    #[must_use]
    pub fn address_like(&self, other: IpAddr) -> Option<IpAddr> {
        let mut own = self.addresses.iter();
        own.find(|address| address.is_ipv6() == other.is_ipv6())
            .copied()
    }
}
