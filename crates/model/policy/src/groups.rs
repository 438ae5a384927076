//! Compiles policies: endpoints that the same policies select share a group, and a packet costs the same with one policy or
//! a thousand.
//!
//! A map leads from an endpoint's address to its group; the group looks once into what is open by protocol and once into what
//! is open by port, and drops the rest, or tells of it where policies are audited only. All that the policies of a group open is one cover of addresses and ports, so the
//! union is taken here and not for each packet. Groups are known by the policies that make them: an endpoint that comes or
//! goes changes elements of their sets, and no chain.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hakone_base::IfName;
use hakone_network_policy::{
    Direction, Identity, Mode, Peer, Peers, Policy, Ports, Requirement, Rule, Selector,
};

use crate::{
    compile::{chain, dropping, rule},
    cover::{Cover, Ranges},
    named::Given,
    ruleset::{Action, Elements, Expression, Field, Group, IpFamily, Key, Name, Set, Type, Value},
    tell::{AUDIT_IN, AUDIT_OUT},
    topology::{Bridge, Endpoint, Topology},
};

use Direction::{Egress, Ingress};
use IpFamily::{V4, V6};

/// What the policies of a topology come to.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    /// The groups by their names.
    pub(crate) groups: BTreeMap<Name, Group>,
    /// From the bridge and address of an endpoint to its group, by family.
    pub(crate) egress: BTreeMap<IpFamily, BTreeMap<Key, Action>>,
    pub(crate) ingress: BTreeMap<IpFamily, BTreeMap<Key, Action>>,
    /// The bridges with an endpoint that some policy selects: their members reach each other through the host.
    pub(crate) judged: BTreeSet<IfName>,
}

/// Compiles the policies.
pub(crate) fn compile(topology: &Topology) -> Compiled {
    let places = Places::of(topology);
    let given = Given::of(topology);
    let mut compiled = Compiled {
        judged: places.judged().collect(),
        ..Compiled::default()
    };
    for direction in [Ingress, Egress] {
        let mut members: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
        for (place, policies) in places.selecting(direction) {
            members.entry(policies).or_default().push(place);
        }
        let opened = Opened::of(&places, direction);
        for (policies, members) in members {
            let name = places.name(direction, &policies, &compiled.groups);
            compiled.lead(direction, &places, &members, &name);
            let mut group = opened.group(&policies, &name);
            if direction == Egress {
                let (policies, members) = places.found(&policies, &members);
                given.open(&policies, &members, &mut group);
            }
            places.end(direction, &policies, &mut group);
            compiled.groups.insert(name, group);
        }
    }
    compiled
}

impl Compiled {
    fn lead(&mut self, direction: Direction, places: &Places<'_>, members: &[usize], name: &Name) {
        let map = match direction {
            Ingress => &mut self.ingress,
            Egress => &mut self.egress,
        };
        for (bridge, endpoint) in members.iter().filter_map(|place| places.all.get(*place)) {
            for address in endpoint.every_address() {
                let key = vec![Value::IfName(bridge.name.clone()), Value::Address(address)];
                let group = Action::Jump(name.clone());
                map.entry(IpFamily::of(address))
                    .or_default()
                    .insert(key, group);
            }
        }
    }
}

/// Every endpoint and policy of the topology, and the ways to find them.
struct Places<'a> {
    all: Vec<(&'a Bridge, &'a Endpoint)>,
    /// The policies, by their keys.
    policies: Vec<&'a Policy>,
    by_namespace: HashMap<&'a str, Vec<usize>>,
    by_label: HashMap<(&'a str, &'a str), Vec<usize>>,
}

impl<'a> Places<'a> {
    fn of(topology: &'a Topology) -> Self {
        let mut policies: Vec<&Policy> = topology.policies.iter().collect();
        policies.sort_by_key(|policy| &policy.key);
        let mut places = Self {
            all: Vec::new(),
            policies,
            by_namespace: HashMap::new(),
            by_label: HashMap::new(),
        };
        // Who has no policy pays nothing for those of others.
        if !places.policies.is_empty() {
            places.index(topology);
        }
        places
    }

    fn index(&mut self, topology: &'a Topology) {
        let bridges = topology.bridges.iter();
        let all = bridges.flat_map(|bridge| bridge.endpoints.iter().map(move |one| (bridge, one)));
        for (place, (bridge, endpoint)) in all.enumerate() {
            let identity = &endpoint.identity;
            let here = self.by_namespace.entry(&identity.namespace);
            here.or_default().push(place);
            for (key, value) in &identity.labels {
                self.by_label.entry((key, value)).or_default().push(place);
            }
            self.all.push((bridge, endpoint));
        }
    }

