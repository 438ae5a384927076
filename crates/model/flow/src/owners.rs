//! Who had an address or a port of a bridge, and when.
//!
//! What the kernel tells of a flow's end may come long after its container is gone and its address has passed to another.
//! So an owner is asked for by the time at which a flow began, and a name never stands for whoever comes later.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use hakone_base::{ContainerId, EndpointId, IfName, NetworkId, Timestamp};

/// How many owners that are gone are remembered.
const GONE: usize = 1024;
/// How long after an owner left something may still be its own: what it began while its rules were being taken away.
const GRACE: Duration = Duration::from_secs(5);

/// A container's place in a network, as far as the flow log speaks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The container behind it.
    pub container: ContainerId,
    /// The container's name.
    pub name: String,
    /// The network.
    pub network: NetworkId,
    /// The network's name.
    pub network_name: String,
    /// The host side of its interface.
    pub port: Option<IfName>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// All owners, present and lately gone.
#[derive(Debug, Default)]
pub struct Owners {
    present: BTreeMap<EndpointId, Arc<Tenure>>,
    gone: std::collections::VecDeque<Arc<Tenure>>,
    by_address: HashMap<IpAddr, Vec<Arc<Tenure>>>,
    by_port: HashMap<IfName, Vec<Arc<Tenure>>>,
    host: BTreeSet<IpAddr>,
    observed: bool,
}

#[derive(Debug)]
struct Tenure {
    owner: Arc<Owner>,
    from: Timestamp,
    until: Option<Timestamp>,
}

impl Owners {
    /// Takes what is there now, whole. Who is there the first time was there all along.
    pub fn observe(&mut self, owners: Vec<Owner>, now: Timestamp) {
        let first = if self.observed { now } else { Timestamp::NEVER };
        self.observed = true;
        let mut before = std::mem::take(&mut self.present);
        for owner in owners {
            let tenure = match before.remove(&owner.endpoint) {
                Some(same) if *same.owner == owner => same,
                known => Arc::new(Tenure {
                    from: known.map_or(first, |known| known.from),
                    until: None,
                    owner: Arc::new(owner),
                }),
            };
            self.present.insert(tenure.owner.endpoint.clone(), tenure);
        }
        for left in before.into_values() {
            self.gone.push_back(Arc::new(Tenure {
                owner: Arc::clone(&left.owner),
                from: left.from,
                until: Some(now),
            }));
        }
        let beyond = self.gone.len().saturating_sub(GONE);
        self.gone.drain(..beyond);
        self.index();
    }

    /// Takes the addresses of the host itself.
    pub fn observe_host(&mut self, addresses: BTreeSet<IpAddr>) {
        self.host = addresses;
    }

    /// Reports whether an address is the host's.
    #[must_use]
    pub fn is_host(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.host.contains(&address)
    }

    /// Finds who had an address at a time.
    #[must_use]
    pub fn at(&self, address: IpAddr, when: Timestamp) -> Option<&Arc<Owner>> {
        holder(self.by_address.get(&address)?, when)
    }

    /// Finds who has had an address for as long as anybody knows.
    #[must_use]
    pub fn always(&self, address: IpAddr) -> Option<&Arc<Owner>> {
        let mut tenures = self.by_address.get(&address)?.iter();
        let always = tenures.find(|one| one.from == Timestamp::NEVER && one.until.is_none());
        always.map(|tenure| &tenure.owner)
    }

    /// Finds whose port of a bridge this was at a time.
    #[must_use]
    pub fn behind(&self, port: &IfName, when: Timestamp) -> Option<&Arc<Owner>> {
        holder(self.by_port.get(port)?, when)
    }

    /// Finds a container that is or was there, by its id.
    #[must_use]
    pub fn named(&self, container: &ContainerId) -> Option<&Arc<Owner>> {
        let all = self.present.values().chain(self.gone.iter().rev());
        all.map(|tenure| &tenure.owner)
            .find(|owner| owner.container == *container)
    }

