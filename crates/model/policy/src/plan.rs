//! The difference between two rule sets, as the fewest changes that turn one into the other.
//!
//! Chains and rules are constants of a version, so a running daemon changes elements and whole groups only; a table whose
//! chains or set types differ is replaced. Applied in one transaction, the changes are never seen half done: a group is
//! no base chain, and the maps that lead there change at the same moment.

use std::collections::BTreeMap;

use crate::ruleset::{Elements, Family, Group, Key, Name, Ruleset, Set, Table};

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
        match old.table(table.family, &table.name) {
            Some(old) if is_same_shape(old, table) => changes.extend(elements(old, table)),
            Some(_) | None => changes.push(Change::Replace(table.clone())),
        }
    }
    changes
}

/// Groups come and go whole; one that stays is the same but for what its sets hold.
fn is_same_shape(old: &Table, new: &Table) -> bool {
    let kept = old
        .groups
        .iter()
        .filter_map(|(name, old)| Some((old, new.groups.get(name)?)));
    old.chains == new.chains
        && are_same_kinds(&old.sets, &new.sets)
        && kept
            .into_iter()
            .all(|(old, new)| old.chain == new.chain && are_same_kinds(&old.sets, &new.sets))
}

fn are_same_kinds(old: &[Set], new: &[Set]) -> bool {
    let pairs = old.iter().zip(new);
    old.len() == new.len() && pairs.into_iter().all(|(old, new)| is_same_kind(old, new))
}

fn is_same_kind(old: &Set, new: &Set) -> bool {
    let data = match (&old.elements, &new.elements) {
        (Elements::Targets(old, _), Elements::Targets(new, _)) => old == new,
        (old, new) => std::mem::discriminant(old) == std::mem::discriminant(new),
    };
    data && old.name == new.name && old.key == new.key && old.intervals == new.intervals
}

/// What leads to a group goes before the group does, and comes after it came.
fn elements(old: &Table, new: &Table) -> Vec<Change> {
    let kept = || {
        let groups = old.groups.iter();
        groups.filter_map(|(name, old)| Some((old, new.groups.get(name)?)))
    };
    let pairs = || {
        let of_groups = kept().flat_map(|(old, new)| old.sets.iter().zip(&new.sets));
        old.sets.iter().zip(&new.sets).chain(of_groups)
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
    let changes = taken.chain(groups(old, new));
    let changes = changes.chain(put.map(|(set, elements)| Change::Put(set, elements)));
    changes.filter(|change| !change.is_empty()).collect()
}

fn groups(old: &Table, new: &Table) -> impl Iterator<Item = Change> {
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
    gone.chain(come.map(move |group| Change::AddGroup(place(), group)))
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
            Self::Replace(_) | Self::Remove(..) | Self::AddGroup(..) | Self::RemoveGroup(..) => {
                false
            }
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