    fn identity(&self, place: usize) -> Option<&'a Identity> {
        self.all.get(place).map(|(_, endpoint)| &endpoint.identity)
    }

    /// Gives each endpoint that some policy closes in a direction, with those policies.
    fn selecting(&self, direction: Direction) -> BTreeMap<usize, Vec<usize>> {
        let mut selecting: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (number, policy) in self.policies.iter().enumerate() {
            if policy.rules(direction).is_none() {
                continue;
            }
            for place in self.selected(policy) {
                selecting.entry(place).or_default().push(number);
            }
        }
        selecting
            .values_mut()
            .for_each(|policies| self.leave_deciding(policies));
        selecting
    }

    /// Gives the policies and endpoints of these numbers.
    fn found(&self, policies: &[usize], members: &[usize]) -> (Vec<&'a Policy>, Vec<&'a Endpoint>) {
        let policies = policies.iter();
        let policies = policies.filter_map(|number| self.policies.get(*number).copied());
        let members = members.iter();
        let members = members.filter_map(|place| self.all.get(*place).map(|(_, one)| *one));
        (policies.collect(), members.collect())
    }

    /// Where an enforced policy closes, audited ones have no say.
    fn leave_deciding(&self, policies: &mut Vec<usize>) {
        let enforced = |number: &usize| self.mode(&[*number]) == Mode::Enforce;
        if policies.iter().any(enforced) {
            policies.retain(enforced);
        }
    }

    /// Tells the mode of a group's policies, which have all the same.
    fn mode(&self, policies: &[usize]) -> Mode {
        let first = policies
            .first()
            .and_then(|number| self.policies.get(*number));
        first.map_or(Mode::Enforce, |policy| policy.mode)
    }

    fn selected(&self, policy: &Policy) -> Vec<usize> {
        let candidates = match &policy.subject {
            hakone_network_policy::Subject::Container(_) => (0..self.all.len()).collect(),
            hakone_network_policy::Subject::Selected(selector) => {
                self.candidates(Some(&policy.key.namespace), selector)
            }
        };
        let selects = |place: &usize| self.identity(*place).is_some_and(|own| policy.selects(own));
        candidates.into_iter().filter(selects).collect()
    }

    /// Gives the shortest list that holds everybody who may be meant.
    fn candidates(&self, namespace: Option<&str>, selector: &Selector) -> Vec<usize> {
        let list = |requirement: &Requirement| match requirement {
            Requirement::In(key, values) => {
                let lists = values
                    .iter()
                    .filter_map(|value| self.by_label.get(&(key.as_str(), value.as_str())));
                Some(lists.flatten().copied().collect::<Vec<usize>>())
            }
            Requirement::NotIn(..) | Requirement::Exists(_) | Requirement::DoesNotExist(_) => None,
        };
        let of_namespace = namespace.map(|name| {
            let list = self.by_namespace.get(name);
            list.cloned().unwrap_or_default()
        });
        let lists = selector.requirements().iter().filter_map(list);
        let shortest = lists.chain(of_namespace).min_by_key(Vec::len);
        shortest.unwrap_or_else(|| (0..self.all.len()).collect())
    }

    fn meant(&self, peer: &Peer, namespace: &str) -> Vec<usize> {
        let Peer::Endpoints {
            namespaces,
            endpoints,
        } = peer
        else {
            return Vec::new();
        };
        let here = namespaces.is_none().then_some(namespace);
        let means = |place: &usize| {
            self.identity(*place)
                .is_some_and(|own| peer.means(namespace, own))
        };
        let candidates = self.candidates(here, endpoints).into_iter();
        candidates.filter(means).collect()
    }

    fn judged(&self) -> impl Iterator<Item = IfName> {
        let selected = self
            .policies
            .iter()
            .filter(|policy| policy.rules(Ingress).is_some() || policy.rules(Egress).is_some());
        let places = selected.flat_map(|policy| self.selected(policy));
        places.filter_map(|place| Some(self.all.get(place)?.0.name.clone()))
    }

    /// Names a group after its policies; of two that would share a name the later takes the next.
    fn name(
        &self,
        direction: Direction,
        policies: &[usize],
        taken: &BTreeMap<Name, Group>,
    ) -> Name {
        let keys = policies
            .iter()
            .filter_map(|number| self.policies.get(*number));
        let text: Vec<String> = keys.map(|policy| policy.key.to_string()).collect();
        let mut hash = fnv(text.join("\n").as_bytes());
        let prefix = prefix(direction, self.mode(policies));
        loop {
            let name = Name::from(format!("{prefix}_{hash:016x}"));
            if !taken.contains_key(&name) {
                return name;
            }
            hash = hash.wrapping_add(1);
        }
    }

    /// Ends a group's chain: what nothing opened is dropped, or only counted, and told by the names of its policies.
    fn end(&self, direction: Direction, policies: &[usize], group: &mut Group) {
        let last = match (self.mode(policies), direction) {
            (Mode::Enforce, Ingress) => dropping("no policy lets it in", []),
            (Mode::Enforce, Egress) => dropping("no policy lets it out", []),
            (Mode::Audit, Ingress) => rule("no policy would let it in", [Expression::Count]),
            (Mode::Audit, Egress) => rule("no policy would let it out", [Expression::Count]),
        };
        group.chain.rules.push(last);
        if self.mode(policies) == Mode::Audit {
            let all = policies.iter();
            let keys = all.filter_map(|number| Some(self.policies.get(*number)?.key.to_string()));
            let keys: Vec<String> = keys.collect();
            group.audit = Some(format!(
                "{}: {}",
                prefix(direction, Mode::Audit),
                keys.join(", ")
            ));
        }
    }
}

