//! How many machines on its links a container may ask for at once: the kernel keeps what it knows of neighbours in one table for
//! all network namespaces of the host.
//!
//! Whoever sends to addresses that nobody has makes an entry for each, for the seconds in which the kernel asks; a thousand of
//! them stop everybody (`gc_thresh3`). So what is counted is next hops: the outside is one, however many addresses it has.
//! A known one costs nothing, a new one comes within a pace. It is asked in two places: where the host sends on for a
//! container ([`rules`], in the host's table), and where the container itself sends (`sandbox`, a table inside).

use std::collections::BTreeMap;

use crate::{
    compile::{chain, dropping, name, rule},
    ruleset::{
        Action, Chain, DYNAMIC_SIZE, Each, Elements, Expression, Field, IpFamily, Name, Pace, Rule,
        Set, Type, Value,
    },
    topology::Ipv6Rules,
};

use IpFamily::{V4, V6};

/// New next hops of one container: an entry that nobody answers for stays three seconds, so 128 and then 32 a second come to
/// less than a quarter of the thousand that the kernel has room for.
const NEW: Pace = Pace {
    times: 32,
    each: Each::Second,
    burst: 128,
};
/// Seconds for which a next hop stays known.
const KNOWN: u32 = 300;
/// Seconds for which a pace is remembered: longer than it takes to be fresh again.
const REMEMBERED: u32 = 60;

/// Next hops that one container may know, and interfaces that it may ask on: each container has room for them.
const HOPS: u32 = 2048;
const INTERFACES: u32 = 64;

/// The chain that asks.
pub(crate) const CHAIN: &str = "ask_neighbour";
/// The known next hops, and the paces of new ones.
const SETS: [(IpFamily, &str, &str); 2] = [
    (V4, "neighbours_ip", "asking_ip"),
    (V6, "neighbours_ip6", "asking_ip6"),
];

/// What tells containers apart: their address in the host's table; inside, everything is the same container's.
#[derive(Clone, Copy)]
enum Asker {
    Source,
    Itself,
}

/// Leads to the chain what matches.
pub(crate) fn to_rules<const N: usize>(matches: [Expression; N]) -> Rule {
    let mut expressions = Vec::from(matches);
    expressions.push(Expression::Do(Action::Jump(name(CHAIN))));
    Rule {
        expressions,
        comment: "",
    }
}

/// The chain that asks: a known next hop goes back at once, a new one within the pace; what is beyond ends here.
pub(crate) fn rules() -> Chain {
    let (known, new) = (known(Asker::Source), new(Asker::Source));
    let end = [dropping("too many neighbours", [])];
    let rules = known.into_iter().chain(new);
    let rules = rules.map(|rule| rule.then(Action::Return));
    chain(CHAIN, None, rules.chain(end).collect())
}

/// What the container itself sends to neighbours that it knows. Every packet of its comes by, so they leave at the first rule.
pub(crate) fn known_inside(ipv6: Ipv6Rules) -> Vec<Rule> {
    let rules = of_families(known(Asker::Itself), ipv6);
    rules.map(|rule| rule.then(Action::Accept)).collect()
}

/// The rest of what it sends: to itself, to new neighbours within the pace, and not at all.
pub(crate) fn asking_inside(ipv6: Ipv6Rules) -> Vec<Rule> {
    let new = of_families(new(Asker::Itself), ipv6);
    let passes = match ipv6 {
        Ipv6Rules::Loaded => None,
        Ipv6Rules::None => Some(rule("IPv6 is not ours", [Expression::IpFamily(V6)])),
    };
    let rules = [rule("itself", [is_loopback()])].into_iter().chain(new);
    let rules = rules.chain(passes).map(|rule| rule.then(Action::Accept));
    rules.chain([dropping("too many neighbours", [])]).collect()
}

/// Leaves the IPv6 one of a pair out where IPv6 has no rules.
fn of_families<T>(pair: [T; 2], ipv6: Ipv6Rules) -> impl Iterator<Item = T> {
    let families = match ipv6 {
        Ipv6Rules::Loaded => 2,
        Ipv6Rules::None => 1,
    };
    pair.into_iter().take(families)
}

fn known(asker: Asker) -> [Rule; 2] {
    SETS.map(|(family, known, _)| {
        let known = Expression::In(hop(asker, family), name(known));
        rule("a known neighbour", [known])
    })
}

fn new(asker: Asker) -> [Rule; 2] {
    SETS.map(|(family, known, paces)| {
        let paced = Expression::Paced(vec![who(asker, family)], name(paces), NEW);
        let remember = Expression::Remember(hop(asker, family), name(known));
        let of_family = Expression::IpFamily(family);
        rule("a new neighbour", [of_family, paced, remember])
    })
}

/// The sets that the chain looks into; packets fill them.
pub(crate) fn sets() -> Vec<Set> {
    sets_for(Asker::Source)
}

/// The same inside.
pub(crate) fn sets_inside() -> Vec<Set> {
    sets_for(Asker::Itself)
}

fn sets_for(asker: Asker) -> Vec<Set> {
    let (hops, askers) = match asker {
        Asker::Source => (DYNAMIC_SIZE, DYNAMIC_SIZE),
        Asker::Itself => (HOPS, INTERFACES),
    };
    let types = |fields: Vec<Field>| fields.into_iter().map(Field::kind).collect();
    let pair = |(family, known, paces)| {
        [
            memory(known, types(hop(asker, family)), (KNOWN, hops)),
            memory(paces, types(vec![who(asker, family)]), (REMEMBERED, askers)),
        ]
    };
    SETS.into_iter().flat_map(pair).collect()
}

/// Reports whether a set holds the paces of new neighbours.
pub(crate) fn is_pace(set: &Name) -> bool {
    SETS.iter().any(|(_, _, paces)| *paces == set.as_str())
}

fn memory(name: &'static str, key: Vec<Type>, (timeout, size): (u32, u32)) -> Set {
    Set {
        name: name.into(),
        key,
        intervals: false,
        dynamic: Some(size),
        timeout: Some(timeout),
        elements: Elements::Keys(BTreeMap::new()),
    }
}

fn hop(asker: Asker, family: IpFamily) -> Vec<Field> {
    match asker {
        Asker::Source => vec![Field::Source(family), Field::NextHop(family)],
        Asker::Itself => vec![Field::NextHop(family)],
    }
}

const fn who(asker: Asker, family: IpFamily) -> Field {
    match asker {
        Asker::Source => Field::Source(family),
        Asker::Itself => Field::OutputInterface,
    }
}

#[expect(clippy::expect_used, reason = "a constant; a test compiles it")]
fn is_loopback() -> Expression {
    let loopback = "lo".parse().expect("a constant interface name");
    Expression::Is(Field::OutputInterface, Value::IfName(loopback))
}
