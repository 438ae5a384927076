//! The rules say of every packet what the topology says of it.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]

mod worlds;

use hakone_policy::{Ruleset, Topology, compile, plan};
use proptest::prelude::*;
use worlds::{any_bridged, any_packet, any_topology, frames::any_frame, host};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn rules_agree_with_topology(
        topology in any_topology(),
        packets in prop::collection::vec(any_packet(), 100),
        bridged in any_bridged(),
    ) {
        let (rules, host) = (compile(&topology), host(&topology).with_bridged(bridged));
        for packet in packets {
            let (did, meant) = (rules.verdict(&host, &packet), topology.verdict(&host, &packet));
            prop_assert_eq!(did, meant, "{:?}", packet);
        }
    }

    #[test]
    fn ports_admit_what_the_topology_admits(
        topology in any_topology(),
        frames in prop::collection::vec(any_frame(), 100),
    ) {
        let rules = compile(&topology);
        for frame in frames {
            prop_assert_eq!(rules.admits(&frame), topology.admits(&frame), "{:02x?}", frame);
        }
    }

    #[test]
    fn the_order_of_networks_and_endpoints_changes_nothing(topology in any_topology()) {
        let mut shuffled = topology.clone();
        shuffled.bridges.reverse();
        shuffled.bridges.iter_mut().for_each(|bridge| bridge.endpoints.reverse());
        prop_assert_eq!(compile(&topology), compile(&shuffled));
    }

    #[test]
    fn a_plan_turns_the_old_rules_into_the_new(old in any_topology(), new in any_topology()) {
        let (old, new) = (compile(&old), compile(&new));
        prop_assert_eq!(plan(&old, &new).iter().try_fold(old, apply), Some(new.clone()));
        prop_assert!(plan(&new, &new).is_empty());
    }

    #[test]
    fn applied_changes_give_the_new_rules(old in any_topology(), new in any_topology()) {
        let (mut rules, new) = (compile(&old), compile(&new));
        plan(&rules, &new).into_iter().for_each(|change| change.apply(&mut rules));
        prop_assert_eq!(rules, new);
    }

    #[test]
    fn a_plan_from_nothing_replaces_and_to_nothing_removes(topology in any_topology()) {
        let (empty, rules) = (Ruleset::default(), compile(&topology));
        prop_assert_eq!(plan(&empty, &rules).iter().try_fold(empty.clone(), apply), Some(rules.clone()));
        prop_assert_eq!(plan(&rules, &empty).iter().try_fold(rules, apply), Some(empty));
    }
}

#[test]
fn rules_of_no_network_pass_what_is_not_ours() {
    let topology = Topology::default();
    assert_eq!(compile(&topology), compile(&topology));
    assert!(compile(&topology).tables.iter().all(|table| {
        table
            .sets
            .iter()
            .all(|s| is_constant(s) || s.elements.is_empty())
    }));
}

fn is_constant(set: &hakone_policy::ruleset::Set) -> bool {
    ["harmless", "never_torn", "host_protocols"].contains(&set.name.as_str())
}

/// Applies a change as strictly as the kernel: a missing or present element, set or table is a failure.
fn apply(mut rules: Ruleset, change: &hakone_policy::Change) -> Option<Ruleset> {
    use hakone_policy::{
        Change,
        ruleset::{self, Elements},
    };
    match change {
        Change::Replace(table) => {
            let same =
                |old: &&mut ruleset::Table| (old.family, &old.name) == (table.family, &table.name);
            match rules.tables.iter_mut().find(same) {
                Some(place) => *place = table.clone(),
                None => rules.tables.push(table.clone()),
            }
        }
        Change::Remove(family, name) => {
            rules
                .tables
                .retain(|old| (old.family, &old.name) != (*family, name));
        }
        Change::Take(place, elements) | Change::Put(place, elements) => {
            let take = matches!(change, Change::Take(..));
            let mut tables = rules.tables.iter_mut();
            let table = tables.find(|t| t.family == place.family && t.name == place.table)?;
            let set = table.sets.iter_mut().find(|set| set.name == place.set)?;
            match (&mut set.elements, elements) {
                (Elements::Keys(all), Elements::Keys(some)) => edit(all, some, take)?,
                (Elements::Actions(all), Elements::Actions(some)) => edit(all, some, take)?,
                (Elements::Targets(_, all), Elements::Targets(_, some)) => edit(all, some, take)?,
                _ => return None,
            }
        }
    }
    Some(rules)
}

fn edit<V: Clone + PartialEq>(
    all: &mut std::collections::BTreeMap<hakone_policy::ruleset::Key, V>,
    some: &std::collections::BTreeMap<hakone_policy::ruleset::Key, V>,
    take: bool,
) -> Option<()> {
    some.iter().try_for_each(|(key, value)| match take {
        true => (all.remove(key).as_ref() == Some(value)).then_some(()),
        false => all
            .insert(key.clone(), value.clone())
            .is_none()
            .then_some(()),
    })
}
