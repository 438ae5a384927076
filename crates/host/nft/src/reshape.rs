//! Encodes chains that get other rules in place: they stay where they hang, and packets meet the old rules or the new.

use hakone_policy::ruleset::{Chain, Group, Set};

use crate::{
    kernel::{DELCHAIN, DELRULE, DELSET, attribute as a},
    request::{Object, Place, Request, begin, chain, declare_all, fill_all, named, write_rules},
};

/// Gives a group other rules; what it looks into comes before them, and what it looked into goes after them.
pub(crate) fn group(all: &mut Vec<Request>, place: &Place, [old, new]: &[Group; 2]) {
    let (come, gone) = (only(&new.sets, &old.sets), only(&old.sets, &new.sets));
    declare_all(all, place, &come);
    fill_all(all, place, &come);
    if old.chain.rules != new.chain.rules {
        flush(all, place, &new.chain);
        write_rules(all, place, &new.chain);
    }
    let gone = gone.iter();
    all.extend(gone.map(|set| named(DELSET, place, &set.name)));
}

/// Chains come before the rules that jump there, and go after them.
pub(crate) fn chains(all: &mut Vec<Request>, place: &Place, [old, new]: &[Vec<Chain>; 2]) {
    let find = |chains: &[Chain], one: &Chain| {
        let mut chains = chains.iter();
        chains.find(|chain| chain.name == one.name).cloned()
    };
    let come = new.iter().filter(|chain| find(old, chain).is_none());
    all.extend(come.map(|one| chain(place, one)));
    for chain in new {
        match find(old, chain) {
            Some(old) if old.rules == chain.rules => continue,
            Some(_) => flush(all, place, chain),
            None => {}
        }
        write_rules(all, place, chain);
    }
    // Who calls stands behind whom it calls.
    let gone = old.iter().rev();
    let gone = gone.filter(|chain| find(new, chain).is_none());
    all.extend(gone.map(|chain| named(DELCHAIN, place, &chain.name)));
}

fn only(these: &[Set], those: &[Set]) -> Vec<Set> {
    let missing = |set: &&Set| those.iter().all(|other| other.name != set.name);
    these.iter().filter(missing).cloned().collect()
}

/// Without a number, all rules of the chain are meant.
fn flush(all: &mut Vec<Request>, (family, table): &Place, chain: &Chain) {
    let mut message = begin(DELRULE, 0, *family);
    message.text(a::RULE_TABLE, table.as_str());
    message.text(a::RULE_CHAIN, chain.name.as_str());
    all.push(Request {
        object: Object::Chain(chain.name.clone()),
        message,
    });
}
