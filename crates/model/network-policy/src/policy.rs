//! A policy as a value: whom it is about, and what it lets in and out.

use std::{fmt, net::IpAddr};

use hakone_base::{ContainerId, DomainPattern, Protocol, Subnet};

use crate::{Identity, Selector};

/// What a policy is known by: there is one of each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyKey {
    /// Its namespace: a Compose project or a network.
    pub namespace: String,
    /// Its name there.
    pub name: String,
}

/// A policy.
///
/// A direction that is `Some` is closed for whom the policy selects, but for what the rules of this policy and of any other
/// that selects it let through. A direction that is `None` is none of the policy's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What it is known by.
    pub key: PolicyKey,
    /// What it does with what it does not let through.
    pub mode: Mode,
    /// Whom it is about.
    pub subject: Subject,
    /// What it lets in.
    pub ingress: Option<Vec<Rule>>,
    /// What it lets out.
    pub egress: Option<Vec<Rule>>,
}

/// What a policy does with what it does not let through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Drops it.
    #[default]
    Enforce,
    /// Lets it pass and tells the flow log, where no policy that is enforced closes the direction.
    Audit,
}

/// Whom a policy is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The endpoints of its namespace that the selector matches.
    Selected(Selector),
    /// One container, whose own labels state the policy.
    Container(ContainerId),
}

/// What one rule lets through: any of the peers, at any of the ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// Who is at the other end.
    pub peers: Peers,
    /// At which port of the receiver.
    pub ports: Ports,
}

/// Who may be at the other end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peers {
    /// Anybody.
    All,
    /// One of these.
    These(Vec<Peer>),
}

/// Somebody at the other end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Endpoints of the policy's own namespace, or of the namespaces that match.
    Endpoints {
        /// The namespaces; `None` is the policy's own.
        namespaces: Option<Selector>,
        /// The endpoints in them.
        endpoints: Selector,
    },
    /// Addresses, whoever has them.
    Block(Block),
    /// The addresses that the embedded resolver gave the container for a name, for as long as it said; egress alone.
    Name(DomainPattern),
}

/// A prefix without some prefixes inside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    /// The prefix.
    pub cidr: Subnet,
    /// What of it is left out.
    pub except: Vec<Subnet>,
}

/// At which ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ports {
    /// At all, by every protocol, also those that have no ports.
    All,
    /// At one of these.
    These(Vec<PortRange>),
}

/// Neighbouring ports of one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// The protocol.
    pub protocol: Protocol,
    /// The first port; zero to the last means the protocol as a whole.
    pub first: u16,
    /// The last port.
    pub last: u16,
}

impl Policy {
    /// Makes the policy that lets nothing in or out of a container.
    #[must_use]
    pub fn closed(container: &ContainerId, namespace: &str) -> Self {
        Self {
            key: PolicyKey {
                namespace: namespace.to_owned(),
                name: format!("labels-of-{}", container.short()),
            },
            mode: Mode::Enforce,
            subject: Subject::Container(container.clone()),
            ingress: Some(Vec::new()),
            egress: Some(Vec::new()),
        }
    }

    /// Reports whether the policy is about an endpoint.
    #[must_use]
    pub fn selects(&self, identity: &Identity) -> bool {
        match &self.subject {
            Subject::Container(container) => identity.container == *container,
            Subject::Selected(selector) => {
                identity.namespace == self.key.namespace && selector.matches(&identity.labels)
            }
        }
    }
}

impl Policy {
    /// Gives the names of other machines that its egress opens.
    pub fn names(&self) -> impl Iterator<Item = &DomainPattern> {
        let rules = self.egress.iter().flatten();
        let peers = rules.flat_map(|rule| match &rule.peers {
            Peers::All => &[],
            Peers::These(list) => list.as_slice(),
        });
        peers.filter_map(|peer| match peer {
            Peer::Name(name) => Some(name),
            Peer::Endpoints { .. } | Peer::Block(_) => None,
        })
    }
}

impl Mode {
    /// Reads its word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::Enforce, Self::Audit]
            .into_iter()
            .find(|mode| mode.as_str() == word)
    }

    /// Gives its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Audit => "audit",
        }
    }
}

impl Peer {
    /// Reports whether an endpoint is meant by a policy of that namespace; blocks and names mean addresses, never endpoints.
    #[must_use]
    pub fn means(&self, namespace: &str, identity: &Identity) -> bool {
        match self {
            Self::Block(_) | Self::Name(_) => false,
            Self::Endpoints {
                namespaces,
                endpoints,
            } => {
                let here = match namespaces {
                    None => identity.namespace == namespace,
                    Some(selector) => selector.matches(&identity.namespace_labels),
                };
                here && endpoints.matches(&identity.labels)
            }
        }
    }
}

impl Block {
    /// Reports whether the address is in the prefix and not left out.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let left_out = self.except.iter().any(|except| except.contains(address));
        self.cidr.contains(address) && !left_out
    }
}

impl Ports {
    /// Gives the ranges that are named; none when all ports are meant.
    #[must_use]
    pub fn ranges(&self) -> &[PortRange] {
        match self {
            Self::All => &[],
            Self::These(ranges) => ranges,
        }
    }

    /// Reports whether a flow of that protocol to that port is meant; `None` for a protocol without ports.
    #[must_use]
    pub fn contain(&self, protocol: u8, port: Option<u16>) -> bool {
        match self {
            Self::All => true,
            Self::These(ranges) => ranges.iter().any(|range| range.contains(protocol, port)),
        }
    }
}

impl PortRange {
    /// Makes the range of one port.
    #[must_use]
    pub const fn one(protocol: Protocol, port: u16) -> Self {
        Self {
            protocol,
            first: port,
            last: port,
        }
    }

    /// Makes the range of every port.
    #[must_use]
    pub const fn all(protocol: Protocol) -> Self {
        Self {
            protocol,
            first: 0,
            last: u16::MAX,
        }
    }

    fn contains(&self, protocol: u8, port: Option<u16>) -> bool {
        let inside = port.is_some_and(|port| (self.first..=self.last).contains(&port));
        self.protocol.number() == protocol && inside
    }
}

impl fmt::Display for PolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
