//! Compiles policies: endpoints that the same policies select share a group, and a packet costs the same with one policy or
//! a thousand.
//!
//! A map leads from an endpoint's address to its group; the group looks into what is open to anybody by port, what is open by
//! address and protocol, and what by address and port, if anything is, and drops the rest, or tells of it where policies are audited only. All that the policies of a group open is one cover of addresses and ports, so the
//! union is taken here and not for each packet. A group is known by the first of its members, so that a policy about many
//! changes what sets hold, and few chains.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hakone_base::IfName;
use hakone_network_policy::{
    Direction, Identity, Mode, Peer, Peers, Policy, Requirement, Rule, Selector,
};

use crate::{
    compile::{chain, dropping, rule},
    cover::{Cover, Ranges, Services},
    named::Given,
    ruleset::{Action, Elements, Expression, Field, Group, IpFamily, Key, Name, Set, Value},
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
    let mut compiled = Compiled::default();
    for direction in [Ingress, Egress] {
        let opened = Opened::of(&places, direction);
        for (alike, Members { policies, members }) in members(&places, &opened) {
            let name = places.name((direction, alike.mode), &members, &compiled.groups);
            compiled.lead(direction, &places, &members, &name);
            let mut group = opened.group(&alike.rules, &name);
            if direction == Egress {
                let (policies, members) = places.found(&policies, &members);
                given.open(&policies, &members, &mut group);
            }
            places.end((direction, alike.mode), &policies, &mut group);
            compiled.groups.insert(name, group);
        }
    }
    compiled
}

/// What endpoints of a group have in common. Enforced policies that open the same make one group; those that are audited are told
/// of by their names.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    mode: Mode,
    audited: Vec<usize>,
    rules: BTreeSet<usize>,
}

/// Who is in a group, and policies that select one of them: all that select another open the same.
struct Members {
    policies: Vec<usize>,
    members: Vec<usize>,
}

fn members(places: &Places<'_>, opened: &Opened<'_>) -> BTreeMap<Alike, Members> {
    let mut members: BTreeMap<Alike, Members> = BTreeMap::new();
    for (place, policies) in places.selecting(opened.direction) {
        let mode = places.mode(&policies);
        let alike = Alike {
            mode,
            audited: match mode {
                Mode::Enforce => Vec::new(),
                Mode::Audit => policies.clone(),
            },
            rules: opened.rules_of(&policies),
        };
        let group = members.entry(alike).or_insert_with(|| Members {
            policies,
            members: Vec::new(),
        });
        group.members.push(place);
    }
    members
}

