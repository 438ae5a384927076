//! What one container may know by name: the zones of its own networks, nothing else.

use std::net::IpAddr;

use hakone_base::{DomainPattern, Subnet};
use ipnet::IpNet;

use crate::Zone;

/// The view of the container that asks.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    /// The zones of its networks; the first that knows a name answers.
    pub zones: Vec<&'a Zone>,
    /// Names of its own alone (links), asked before the zones.
    pub links: Option<&'a Zone>,
    /// The zones of networks that it is not on: their members' names are not answered, and do not leave either.
    pub elsewhere: Vec<&'a Zone>,
    /// Every subnet of every network of this engine: questions about their addresses stay here.
    pub subnets: &'a [Subnet],
    /// Whether questions about other names may leave.
    pub forwarding: Forwarding,
    /// The names of other machines that the container's policies open.
    pub names: &'a [DomainPattern],
}

/// Whether questions may leave the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// To the upstream servers.
    Allowed,
    /// To the upstream servers, about the names that policies open alone.
    Named,
    /// Not at all: every network of the container is internal (CVE-2024-29018).
    Denied,
}

impl Scope<'_> {
    fn all(&self) -> impl Iterator<Item = &&Zone> {
        self.links.iter().chain(&self.zones)
    }

    /// Finds the addresses behind a lowercase name; an empty list is a name without addresses.
    pub(crate) fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        self.all().find_map(|zone| zone.addresses(name))
    }

    /// Finds the name behind an address.
    pub(crate) fn name(&self, address: IpAddr) -> Option<String> {
        self.zones.iter().find_map(|zone| zone.name(address))
    }

    /// Reports whether a name can only mean a container: two labels, of which the last is a network of the container, or a
    /// member of another network with that behind its name.
    pub(crate) fn is_local(&self, name: &str) -> bool {
        let plain = |zone: &&Zone| {
            zone.without_network(name)
                .is_some_and(|rest| !rest.contains('.'))
        };
        let member = |zone: &&Zone| {
            let suffixed = zone.without_network(name).is_some();
            suffixed && zone.addresses(name).is_some()
        };
        self.zones.iter().any(plain) || self.elsewhere.iter().any(member)
    }

    /// Reports whether addresses belong to this engine or to the asking machine itself.
    pub(crate) fn holds(&self, net: IpNet) -> bool {
        let own = self
            .subnets
            .iter()
            .any(|subnet| subnet.net().contains(&net));
        own || net.network().is_loopback()
    }
}
