//! A packet as it meets the host, and what becomes of it: the question and the answer of both verdicts.

use std::net::IpAddr;

use hakone_base::{IfName, Subnet};

use crate::{ruleset::State, topology::Topology};

/// A packet at the moment it enters the host's network stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where it comes from.
    pub origin: Origin,
    /// The source address it claims.
    pub source: IpAddr,
    /// The destination address it carries.
    pub destination: IpAddr,
    /// What it transports.
    pub transport: Transport,
    /// What connection tracking knows of its flow.
    pub flow: Flow,
    /// Whether its sender has as many flows as it may have.
    pub crowded: bool,
    /// Whether its sender asked for more machines on links lately than it may, and for this one not yet.
    pub scanning: bool,
}

/// Where a packet comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A process of the host, or of a container in the host's network namespace.
    Host,
    /// An interface of the host; a container's packet comes by its bridge.
    Interface(IfName),
}

/// The transport header, as far as rules look into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// The IANA protocol number.
    pub protocol: u8,
    /// The destination port, for a protocol that has ports.
    pub port: Option<u16>,
}

/// What connection tracking knows of a packet's flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Nothing: it is the first packet.
    New,
    /// It belongs to a flow (or reports an error of one) that was let through.
    Known {
        /// Established or related.
        state: State,
        /// Whether the flow came by a published port.
        published: bool,
        /// The destination that the flow's translation puts in.
        restored: Option<IpAddr>,
    },
    /// It fits no flow.
    Invalid,
}

/// The facts of the host that decide a packet's way: addresses and routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    addresses: Vec<IpAddr>,
    uplink: IfName,
    routes: Vec<(Subnet, IfName)>,
    bridged: Bridged,
}

/// Whether frames between two ports of a bridge pass the rules of IP as well (`bridge-nf-call-iptables`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bridged {
    /// They do not: what the host translates it also routes.
    #[default]
    Free,
    /// They do: a bridge leads a translated packet to another of its ports by itself, and the last hook sees no input.
    Filtered,
}

/// Where the host sends a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To itself.
    Local,
    /// Out by an interface.
    Through(IfName),
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody sees it.
    Dropped,
    /// It arrives.
    Delivered(Delivery),
}

/// How a packet arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where.
    pub to: Route,
    /// Its destination address then.
    pub destination: IpAddr,
    /// Its destination port then.
    pub port: Option<u16>,
    /// What the receiver sees of the sender.
    pub source: SourceSeen,
}

/// What the receiver sees of the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceSeen {
    /// The source address that the packet carried (or that its flow got when it began).
    Kept,
    /// The address of the interface it left by.
    Masqueraded,
}

impl Host {
    /// Describes a host with these bridges, addresses of its own and everything else behind one uplink.
    #[must_use]
    pub fn new(topology: &Topology, addresses: &[IpAddr], uplink: IfName) -> Self {
        let bridges = topology.bridges.iter();
        let routes = bridges.clone().flat_map(|bridge| {
            let name = &bridge.name;
            bridge
                .subnets
                .iter()
                .map(move |subnet| (*subnet, name.clone()))
        });
        let gateways = bridges.flat_map(|bridge| bridge.gateways.iter());
        Self {
            addresses: gateways.chain(addresses).copied().collect(),
            uplink,
            routes: routes.collect(),
            bridged: Bridged::Free,
        }
    }

    /// Says how the host treats frames between two ports of a bridge.
    #[must_use]
    pub fn with_bridged(self, bridged: Bridged) -> Self {
        Self { bridged, ..self }
    }

    /// Tells how the host treats frames between two ports of a bridge.
    #[must_use]
    pub const fn bridged(&self) -> Bridged {
        self.bridged
    }

    /// Reports whether the address is one of this host's.
    #[must_use]
    pub fn is_local(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.addresses.contains(&address)
    }

    /// Decides where a destination lies, by the longest prefix.
    #[must_use]
    pub fn route(&self, destination: IpAddr) -> Route {
        if self.is_local(destination) {
            return Route::Local;
        }
        let hits = self
            .routes
            .iter()
            .filter(|(subnet, _)| subnet.contains(destination));
        let best = hits.max_by_key(|(subnet, _)| subnet.prefix_len());
        Route::Through(best.map_or(&self.uplink, |(_, name)| name).clone())
    }
}

impl Transport {
    /// Makes the header of a protocol with ports.
    #[must_use]
    pub const fn to_port(protocol: u8, port: u16) -> Self {
        Self {
            protocol,
            port: Some(port),
        }
    }
}

impl Flow {
    /// Gives the state that rules see.
    #[must_use]
    pub const fn state(&self) -> State {
        match self {
            Self::New => State::New,
            Self::Known { state, .. } => *state,
            Self::Invalid => State::Invalid,
        }
    }
}
