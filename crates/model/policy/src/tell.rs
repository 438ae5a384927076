//! Makes rules tell the flow log what they see, and changes nothing for any packet.
//!
//! Wherever a rule counts and drops, a chain of its own takes over: within a pace for each interface it tells by which rule, beyond it
//! counts, and drops either way. So only what is dropped costs anything. What passes between members of one network crosses
//! no rule of IP and no connection tracking; a chain of the bridge tells of its beginnings. Works on any rule set, so that
//! whoever adds a rule that drops need not think of the log.

use std::collections::BTreeMap;

use crate::{
    compile::{POLICIES, base, chain, name, rule},
    ruleset::{
        Action, Chain, ChainKind, DYNAMIC_SIZE, Each, Elements, Expression, Family, Field, Group,
        Hook, IpFamily, Name, Pace, Rule, Ruleset, Set, Table, Type, Value,
    },
};

use IpFamily::{V4, V6};

/// How the names of the chains begin that tell of a refusal; what follows names the rule.
pub const REFUSAL: &str = "refused_";
/// The words by which a beginning between members is told; all others tell of a refusal.
pub const BEGINNING: &str = "among_members: members of one network";
/// How the words begin that tell of what an audited policy would not let through, by direction.
pub const AUDIT_IN: &str = "audit_in";
/// The same of what it would not let out.
pub const AUDIT_OUT: &str = "audit_out";
/// The longest words that the kernel takes for sure.
const WORDS: usize = 120;
/// What interfaces were told of lately.
const TOLD: &str = "told";
/// Which members spoke to each other lately.
const TALKS: [&str; 2] = ["talks_ip", "talks_ip6"];
/// How long either is remembered.
const MEMORY: u32 = 60;
/// What one interface may have told of one rule: a flood of one container hides no other's refusals.
const REFUSALS: Pace = Pace {
    times: 50,
    each: Each::Second,
    burst: 100,
};
/// What one container may have told of its beginnings.
const BEGINNINGS: Pace = Pace {
    times: 1000,
    each: Each::Second,
    burst: 2000,
};
/// Between two members what has no beginning of its own is told once in a while.
const TALK: Pace = Pace {
    times: 1,
    each: Each::Minute,
    burst: 1,
};
/// SYN alone.
const BEGINS: u8 = 0x02;
const TCP: u8 = 6;

/// Gives rules that do the same and tell of it.
pub(crate) fn told(mut ruleset: Ruleset) -> Ruleset {
    for table in &mut ruleset.tables {
        tell_refusals(table);
        if table.family == Family::Bridge {
            tell_beginnings(table);
        }
    }
    ruleset
}

/// The chains that tell, by name, with the words of each.
type Refusals = BTreeMap<String, String>;

fn tell_refusals(table: &mut Table) {
    let mut refusals = Refusals::new();
    for chain in &mut table.chains {
        let within = chain.name.clone();
        for rule in &mut chain.rules {
            redirect_rule(&mut refusals, &within, rule);
        }
    }
    for set in &mut table.sets {
        redirect_elements(&mut refusals, set);
    }
    for group in table.groups.values_mut() {
        tell_within(&mut group.chain);
        tell_audit(group);
    }
    if refusals.is_empty() && table.groups.is_empty() {
        return;
    }
    let chains = refusals.into_iter();
    let chains = chains.map(|(chain, words)| refusal(chain, words));
    table.chains.splice(..0, chains);
    table.sets.push(memory(TOLD, vec![Type::IfName]));
}

/// A group comes and goes, and no chain with it: it tells by itself, in the name of the chain that leads to all of them.
fn tell_within(chain: &mut Chain) {
    let rules = std::mem::take(&mut chain.rules).into_iter();
    let told = rules.flat_map(|silent| {
        let drops = silent.expressions.last() == Some(&Expression::Do(Action::Drop));
        let words = format!("{POLICIES}: {}", silent.comment);
        let telling = drops.then(|| rule("", paced(words)));
        telling.into_iter().chain([silent])
    });
    chain.rules = told.collect();
}

/// What would be dropped if the group's policies were enforced is told within the same pace, and passes.
fn tell_audit(group: &mut Group) {
    if let Some(words) = &group.audit {
        let [pace, tell, _] = paced(words.chars().take(WORDS).collect());
        group.chain.rules.push(rule("", [pace, tell]));
    }
}

/// Within the pace, tells and drops.
fn paced(words: String) -> [Expression; 3] {
    let paced = Expression::Paced(vec![Field::InputInterface], TOLD.into(), REFUSALS);
    [paced, Expression::Tell(words), Expression::Do(Action::Drop)]
}

fn redirect_rule(refusals: &mut Refusals, chain: &Name, rule: &mut Rule) {
    let counts = rule.expressions.contains(&Expression::Count);
    if counts
        && let Some(last) = rule.expressions.last_mut()
        && *last == Expression::Do(Action::Drop)
    {
        let words = format!("{chain}: {}", rule.comment);
        *last = Expression::Do(Action::Goto(noted(refusals, &words)));
    }
}

fn redirect_elements(refusals: &mut Refusals, set: &mut Set) {
    let Elements::Actions(actions) = &mut set.elements else {
        return;
    };
    // The chain is there whether or not an element needs it now: chains do not come and go with networks.
    let chain = noted(refusals, set.name.as_str());
    for action in actions.values_mut().filter(|one| **one == Action::Drop) {
        *action = Action::Goto(chain.clone());
    }
}

fn noted(refusals: &mut Refusals, words: &str) -> Name {
    let strange = |c: char| !c.is_ascii_alphanumeric();
    let name = format!(
        "{REFUSAL}{}",
        words.replace(": ", "_").replace(strange, "_")
    );
    refusals.insert(name.clone(), words.to_owned());
    name.into()
}