/// How the names of groups begin.
const fn prefix(direction: Direction, mode: Mode) -> &'static str {
    match (mode, direction) {
        (Mode::Enforce, Ingress) => "in",
        (Mode::Enforce, Egress) => "out",
        (Mode::Audit, Ingress) => AUDIT_IN,
        (Mode::Audit, Egress) => AUDIT_OUT,
    }
}

/// The hash FNV-1a: the same in each version, for names must outlive the daemon.
fn fnv(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// What each policy opens in one direction, by family.
struct Opened {
    direction: Direction,
    policies: Vec<[Vec<(Ranges, Ports)>; 2]>,
}

impl Opened {
    fn of(places: &Places<'_>, direction: Direction) -> Self {
        let opened = |policy: &&Policy| {
            let rules = policy.rules(direction).unwrap_or_default();
            let namespace = &policy.key.namespace;
            [V4, V6].map(|family| opened(places, rules, namespace, family))
        };
        Self {
            direction,
            policies: places.policies.iter().map(opened).collect(),
        }
    }

    /// Makes the group of some policies: what they open together.
    fn group(&self, policies: &[usize], name: &Name) -> Group {
        let mut sets = Vec::new();
        let mut rules = Vec::new();
        for (place, family) in [V4, V6].into_iter().enumerate() {
            let mut cover = Cover::default();
            let opened = policies
                .iter()
                .filter_map(|number| self.policies.get(*number));
            for (addresses, ports) in opened.filter_map(|both| both.get(place)).flatten() {
                cover.add(addresses, ports);
            }
            let (wide, narrow) = cover.keys(family);
            let peer = match self.direction {
                Ingress => Field::Source(family),
                Egress => Field::Destination(family),
            };
            for (what, keys, fields) in [
                ("protocols", wide, vec![peer, Field::Protocol]),
                (
                    "ports",
                    narrow,
                    vec![peer, Field::Protocol, Field::DestinationPort],
                ),
            ] {
                let set = set(name, what, family, &fields, keys);
                let open = Expression::In(fields, set.name.clone());
                rules.push(rule("opened", [open, Expression::Do(Action::Return)]));
                sets.push(set);
            }
        }
        Group {
            audit: None,
            chain: crate::ruleset::Chain {
                name: name.clone(),
                ..chain("", None, rules)
            },
            sets,
        }
    }
}

fn opened(
    places: &Places<'_>,
    rules: &[Rule],
    namespace: &str,
    family: IpFamily,
) -> Vec<(Ranges, Ports)> {
    let open = |rule: &Rule| {
        let peers = addresses(places, &rule.peers, namespace, family);
        (peers, rule.ports.clone())
    };
    rules.iter().map(open).collect()
}

fn addresses(places: &Places<'_>, peers: &Peers, namespace: &str, family: IpFamily) -> Ranges {
    let Peers::These(list) = peers else {
        return Ranges::all(family);
    };
    let of_peer = |peer: &Peer| match peer {
        Peer::Block(block) if block.cidr.is_ipv6() == (family == V6) => {
            let except: Vec<Ranges> = block.except.iter().map(Ranges::of_prefix).collect();
            Ranges::of_prefix(&block.cidr).without(&Ranges::union(&except))
        }
        Peer::Block(_) | Peer::Name(_) => Ranges::default(),
        Peer::Endpoints { .. } => {
            let meant = places.meant(peer, namespace).into_iter();
            let endpoints = meant.filter_map(|place| places.all.get(place));
            let addresses = endpoints.flat_map(|(_, endpoint)| endpoint.every_address());
            Ranges::of_addresses(addresses.filter(|own| IpFamily::of(*own) == family))
        }
    };
    let all: Vec<Ranges> = list.iter().map(of_peer).collect();
    Ranges::union(&all)
}

fn set(group: &Name, what: &str, family: IpFamily, fields: &[Field], keys: BTreeSet<Key>) -> Set {
    let suffix = match family {
        V4 => "ip",
        V6 => "ip6",
    };
    let key: Vec<Type> = fields.iter().map(|field| field.kind()).collect();
    Set {
        name: Name::from(format!("{group}.{what}_{suffix}")),
        key,
        intervals: true,
        dynamic: None,
        timeout: None,
        elements: Elements::Keys(keys.into_iter().map(|key| (key, ())).collect()),
    }
}
