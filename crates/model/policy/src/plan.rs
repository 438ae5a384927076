//! The difference between two rule sets, as the fewest changes that turn one into the other.
//!
//! Chains and rules are constants of a version, so a running daemon changes elements and whole groups; the first policy and the
//! last bring and take chains and rules as well. A table whose chains differ otherwise, or whose set types do, is replaced.
//!
//! Applied in one transaction, the changes are never seen half done. A group is no base chain, and the maps that lead there
//! change at the same moment. A base chain that stays gets its other rules at that moment, too; one that comes lets pass
//! before it, and one that goes after it, as if it were not there.

use std::collections::BTreeMap;

use crate::ruleset::{Chain, Elements, Family, Group, Key, Name, Rule, Ruleset, Set, Table};

/// One change of the loaded rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Puts a table in place, whatever stood there under its name.
    Replace(Table),
    /// Takes a table away.
    Remove(Family, Name),
    /// Puts a group into a table, complete.
    AddGroup((Family, Name), Group),
    /// Takes a group away; nothing leads there any more.
    RemoveGroup((Family, Name), Group),
    /// Gives a group other rules: sets of the new one that the old did not have come complete, what it no longer has goes, and what
    /// both have keeps its elements.
    Reshape((Family, Name), Box<[Group; 2]>),
    /// Gives a table these chains for those: some come or go, and others have rules more or fewer.
    Rechain((Family, Name), [Vec<Chain>; 2]),
    /// Takes elements out of a set; it comes before additions, for a key may get another value.
    Take(SetRef, Elements),
    /// Puts elements into a set.
    Put(SetRef, Elements),
}

/// A set and what of it does not change with its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetRef {
    /// The family of its table.
    pub family: Family,
    /// The name of its table.
    pub table: Name,
    /// Its own name.
    pub set: Name,
    /// Whether its keys are prefixes.
    pub intervals: bool,
}

/// Finds the changes that turn `old` into `new`.
#[must_use]
pub fn plan(old: &Ruleset, new: &Ruleset) -> Vec<Change> {
    let gone = |table: &&Table| new.table(table.family, &table.name).is_none();
    let removed = old.tables.iter().filter(gone);
    let mut changes: Vec<Change> = removed
        .map(|table| Change::Remove(table.family, table.name.clone()))
        .collect();
    for table in &new.tables {
        let in_place = old
            .table(table.family, &table.name)
            .and_then(|old| in_place(old, table));
        changes.extend(in_place.unwrap_or_else(|| vec![Change::Replace(table.clone())]));
    }
    changes
}

/// Groups come, go, and change in place; so do chains when all of them only gain rules, or only lose them. `None` when the table
/// must be replaced.
fn in_place(old: &Table, new: &Table) -> Option<Vec<Change>> {
    let mut groups = kept_groups(old, new);
    let alike = old.sets.len() == new.sets.len()
        && old.sets.iter().zip(&new.sets).all(are_same_kind)
        && groups.all(|(old, new)| kept_sets(&old.sets, &new.sets).all(are_same_kind));
    let rechained = old.chains != new.chains;
    let may_be = || only_gain(&old.chains, &new.chains) || only_gain(&new.chains, &old.chains);
    let in_place = alike && (!rechained || may_be());
    let place = || (new.family, new.name.clone());
    let both = || [old.chains.clone(), new.chains.clone()];
    let rechain = rechained.then(|| Change::Rechain(place(), both()));
    in_place.then(|| elements(old, new, rechain))
}

fn kept_groups<'a>(old: &'a Table, new: &'a Table) -> impl Iterator<Item = (&'a Group, &'a Group)> {
    let groups = old.groups.iter();
    groups.filter_map(|(name, old)| Some((old, new.groups.get(name)?)))
}

fn kept_chains<'a>(
    old: &'a [Chain],
    new: &'a [Chain],
) -> impl Iterator<Item = (&'a Chain, &'a Chain)> {
    old.iter().filter_map(|old| {
        let same = new.iter().find(|new| new.name == old.name);
        Some((old, same?))
    })
}

/// The sets of both, each with itself. Nearly always they stand at the same places.
fn kept_sets<'a>(old: &'a [Set], new: &'a [Set]) -> impl Iterator<Item = (&'a Set, &'a Set)> {
    old.iter().enumerate().filter_map(|(place, old)| {
        let here = new.get(place).filter(|new| new.name == old.name);
        let same = here.or_else(|| new.iter().find(|new| new.name == old.name));
        Some((old, same?))
    })
}

/// Reports whether chains change in nothing but rules that come. Then a packet between two chains at that moment has met the
/// rules of before and meets more. One that leaves a rule behind in one chain and slips past its successor in another would meet less.
fn only_gain(old: &[Chain], new: &[Chain]) -> bool {
    let within = |some: &[Rule], all: &[Rule]| {
        let mut all = all.iter();
        some.iter().all(|one| all.any(|other| other == one))
    };
    let mut kept = kept_chains(old, new);
    let all_stay = old
        .iter()
        .all(|old| new.iter().any(|new| new.name == old.name));
    all_stay && kept.all(|(old, new)| old.base == new.base && within(&old.rules, &new.rules))
}