fn refusal(name: String, words: String) -> Chain {
    let drop = Expression::Do(Action::Drop);
    Chain {
        name: name.into(),
        base: None,
        rules: vec![
            rule("", paced(words)),
            rule("not told", [Expression::Count, drop]),
        ],
    }
}

/// TCP tells its beginnings by itself; of anything else the first packet is told, and again while it goes on.
fn tell_beginnings(table: &mut Table) {
    let own_pace =
        || Expression::Paced(vec![Field::InputInterface], name("beginnings"), BEGINNINGS);
    let tell = || Expression::Tell(BEGINNING.to_owned());
    let is_tcp = Expression::Is(Field::Protocol, Value::Protocol(TCP));
    let begins = Expression::Is(Field::TcpFlags, Value::Raw(vec![BEGINS]));
    let talk = |family, set| {
        let key = vec![
            Field::Source(family),
            Field::Destination(family),
            Field::Protocol,
        ];
        let talks = Expression::In(vec![Field::Protocol], name("without_beginning"));
        rule(
            "",
            [
                talks,
                Expression::Paced(key, name(set), TALK),
                own_pace(),
                tell(),
            ],
        )
    };
    let [talks, talks6] = TALKS;
    let rules = vec![
        rule("", [is_tcp, begins, own_pace(), tell()]),
        talk(V4, talks),
        talk(V6, talks6),
    ];
    let base = base(ChainKind::Filter, Hook::Forward, 0);
    table.chains.push(chain("among_members", base, rules));
    table.sets.push(without_beginning());
    table.sets.push(memory("beginnings", vec![Type::IfName]));
    for (family, set) in [(V4, talks), (V6, talks6)] {
        let address = Type::Address(family);
        table
            .sets
            .push(memory(set, vec![address, address, Type::Protocol]));
    }
}

/// UDP, UDP-Lite, SCTP and pings. Neighbour discovery is no conversation, and shares its number with pings of IPv6.
fn without_beginning() -> Set {
    let protocols = [1, 17, 132, 136].map(|number| (vec![Value::Protocol(number)], ()));
    Set {
        name: "without_beginning".into(),
        key: vec![Type::Protocol],
        intervals: false,
        dynamic: None,
        timeout: None,
        elements: Elements::Keys(protocols.into()),
    }
}

fn memory(name: &'static str, key: Vec<Type>) -> Set {
    Set {
        name: name.into(),
        key,
        intervals: false,
        dynamic: Some(DYNAMIC_SIZE),
        timeout: Some(MEMORY),
        elements: Elements::Keys(BTreeMap::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Telling, Topology, compile};

    fn telling() -> Ruleset {
        let options = Options {
            telling: Telling::Told,
            ..Options::default()
        };
        compile(&Topology {
            options,
            ..Topology::default()
        })
    }

    fn chains(ruleset: &Ruleset) -> impl Iterator<Item = &Chain> {
        ruleset.tables.iter().flat_map(|table| &table.chains)
    }

    #[test]
    fn no_rule_drops_silently_but_beyond_the_pace() {
        let ruleset = telling();
        let dropping =
            |rule: &&Rule| rule.expressions.last() == Some(&Expression::Do(Action::Drop));
        let quiet = ["the bridge's own question", "reports to nobody"];
        let known = |rule: &&Rule| !quiet.contains(&rule.comment);
        for chain in chains(&ruleset) {
            let count = chain.rules.iter().filter(dropping).filter(known).count();
            let expected = if chain.name.as_str().starts_with(REFUSAL) {
                2
            } else {
                0
            };
            assert_eq!(count, expected, "{}", chain.name);
        }
    }

    #[test]
    fn what_policies_refuse_is_told() {
        let mut table = Table {
            family: Family::Inet,
            name: "some".into(),
            sets: Vec::new(),
            groups: BTreeMap::new(),
            chains: Vec::new(),
        };
        let refusing = crate::compile::dropping("no policy lets it in", []);
        let group = Group {
            chain: chain("in_some", None, vec![refusing.clone()]),
            audit: None,
            sets: Vec::new(),
        };
        table.groups.insert("in_some".into(), group);
        tell_refusals(&mut table);
        let group = table.groups.values().next().unwrap();
        let [telling, silent] = group.chain.rules.as_slice() else {
            panic!("{group:?}");
        };
        let words = "policies: no policy lets it in".to_owned();
        assert!(telling.expressions.contains(&Expression::Tell(words)));
        assert_eq!(*silent, refusing);
        assert!(table.sets.iter().any(|set| set.name.as_str() == TOLD));
    }

    #[test]
    fn words_fit_into_the_kernels_room_and_name_a_chain_that_is_there() {
        let ruleset = telling();
        let mut told = 0;
        for expression in chains(&ruleset)
            .flat_map(|c| &c.rules)
            .flat_map(|r| &r.expressions)
        {
            if let Expression::Tell(words) = expression {
                assert!(words.len() < 64, "{words}");
                let chain = words.split(':').next().unwrap_or_default();
                let sets = ruleset.tables.iter().flat_map(|table| &table.sets);
                let known = chains(&ruleset).any(|c| c.name.as_str() == chain)
                    || sets.into_iter().any(|set| set.name.as_str() == chain);
                assert!(known, "{words}");
                told += 1;
            }
        }
        assert!(told > 20, "{told}");
    }

    #[test]
    fn silence_has_no_trace_of_the_log() {
        let text = compile(&Topology::default()).to_string();
        assert!(!text.contains("log") && !text.contains(REFUSAL), "{text}");
    }
}
