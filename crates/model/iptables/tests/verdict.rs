//! The rules of this back end say of every packet what the topology says of it.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]

#[path = "../../policy/tests/worlds/mod.rs"]
#[expect(dead_code, reason = "frames are judged by the other back end")]
mod worlds;

use std::net::IpAddr;

use hakone_iptables_model::{OWN, Tables, Target, compile};
use hakone_policy::{
    Bridge, Flow, Host, Options, Origin, Packet, Ruleset, SourceSeen, Telling, Topology, Verdict,
    compile_frames,
};
use proptest::{prelude::*, strategy::ValueTree as _};
use worlds::{any_bridged, any_packet, any_topology, host};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn tables_agree_with_topology(
        topology in any_topology(),
        packets in prop::collection::vec(any_packet(), 100),
        bridged in any_bridged(),
    ) {
        let (rules, host) = (compile(&topology), host(&topology).with_bridged(bridged));
        let beside = compile_frames(&topology);
        for packet in packets {
            // Where the host sends to before its ports are led elsewhere is the first test's subject.
            if packet.origin == Origin::Host && !topology.policies.is_empty() {
                continue;
            }
            let strange = is_strange(&topology, &host, &packet);
            let did = judged(&beside, &host, &packet, rules.verdict(&host, &packet));
            let [did, meant] = [did, topology.verdict(&host, &packet)]
                .map(|verdict| if strange { seen_as_it_is(verdict) } else { verdict });
            prop_assert_eq!(did, meant, "{:?}\n{}", packet, rules);
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
    fn a_chain_holds_no_rule_twice_and_calls_what_is_there(topology in any_topology()) {
        let tables = compile(&topology);
        for table in tables.v4.iter().chain(&tables.v6) {
            for chain in &table.chains {
                let lines = chain.lines();
                prop_assert!(chain.is_own() || lines.iter().all(|line| line.contains("--comment hakone")));
                prop_assert_eq!(chain.is_own(), chain.name.starts_with(OWN));
                let mut once = lines.clone();
                once.sort();
                once.dedup();
                prop_assert_eq!(once.len(), lines.len(), "{:?}", lines);
            }
        }
    }
}

/// Policies stand in nftables beside these rules, and see where those led the packet.
fn judged(beside: &Ruleset, host: &Host, packet: &Packet, verdict: Verdict) -> Verdict {
    let Verdict::Delivered(delivery) = &verdict else {
        return verdict;
    };
    let mut led = packet.clone();
    led.destination = delivery.destination;
    led.transport.port = delivery.port;
    if let Flow::Known { restored, .. } = &mut led.flow {
        *restored = None;
    }
    match beside.verdict(host, &led) {
        Verdict::Dropped => Verdict::Dropped,
        Verdict::Delivered(_) => verdict,
    }
}

/// What rules by source cannot tell and no kernel does: link-local and no sources are never forwarded, a process of the host
/// uses the address of a container only by force, and so does anybody else the address beside its subnet that a container
/// shares. Whether such a packet passes is compared all the same.
fn is_strange(topology: &Topology, host: &Host, packet: &Packet) -> bool {
    let unforwarded = matches!(packet.source, IpAddr::V6(address)
        if address.is_unicast_link_local() || address.is_unspecified());
    let forced = packet.origin == Origin::Host && !host.is_local(packet.source);
    let is_used = |bridge: &Bridge| {
        let own = matches!(&packet.origin, Origin::Interface(name) if *name == bridge.name);
        let member = bridge
            .subnets
            .iter()
            .any(|subnet| subnet.contains(packet.source));
        let mut endpoints = bridge.endpoints.iter();
        let shared = endpoints.any(|endpoint| endpoint.addresses.contains(&packet.source));
        (forced && member) || (shared && !own)
    };
    unforwarded || topology.bridges.iter().any(is_used)
}

fn seen_as_it_is(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Delivered(mut delivery) => {
            delivery.source = SourceSeen::Kept;
            Verdict::Delivered(delivery)
        }
        Verdict::Dropped => Verdict::Dropped,
    }
}

#[test]
fn rules_of_no_network_drop_no_honest_packet() {
    let topology = Topology::default();
    let packet = Packet {
        origin: Origin::Interface("eth0".parse().unwrap()),
        source: "198.51.100.9".parse().unwrap(),
        destination: "203.0.113.9".parse().unwrap(),
        transport: hakone_policy::Transport::to_port(6, 80),
        flow: Flow::New,
        crowded: false,
        scanning: false,
    };
    let verdict = compile(&topology).verdict(&host(&topology), &packet);
    assert!(matches!(verdict, Verdict::Delivered(_)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whoever adds a rule that drops need not think of the log, but for the name of a new chain.
    #[test]
    fn what_is_told_is_dropped_by_chains_that_tell(topology in any_topology()) {
        let telling = |telling| {
            let options = Options { telling, ..topology.options };
            compile(&Topology { options, ..topology.clone() })
        };
        let silent = telling(Telling::Silent).to_string();
        prop_assert!(!silent.contains("NFLOG"));
        let told = telling(Telling::Told);
        for table in told.v4.iter().chain(&told.v6) {
            for chain in &table.chains {
                let drops = chain.rules.iter().any(|rule| rule.target == Target::Drop);
                let tells = chain.rules.iter().any(|rule| matches!(rule.target, Target::Tell(_)));
                prop_assert!(!drops || tells, "{} drops and tells nobody", chain.name);
                prop_assert!(chain.name.len() <= 28);
            }
        }
    }
}

#[test]
fn a_kernel_that_cannot_count_gets_no_rule_that_counts() {
    let counts = |tables: &Tables| tables.to_string().contains("connlimit");
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut topology = any_topology().new_tree(&mut runner).unwrap().current();
    while topology.bridges.is_empty() {
        topology = any_topology().new_tree(&mut runner).unwrap().current();
    }
    let tables = compile(&topology);
    assert!(counts(&tables) && !counts(&tables.without_quotas()));
}