fn are_same_kind((old, new): (&Set, &Set)) -> bool {
    let data = match (&old.elements, &new.elements) {
        (Elements::Targets(old, _), Elements::Targets(new, _)) => old == new,
        (old, new) => std::mem::discriminant(old) == std::mem::discriminant(new),
    };
    data && old.name == new.name && old.key == new.key && old.intervals == new.intervals
}

/// What leads to a group or chain goes before it does, and comes after it came.
fn elements(old: &Table, new: &Table, rechain: Option<Change>) -> Vec<Change> {
    let pairs = || {
        let of_groups =
            kept_groups(old, new).flat_map(|(old, new)| kept_sets(&old.sets, &new.sets));
        kept_sets(&old.sets, &new.sets).chain(of_groups)
    };
    let set_of = |set: &Set| SetRef {
        family: new.family,
        table: new.name.clone(),
        set: set.name.clone(),
        intervals: set.intervals,
    };
    let taken = pairs().map(|(old, new)| (set_of(new), missing(&old.elements, &new.elements)));
    let put = pairs().map(|(old, new)| (set_of(new), missing(&new.elements, &old.elements)));
    let taken = taken.map(|(set, elements)| Change::Take(set, elements));
    let changes = taken.chain(groups(old, new)).chain(rechain);
    let changes = changes.chain(put.map(|(set, elements)| Change::Put(set, elements)));
    changes.filter(|change| !change.is_empty()).collect()
}

fn groups<'a>(old: &'a Table, new: &'a Table) -> impl Iterator<Item = Change> + 'a {
    let place = || (new.family, new.name.clone());
    let only = |these: &Table, those: &Table| {
        let missing = |(name, _): &(&Name, &Group)| !those.groups.contains_key(*name);
        let only = these.groups.iter().filter(missing);
        only.map(|(_, group)| group.clone()).collect::<Vec<_>>()
    };
    let (gone, come) = (only(old, new), only(new, old));
    let gone = gone.into_iter();
    let gone = gone.map(move |group| Change::RemoveGroup(place(), group));
    let come = come.into_iter();
    let come = come.map(move |group| Change::AddGroup(place(), group));
    let kept = kept_groups(old, new).filter(|(old, new)| !old.has_shape_of(new));
    let kept = kept.map(move |(old, new)| {
        let both = Box::new([old.clone(), new.clone()]);
        Change::Reshape(place(), both)
    });
    gone.chain(come).chain(kept)
}

impl Group {
    /// Reports whether nothing of two groups differs but what their sets hold.
    fn has_shape_of(&self, other: &Self) -> bool {
        let names = |group: &Self| -> Vec<Name> {
            let sets = group.sets.iter();
            sets.map(|set| set.name.clone()).collect()
        };
        self.chain == other.chain && self.audit == other.audit && names(self) == names(other)
    }

    /// Takes the rules of another, and its sets; what a set holds it keeps.
    fn reshape(&mut self, into: Self) {
        let mut held = std::mem::replace(self, into);
        for set in &mut self.sets {
            let mut held = held.sets.iter_mut();
            if let Some(old) = held.find(|old| old.name == set.name) {
                std::mem::swap(&mut set.elements, &mut old.elements);
            }
        }
    }
}

/// Gives what `these` hold and `those` do not, or hold otherwise.
fn missing(these: &Elements, those: &Elements) -> Elements {
    match (these, those) {
        (Elements::Keys(these), Elements::Keys(those)) => Elements::Keys(differing(these, those)),
        (Elements::Timed(these), Elements::Timed(those)) => {
            Elements::Timed(differing(these, those))
        }
        (Elements::Actions(these), Elements::Actions(those)) => {
            Elements::Actions(differing(these, those))
        }
        (Elements::Targets(family, these), Elements::Targets(_, those)) => {
            Elements::Targets(*family, differing(these, those))
        }
        (Elements::Ethers(these), Elements::Ethers(those)) => {
            Elements::Ethers(differing(these, those))
        }
        (these, _) => these.clone(),
    }
}

/// Walks both maps once, side by side.
fn differing<V: Clone + PartialEq>(
    these: &BTreeMap<Key, V>,
    those: &BTreeMap<Key, V>,
) -> BTreeMap<Key, V> {
    let mut those = those.iter().peekable();
    let differs = |(key, value): &(&Key, &V)| {
        while those.next_if(|(other, _)| other < key).is_some() {}
        those.peek() != Some(&(*key, *value))
    };
    let differing = these.iter().filter(differs);
    differing.map(|(k, v)| (k.clone(), v.clone())).collect()
}