    fn index(&mut self) {
        self.by_address.clear();
        self.by_port.clear();
        for tenure in self.present.values().chain(&self.gone) {
            for address in &tenure.owner.addresses {
                let held = self.by_address.entry(*address).or_default();
                held.push(Arc::clone(tenure));
            }
            if let Some(port) = &tenure.owner.port {
                let held = self.by_port.entry(port.clone()).or_default();
                held.push(Arc::clone(tenure));
            }
        }
    }
}

/// Who was there goes before who had just left.
fn holder(tenures: &[Arc<Tenure>], when: Timestamp) -> Option<&Arc<Owner>> {
    let had = |tenure: &&Arc<Tenure>| {
        tenure.from <= when && tenure.until.is_none_or(|until| when < until)
    };
    let left = |tenure: &&Arc<Tenure>| {
        let until = tenure.until.filter(|until| *until <= when);
        until.is_some_and(|until| when.since(until) < GRACE)
    };
    let found = tenures
        .iter()
        .find(had)
        .or_else(|| tenures.iter().find(left));
    found.map(|tenure| &tenure.owner)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn owner(number: u8, name: &str, address: &str) -> Owner {
        Owner {
            endpoint: EndpointId::from_bytes([number; 32]),
            container: ContainerId::from_bytes([number; 32]),
            name: name.into(),
            network: NetworkId::from_bytes([9; 32]),
            network_name: "red".into(),
            port: format!("hk{number}").parse().ok(),
            addresses: vec![address.parse().unwrap()],
        }
    }

    pub(crate) fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn name(owners: &Owners, address: &str, when: i64) -> Option<String> {
        let owner = owners.at(address.parse().unwrap(), seconds(when));
        owner.map(|owner| owner.name.clone())
    }

    #[test]
    fn an_address_that_passed_on_is_whose_it_was_at_the_time() {
        let mut owners = Owners::default();
        owners.observe(vec![owner(1, "old", "10.0.0.2")], seconds(10));
        owners.observe(Vec::new(), seconds(20));
        owners.observe(vec![owner(2, "new", "10.0.0.2")], seconds(21));
        assert_eq!(name(&owners, "10.0.0.2", 15).as_deref(), Some("old"));
        assert_eq!(name(&owners, "10.0.0.2", 30).as_deref(), Some("new"));
        assert_eq!(
            name(&owners, "10.0.0.2", 20).as_deref(),
            Some("old"),
            "while it left"
        );
    }

    #[test]
    fn who_left_long_ago_is_named_no_more() {
        let mut owners = Owners::default();
        owners.observe(vec![owner(1, "old", "10.0.0.2")], seconds(10));
        owners.observe(Vec::new(), seconds(20));
        assert_eq!(name(&owners, "10.0.0.2", 60), None);
    }

    #[test]
    fn who_was_there_at_first_was_there_before() {
        let mut owners = Owners::default();
        owners.observe(vec![owner(1, "web", "10.0.0.2")], seconds(1000));
        assert_eq!(name(&owners, "10.0.0.2", 3).as_deref(), Some("web"));
    }

    #[test]
    fn a_new_name_counts_for_all_that_is_told_from_now_on() {
        let mut owners = Owners::default();
        owners.observe(vec![owner(1, "web", "10.0.0.2")], seconds(10));
        owners.observe(vec![owner(1, "shop", "10.0.0.2")], seconds(20));
        assert_eq!(name(&owners, "10.0.0.2", 15).as_deref(), Some("shop"));
    }

    #[test]
    fn memory_is_bounded() {
        let mut owners = Owners::default();
        for round in 0..3000_u16 {
            let mut one = owner(1, "x", "10.0.0.2");
            one.endpoint = EndpointId::from_bytes([u8::try_from(round % 251).unwrap(); 32]);
            owners.observe(vec![one], seconds(round.into()));
        }
        assert!(owners.gone.len() <= GONE);
    }
}
