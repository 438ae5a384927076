//! The rules say of every packet what the topology says of it.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]

#[expect(dead_code, reason = "other tests ask for more of the worlds")]
mod worlds;

use hakone_policy::{
    AUDIT_IN, AUDIT_OUT, Ipv6Rules, Options, Ruleset, Telling, Topology, Verdict, compile, plan,
    ruleset,
};
use proptest::prelude::*;
use worlds::{any_bridged, any_packet, any_topology, frames::any_frame, host};

/// `HAKONE_CASES` asks for more than a commit needs.
fn cases() -> u32 {
    let asked = std::env::var("HAKONE_CASES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(1000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

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
    fn what_audited_policies_would_refuse_is_told_and_passes(
        topology in any_topology(),
        packets in prop::collection::vec(any_packet(), 100),
    ) {
        let options = Options { telling: Telling::Told, ..topology.options };
        let topology = Topology { options, ..topology };
        let (rules, host) = (compile(&topology), host(&topology));
        for packet in packets {
            let passes = matches!(rules.verdict(&host, &packet), Verdict::Delivered(_));
            // Where IPv6 is not ours, nobody looks at it.
            let ours = packet.destination.is_ipv4() || topology.options.ipv6 == Ipv6Rules::Loaded;
            if !passes || !ours {
                continue;
            }
            let told = rules.told(&host, &packet);
            let told = [AUDIT_OUT, AUDIT_IN].map(|way| told.iter().any(|words| words.starts_with(way)));
            prop_assert_eq!(told, topology.audits(&host, &packet), "{:?}", packet);
        }
    }

    #[test]
    fn ports_do_with_frames_what_the_topology_means(
        topology in any_topology(),
        frames in prop::collection::vec(any_frame(), 100),
    ) {
        let rules = compile(&topology);
        for frame in frames {
            let (did, meant) = (rules.passage(&frame), topology.passage(&frame));
            prop_assert_eq!(did, meant, "{:02x?}", frame);
        }
    }

    #[test]
    fn the_order_of_networks_and_endpoints_changes_nothing(topology in any_topology()) {
        let mut shuffled = topology.clone();
        shuffled.bridges.reverse();
        shuffled.policies.reverse();
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
            .all_sets()
            .all(|s| is_constant(s) || s.elements.is_empty())
    }));
}

fn is_constant(set: &hakone_policy::ruleset::Set) -> bool {
    ["harmless", "errors", "never_torn", "host_protocols"].contains(&set.name.as_str())
}

/// Applies a change as strictly as the kernel: a missing or present element, set or table is a failure.
fn apply(mut rules: Ruleset, change: &hakone_policy::Change) -> Option<Ruleset> {
    use hakone_policy::{Change, ruleset::Elements};
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
        Change::AddGroup((family, name), group) => {
            let mut tables = rules.tables.iter_mut();
            let table = tables.find(|t| t.family == *family && t.name == *name)?;
            let taken = table.groups.insert(group.chain.name.clone(), group.clone());
            taken.is_none().then_some(())?;
        }
        Change::RemoveGroup((family, name), group) => {
            let mut tables = rules.tables.iter_mut();
            let table = tables.find(|t| t.family == *family && t.name == *name)?;
            let leads_there = table
                .sets
                .iter()
                .any(|set| leads_to(set, &group.chain.name));
            let gone = table.groups.remove(&group.chain.name);
            (gone.is_some() && !leads_there).then_some(())?;
        }
        Change::Reshape(place, both) => reshape(table_of(&mut rules, place)?, both)?,
        Change::Rechain(place, both) => rechain(table_of(&mut rules, place)?, both)?,
        Change::Take(place, elements) | Change::Put(place, elements) => {
            let take = matches!(change, Change::Take(..));
            let mut tables = rules.tables.iter_mut();
            let table = tables.find(|t| t.family == place.family && t.name == place.table)?;
            let groups = table.groups.values_mut().flat_map(|group| &mut group.sets);
            let mut sets = table.sets.iter_mut().chain(groups);
            let set = sets.find(|set| set.name == place.set)?;
            match (&mut set.elements, elements) {
                (Elements::Keys(all), Elements::Keys(some)) => edit(all, some, take)?,
                (Elements::Timed(all), Elements::Timed(some)) => edit(all, some, take)?,
                (Elements::Actions(all), Elements::Actions(some)) => edit(all, some, take)?,
                (Elements::Targets(_, all), Elements::Targets(_, some)) => edit(all, some, take)?,
                (Elements::Ethers(all), Elements::Ethers(some)) => edit(all, some, take)?,
                _ => return None,
            }
        }
    }
    Some(rules)
}

fn table_of<'a>(
    rules: &'a mut Ruleset,
    (family, name): &(ruleset::Family, ruleset::Name),
) -> Option<&'a mut ruleset::Table> {
    let mut tables = rules.tables.iter_mut();
    tables.find(|table| table.family == *family && table.name == *name)
}

fn reshape(table: &mut ruleset::Table, both: &[ruleset::Group; 2]) -> Option<()> {
    let [old, new] = both;
    let group = table.groups.get_mut(&old.chain.name)?;
    let is_old = group.chain == old.chain && new.chain.name == old.chain.name;
    let held = std::mem::replace(group, new.clone()).sets;
    for set in &mut group.sets {
        if let Some(kept) = held.iter().find(|held| held.name == set.name) {
            *set = kept.clone();
        }
    }
    is_old.then_some(())
}

fn rechain(table: &mut ruleset::Table, [old, new]: &[Vec<ruleset::Chain>; 2]) -> Option<()> {
    let stays = |chain: &ruleset::Chain| new.iter().any(|one| one.name == chain.name);
    let mut gone = old.iter().filter(|chain| !stays(chain));
    let is_led_to = gone.any(|chain| table.all_sets().any(|set| leads_to(set, &chain.name)));
    let is_old = table.chains == *old;
    table.chains = new.clone();
    (is_old && !is_led_to).then_some(())
}

fn leads_to(set: &hakone_policy::ruleset::Set, chain: &hakone_policy::ruleset::Name) -> bool {
    use hakone_policy::ruleset::{Action, Elements};
    match &set.elements {
        Elements::Actions(actions) => actions
            .values()
            .any(|action| *action == Action::Jump(chain.clone())),
        Elements::Keys(_) | Elements::Timed(_) | Elements::Targets(..) | Elements::Ethers(_) => {
            false
        }
    }
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