impl Change {
    /// Does to a value what the kernel does with the change.
    pub fn apply(self, ruleset: &mut Ruleset) {
        match self {
            Self::Replace(table) => {
                let same =
                    |one: &&mut Table| (one.family, &one.name) == (table.family, &table.name);
                match ruleset.tables.iter_mut().find(same) {
                    Some(place) => *place = table,
                    None => ruleset.tables.push(table),
                }
            }
            Self::Remove(family, name) => remove(ruleset, family, &name),
            Self::AddGroup(place, group) => {
                if let Some(table) = table_in(ruleset, &place) {
                    table.groups.insert(group.chain.name.clone(), group);
                }
            }
            Self::RemoveGroup(place, group) => {
                if let Some(table) = table_in(ruleset, &place) {
                    table.groups.remove(&group.chain.name);
                }
            }
            Self::Reshape(place, both) => {
                let [old, new] = *both;
                let group = table_in(ruleset, &place)
                    .and_then(|table| table.groups.get_mut(&old.chain.name));
                if let Some(group) = group {
                    group.reshape(new);
                }
            }
            Self::Rechain(place, [_, new]) => {
                if let Some(table) = table_in(ruleset, &place) {
                    table.chains = new;
                }
            }
            Self::Take(set, elements) => {
                if let Some(held) = set.elements_in(ruleset) {
                    take(held, &elements);
                }
            }
            Self::Put(set, elements) => {
                if let Some(held) = set.elements_in(ruleset) {
                    put(held, elements);
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Take(_, elements) | Self::Put(_, elements) => elements.is_empty(),
            Self::Replace(_)
            | Self::Remove(..)
            | Self::AddGroup(..)
            | Self::RemoveGroup(..)
            | Self::Reshape(..)
            | Self::Rechain(..) => false,
        }
    }
}

impl SetRef {
    fn elements_in<'a>(&self, ruleset: &'a mut Ruleset) -> Option<&'a mut Elements> {
        let mut tables = ruleset.tables.iter_mut();
        let table = tables.find(|table| table.family == self.family && table.name == self.table)?;
        Some(&mut table.set_mut(&self.set)?.elements)
    }
}

fn table_in<'a>(ruleset: &'a mut Ruleset, place: &(Family, Name)) -> Option<&'a mut Table> {
    let mut tables = ruleset.tables.iter_mut();
    tables.find(|table| (table.family, &table.name) == (place.0, &place.1))
}

fn remove(ruleset: &mut Ruleset, family: Family, name: &Name) {
    let other = |table: &Table| table.family != family || table.name != *name;
    ruleset.tables.retain(other);
}

fn take(held: &mut Elements, taken: &Elements) {
    match (held, taken) {
        (Elements::Keys(held), Elements::Keys(taken)) => lose(held, taken),
        (Elements::Timed(held), Elements::Timed(taken)) => lose(held, taken),
        (Elements::Actions(held), Elements::Actions(taken)) => lose(held, taken),
        (Elements::Targets(_, held), Elements::Targets(_, taken)) => lose(held, taken),
        (Elements::Ethers(held), Elements::Ethers(taken)) => lose(held, taken),
        (_, _) => {} // `plan` never mixes kinds
    }
}

fn lose<V>(held: &mut BTreeMap<Key, V>, taken: &BTreeMap<Key, V>) {
    for key in taken.keys() {
        held.remove(key);
    }
}

fn put(held: &mut Elements, put: Elements) {
    match (held, put) {
        (Elements::Keys(held), Elements::Keys(put)) => held.extend(put),
        (Elements::Timed(held), Elements::Timed(put)) => held.extend(put),
        (Elements::Actions(held), Elements::Actions(put)) => held.extend(put),
        (Elements::Targets(_, held), Elements::Targets(_, put)) => held.extend(put),
        (Elements::Ethers(held), Elements::Ethers(put)) => held.extend(put),
        (_, _) => {} // `plan` never mixes kinds
    }
}

#[cfg(test)]
mod tests {
    use crate::{Topology, compile};

    use super::*;

    /// Gives rules of which the last of one chain stands in another.
    fn moved(from: usize, to: usize) -> [Ruleset; 2] {
        let old = compile(&Topology::default());
        let mut new = old.clone();
        let chains = &mut new.tables[0].chains;
        let rule = chains[from].rules.pop().unwrap();
        chains[to].rules.push(rule);
        [old, new]
    }

    #[test]
    fn a_rule_that_moves_to_another_chain_replaces_the_table_for_no_packet_may_slip_past_both() {
        let filled = |ruleset: &Ruleset, at: usize| !ruleset.tables[0].chains[at].rules.is_empty();
        let whole = compile(&Topology::default());
        let places: Vec<usize> = (0..whole.tables[0].chains.len())
            .filter(|at| filled(&whole, *at))
            .collect();
        for pair in places.windows(2) {
            for (from, to) in [(pair[0], pair[1]), (pair[1], pair[0])] {
                let [old, new] = moved(from, to);
                let changes = plan(&old, &new);
                let replaced = |change: &Change| matches!(change, Change::Replace(_));
                assert!(changes.iter().any(replaced), "{from} to {to}: {changes:?}");
            }
        }
    }
}
