//! What egress opens by name: addresses that the embedded resolver gave a container, for as long as it said.
//!
//! A set holds pairs of a container's address and one that it was given, and the kernel forgets each by itself, also when no daemon
//! is there. What one container was given opens nothing to another of its group. A range of ports is a slot: a set of such
//! pairs for each family, and a set of the ports.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use hakone_base::{ContainerId, DomainPattern};
use hakone_network_policy::{Peer, Peers, Policy, PortRange, Ports};

use crate::{
    compile::rule,
    ruleset::{
        Action, Elements, Expression, Field, Group, IpFamily, Key, Name, Rule, Set, Type, Value,
    },
    topology::{Endpoint, Moment, Resolved, Topology},
};

use IpFamily::{V4, V6};

/// How long an answer opens at most, in seconds.
pub const LONGEST: u32 = 3600;

/// Names by the ports at which they are open; without, all of every protocol.
type Slots<'a> = BTreeMap<Option<PortRange>, BTreeSet<&'a DomainPattern>>;

/// What containers were given, by container.
#[derive(Default)]
pub(crate) struct Given<'a>(HashMap<&'a ContainerId, Vec<&'a Resolved>>);

impl<'a> Given<'a> {
    pub(crate) fn of(topology: &'a Topology) -> Self {
        let mut given: HashMap<_, Vec<_>> = HashMap::new();
        for one in &topology.resolved {
            given.entry(&one.container).or_default().push(one);
        }
        Self(given)
    }

    /// Adds to a group what its policies open by name to its members.
    pub(crate) fn open(&self, policies: &[&Policy], members: &[&Endpoint], group: &mut Group) {
        let name = group.chain.name.clone();
        for (number, (range, patterns)) in slots(policies).into_iter().enumerate() {
            let set = |what: &str| Name::from(format!("{name}.{what}_{number}"));
            let ports = range.map(|range| ports(set("nameports"), range));
            for (family, suffix) in [(V4, "names_ip"), (V6, "names_ip6")] {
                let pairs = self.pairs(&patterns, members, family);
                let pairs = Set {
                    name: set(suffix),
                    key: vec![Type::Address(family); 2],
                    intervals: false,
                    dynamic: None,
                    timeout: Some(LONGEST),
                    elements: Elements::Timed(pairs),
                };
                let open = opened(family, &pairs, ports.as_ref());
                group.chain.rules.push(open);
                group.sets.push(pairs);
            }
            group.sets.extend(ports);
        }
    }

    fn pairs(
        &self,
        patterns: &BTreeSet<&DomainPattern>,
        members: &[&Endpoint],
        family: IpFamily,
    ) -> BTreeMap<Key, Moment> {
        let mut pairs = BTreeMap::new();
        for member in members {
            let given = self.0.get(&member.container).into_iter().flatten();
            for (address, until) in given.filter_map(|one| one.opens(patterns, family)) {
                let own = member.every_address();
                let own = own.filter(|own| IpFamily::of(*own) == family);
                let pair = |own| vec![Value::Address(own), Value::Address(address)];
                pairs.extend(own.map(|own| (pair(own), until)));
            }
        }
        pairs
    }
}

impl Resolved {
    fn opens(
        &self,
        patterns: &BTreeSet<&DomainPattern>,
        family: IpFamily,
    ) -> Option<(IpAddr, Moment)> {
        let asked = |pattern: &&DomainPattern| self.names.iter().any(|name| pattern.matches(name));
        let opens = IpFamily::of(self.address) == family && patterns.iter().any(asked);
        self.until
            .filter(|_| opens)
            .map(|until| (self.address, until))
    }
}

fn slots<'a>(policies: &[&'a Policy]) -> Slots<'a> {
    let mut slots = Slots::new();
    for each in policies
        .iter()
        .flat_map(|policy| policy.egress.iter().flatten())
    {
        let Peers::These(peers) = &each.peers else {
            continue;
        };
        let names = peers.iter().filter_map(|peer| match peer {
            Peer::Name(name) => Some(name),
            Peer::Endpoints { .. } | Peer::Block(_) => None,
        });
        let names: Vec<&DomainPattern> = names.collect();
        let ranges: Vec<Option<PortRange>> = match &each.ports {
            Ports::All => vec![None],
            Ports::These(ranges) => ranges.iter().copied().map(Some).collect(),
        };
        for range in ranges.into_iter().filter(|_| !names.is_empty()) {
            slots.entry(range).or_default().extend(&names);
        }
    }
    slots
}

fn opened(family: IpFamily, pairs: &Set, ports: Option<&Set>) -> Rule {
    let ends = vec![Field::Source(family), Field::Destination(family)];
    let mut expressions = vec![Expression::In(ends, pairs.name.clone())];
    let service = vec![Field::Protocol, Field::DestinationPort];
    expressions.extend(ports.map(|ports| Expression::In(service, ports.name.clone())));
    expressions.push(Expression::Do(Action::Return));
    Rule {
        expressions,
        ..rule("opened by name", [])
    }
}

fn ports(name: Name, range: PortRange) -> Set {
    let protocol = range.protocol.number();
    let key = vec![
        Value::Protocols(protocol, protocol),
        Value::Ports(range.first, range.last),
    ];
    Set {
        name,
        key: vec![Type::Protocol, Type::Port],
        intervals: true,
        dynamic: None,
        timeout: None,
        elements: Elements::Keys([(key, ())].into()),
    }
}