impl Compiled {
    fn lead(&mut self, direction: Direction, places: &Places<'_>, members: &[usize], name: &Name) {
        let map = match direction {
            Ingress => &mut self.ingress,
            Egress => &mut self.egress,
        };
        for (bridge, endpoint) in members.iter().filter_map(|place| places.all.get(*place)) {
            if !self.judged.contains(&bridge.name) {
                self.judged.insert(bridge.name.clone());
            }
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

    /// Names a group after the first of its members: one more policy leaves most groups where they are, with what they hold changed.
    /// Of two that would share a name the later takes the next.
    fn name(
        &self,
        (direction, mode): (Direction, Mode),
        members: &[usize],
        taken: &BTreeMap<Name, Group>,
    ) -> Name {
        let members = members.iter().filter_map(|place| self.all.get(*place));
        let first = members.map(|(bridge, endpoint)| (&endpoint.id, &bridge.name));
        let first = first.min().map(|(id, bridge)| format!("{id} {bridge}"));
        let mut hash = fnv(first.unwrap_or_default().as_bytes());
        let prefix = prefix(direction, mode);
        loop {
            let name = Name::from(format!("{prefix}_{hash:016x}"));
            if !taken.contains_key(&name) {
                return name;
            }
            hash = hash.wrapping_add(1);
        }
    }

    /// Ends a group's chain: what nothing opened is dropped, or only counted, and told by the names of its policies.
    fn end(&self, (direction, mode): (Direction, Mode), policies: &[usize], group: &mut Group) {
        let last = match (mode, direction) {
            (Mode::Enforce, Ingress) => dropping("no policy lets it in", []),
            (Mode::Enforce, Egress) => dropping("no policy lets it out", []),
            (Mode::Audit, Ingress) => rule("no policy would let it in", [Expression::Count]),
            (Mode::Audit, Egress) => rule("no policy would let it out", [Expression::Count]),
        };
        group.chain.rules.push(last);
        if mode == Mode::Audit {
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

/// What policies open in one direction: each rule once, however many state it.
struct Opened<'a> {
    direction: Direction,
    /// The rules of each policy, by their numbers.
    policies: Vec<Vec<usize>>,
    /// Each rule, and where it leads, by family.
    rules: Vec<(&'a Rule, [Ranges; 2])>,
}

impl<'a> Opened<'a> {
    fn of(places: &Places<'a>, direction: Direction) -> Self {
        let mut opened = Self {
            direction,
            policies: Vec::new(),
            rules: Vec::new(),
        };
        let mut known = HashMap::new();
        for policy in &places.policies {
            let rules = policy.rules(direction).unwrap_or_default().iter();
            let namespace = policy.key.namespace.as_str();
            let numbers = rules.map(|rule| {
                let home = is_at_home(rule).then_some(namespace);
                let known = known.entry((home, rule));
                *known.or_insert_with(|| opened.learn(places, rule, namespace))
            });
            let numbers = numbers.collect();
            opened.policies.push(numbers);
        }
        opened
    }

    /// Adds a rule; gives its number.
    fn learn(&mut self, places: &Places<'a>, rule: &'a Rule, namespace: &str) -> usize {
        let leads = |family| addresses(places, &rule.peers, namespace, family);
        self.rules.push((rule, [V4, V6].map(leads)));
        self.rules.len() - 1
    }

    fn rules_of(&self, policies: &[usize]) -> BTreeSet<usize> {
        let all = policies.iter();
        let all = all.filter_map(|number| self.policies.get(*number));
        all.flatten().copied().collect()
    }

    /// Makes the group of some rules: what they open together. It asks for nothing that none of them opens.
    fn group(&self, numbers: &BTreeSet<usize>, name: &Name) -> Group {
        let mut services = Services::default();
        let mut covers = [Cover::default(), Cover::default()];
        for (rule, leads) in numbers.iter().filter_map(|number| self.rules.get(*number)) {
            let ports = services.take(rule);
            for (cover, addresses) in covers.iter_mut().zip(leads) {
                cover.add(addresses, &ports);
            }
        }
        let mut sets = anybodys(name, &services);
        for (cover, family) in covers.iter().zip([V4, V6]) {
            sets.extend(self.by_address(name, cover, family));
        }
        sets.retain(|(_, set)| !set.elements.is_empty());
        let open = |(fields, set): &(Vec<Field>, Set)| {
            let open = Expression::In(fields.clone(), set.name.clone());
            rule("opened", [open, Expression::Do(Action::Return)])
        };
        let rules = sets.iter().map(open).collect();
        Group {
            audit: None,
            chain: crate::ruleset::Chain {
                name: name.clone(),
                ..chain("", None, rules)
            },
            sets: sets.into_iter().map(|(_, set)| set).collect(),
        }
    }

    fn by_address(&self, group: &Name, cover: &Cover, family: IpFamily) -> [(Vec<Field>, Set); 2] {
        let (wide, narrow) = cover.keys(family);
        let peer = match self.direction {
            Ingress => Field::Source(family),
            Egress => Field::Destination(family),
        };
        let suffix = match family {
            V4 => "ip",
            V6 => "ip6",
        };
        let of = |what: &str, fields: Vec<Field>, keys| {
            let set = set(group, &format!("{what}_{suffix}"), &fields, keys);
            let intervals = true;
            (fields, Set { intervals, ..set })
        };
        let service = vec![peer, Field::Protocol, Field::DestinationPort];
        [
            of("protocols", vec![peer, Field::Protocol], wide),
            of("ports", service, narrow),
        ]
    }
}

/// What is open to anybody, of both families at once.
fn anybodys(group: &Name, services: &Services) -> Vec<(Vec<Field>, Set)> {
    let fields = vec![Field::Protocol, Field::DestinationPort];
    let single = set(group, "services", &fields, services.single.clone());
    let ranges = Set {
        intervals: true,
        ..set(group, "service_ranges", &fields, services.ranges())
    };
    vec![(fields.clone(), single), (fields, ranges)]
}

/// Reports whether a rule means endpoints of its policy's own namespace, so that it says something else in another.
fn is_at_home(rule: &Rule) -> bool {
    let Peers::These(peers) = &rule.peers else {
        return false;
    };
    peers.iter().any(|peer| match peer {
        Peer::Endpoints { namespaces, .. } => namespaces.is_none(),
        Peer::Block(_) | Peer::Name(_) => false,
    })
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

fn set(group: &Name, what: &str, fields: &[Field], keys: BTreeSet<Key>) -> Set {
    Set {
        name: Name::from(format!("{group}.{what}")),
        key: fields.iter().map(|field| field.kind()).collect(),
        intervals: false,
        dynamic: None,
        timeout: None,
        elements: Elements::Keys(keys.into_iter().map(|key| (key, ())).collect()),
    }
}
