//! The names of one network: kept as its members come and go, shared by all that ask.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use hakone_base::ContainerId;

/// The name of every machine for itself.
const LOCALHOST: &str = "localhost";

/// The names and addresses of one network's members.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    network: String,
    strict: bool,
    members: BTreeMap<ContainerId, Member>,
    by_name: HashMap<String, BTreeSet<ContainerId>>,
    by_address: HashMap<IpAddr, ContainerId>,
}

/// One member of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The container's name, which PTR questions are answered with.
    pub name: String,
    /// Its short id, aliases and whatever else it answers to.
    pub aliases: Vec<String>,
    /// Its addresses in this network.
    pub addresses: Vec<IpAddr>,
}

impl Zone {
    /// Makes the empty zone of a network.
    #[must_use]
    pub fn new(network: impl Into<String>) -> Self {
        Self {
            network: network.into().to_ascii_lowercase(),
            ..Self::default()
        }
    }

    /// Finds members by names with a dot only where the network's name stands behind, so that nobody calls himself by a name of
    /// the world outside (attack `dns_name_outside_domain`).
    #[must_use]
    pub const fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Gives the network's name, lowercase.
    #[must_use]
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Adds a member, in place of what was known of the container.
    pub fn insert(&mut self, container: ContainerId, member: Member) {
        self.remove(&container);
        for name in member.names() {
            self.by_name
                .entry(name)
                .or_default()
                .insert(container.clone());
        }
        for address in &member.addresses {
            self.by_address.insert(*address, container.clone());
        }
        self.members.insert(container, member);
    }

    /// Forgets a container; one that is not there is no error.
    pub fn remove(&mut self, container: &ContainerId) {
        let Some(member) = self.members.remove(container) else {
            return;
        };
        for name in member.names() {
            self.forget(&name, container);
        }
        for address in &member.addresses {
            if self.by_address.get(address) == Some(container) {
                self.by_address.remove(address);
            }
        }
    }

    fn forget(&mut self, name: &str, container: &ContainerId) {
        let Some(owners) = self.by_name.get_mut(name) else {
            return;
        };
        owners.remove(container);
        if owners.is_empty() {
            self.by_name.remove(name);
        }
    }

    /// Finds the addresses behind a lowercase name, plain or with the network's name behind a dot.
    ///
    /// A container's id wins over another's name and a name over an alias, so that nobody takes over its traffic by them (attacks
    /// `dns_alias_shadows_name`, `dns_name_shadows_id`).
    pub(crate) fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let plain = self.without_network(name).unwrap_or(name);
        if self.is_elsewhere(plain, name) {
            return None;
        }
        let owners = self.by_name.get(name).or_else(|| self.by_name.get(plain))?;
        let members = owners.iter().filter_map(|owner| {
            Some((claim(owner, self.members.get(owner)?, [name, plain]), owner))
        });
        let members: Vec<_> = members.collect();
        let best = members.iter().map(|(claim, _)| *claim).min()?;
        let found = members.iter().filter(|(claim, _)| *claim == best);
        let found = found.filter_map(|(_, owner)| self.members.get(*owner));
        let addresses = found.flat_map(|member| member.addresses.iter().copied());
        Some(addresses.collect())
    }

    /// Reports whether a name means nobody here, whoever has it: this machine itself (RFC 6761), or the world outside.
    fn is_elsewhere(&self, plain: &str, name: &str) -> bool {
        let outside = self.strict && plain == name && name.contains('.');
        outside || name == LOCALHOST || name.ends_with(".localhost")
    }

    /// Finds the full name behind an address.
    pub(crate) fn name(&self, address: IpAddr) -> Option<String> {
        let member = self.members.get(self.by_address.get(&address)?)?;
        Some(format!("{}.{}", member.name, self.network))
    }

    /// Takes the network's name off a name that ends in it.
    pub(crate) fn without_network<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_suffix(&self.network)?
            .strip_suffix('.')
            .filter(|rest| !rest.is_empty())
    }
}

/// How good a member's claim to a name is, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Id,
    Name,
    Alias,
}

fn claim(owner: &ContainerId, member: &Member, forms: [&str; 2]) -> Claim {
    let is = |own: &str| forms.iter().any(|form| own.eq_ignore_ascii_case(form));
    match (is(owner.short()), is(&member.name)) {
        (true, _) => Claim::Id,
        (false, true) => Claim::Name,
        (false, false) => Claim::Alias,
    }
}

impl Member {
    fn names(&self) -> BTreeSet<String> {
        [&self.name]
            .into_iter()
            .chain(&self.aliases)
            .map(|name| name.to_ascii_lowercase())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> ContainerId {
        ContainerId::from_bytes([byte; 32])
    }

    fn member(name: &str, aliases: &[&str], last: u8) -> Member {
        Member {
            name: name.into(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            addresses: vec![[10, 0, 0, last].into()],
        }
    }

    #[test]
    fn an_alias_of_many_has_all_their_addresses() {
        let mut zone = Zone::new("Net");
        zone.insert(id(1), member("a", &["web"], 1));
        zone.insert(id(2), member("b", &["WEB"], 2));
        assert_eq!(zone.addresses("web").unwrap().len(), 2);
        assert_eq!(zone.addresses("a.net").unwrap().len(), 1);
        zone.remove(&id(1));
        assert_eq!(zone.addresses("web").unwrap().len(), 1);
        assert_eq!(zone.addresses("a"), None);
    }

    #[test]
    fn nobody_takes_a_name_by_an_alias() {
        let mut zone = Zone::new("net");
        zone.insert(id(1), member("bank", &[], 1));
        zone.insert(id(2), member("thief", &["bank"], 2));
        assert_eq!(
            zone.addresses("bank").unwrap(),
            [IpAddr::from([10, 0, 0, 1])]
        );
        assert_eq!(
            zone.addresses("bank.net").unwrap(),
            [IpAddr::from([10, 0, 0, 1])]
        );
    }

    #[test]
    fn nobody_takes_an_id_by_a_name_or_an_alias() {
        let mut zone = Zone::new("net");
        let short = id(1).short().to_owned();
        zone.insert(id(1), member("bank", &[&short], 1));
        zone.insert(id(2), member("thief", &[&short], 2));
        zone.insert(id(3), member(&short, &[], 3));
        let own = Some(vec![IpAddr::from([10, 0, 0, 1])]);
        assert_eq!(zone.addresses(&short), own);
        assert_eq!(zone.addresses(&format!("{short}.net")), own);
    }

    #[test]
    fn nobody_is_called_localhost() {
        let mut zone = Zone::new("net");
        zone.insert(id(1), member("localhost", &["web.localhost"], 1));
        for name in ["localhost", "web.localhost"] {
            assert_eq!(zone.addresses(name), None, "{name}");
        }
    }

    #[test]
    fn where_names_are_strict_nobody_is_called_like_a_machine_outside() {
        let zone = |zone: Zone| {
            let mut zone = zone;
            zone.insert(id(1), member("bank.example", &[], 1));
            ["bank.example", "bank.example.net"].map(|name| zone.addresses(name).is_some())
        };
        assert_eq!(zone(Zone::new("net")), [true, true]);
        assert_eq!(zone(Zone::new("net").strict()), [false, true]);
    }

    #[test]
    fn an_address_leads_back_to_name_and_network() {
        let mut zone = Zone::new("net");
        zone.insert(id(1), member("db", &[], 7));
        assert_eq!(zone.name([10, 0, 0, 7].into()).unwrap(), "db.net");
        zone.remove(&id(1));
        assert_eq!(zone.name([10, 0, 0, 7].into()), None);
    }
}
