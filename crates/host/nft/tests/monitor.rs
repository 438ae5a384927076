//! The monitor hears of other programs' changes, and of nothing else.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::disallowed_methods, reason = "tests may call nft")]

#[path = "../../../model/policy/tests/worlds/mod.rs"]
#[expect(dead_code, reason = "other tests ask for more of the worlds")]
mod worlds;

use std::process::Command;

use hakone_netns::Netns;
use hakone_nft::{Firewall, Heard, Monitor};
use hakone_policy::{Topology, compile};

fn nft(line: &str) {
    let done = Command::new("nft").arg(line).status().unwrap();
    assert!(done.success(), "{line}");
}

/// Runs a test with our rules loaded and somebody listening.
fn listening(test: impl FnOnce(&mut Firewall, &mut Monitor) + Send) {
    let run = |_: &Netns| {
        let mut firewall = Firewall::open().unwrap();
        firewall.load(&compile(&Topology::default())).unwrap();
        let mut monitor = Monitor::open(&firewall).unwrap();
        test(&mut firewall, &mut monitor);
    };
    Netns::create(run).unwrap();
}

/// The kernel tells a change before it answers the program that made it.
fn heard(monitor: &mut Monitor, line: &str) -> Heard {
    nft(line);
    monitor.read().unwrap()
}

#[test]
fn every_way_to_touch_our_table_is_heard_with_its_author() {
    let attacks = [
        "flush ruleset",
        "delete table inet hakone",
        "flush table inet hakone",
        "flush chain inet hakone forward",
        "add element inet hakone bridges { evil0 }",
        "insert rule inet hakone forward accept",
        "add chain inet hakone early { type filter hook forward priority -500; }",
        "add table inet hakone { flags dormant; }",
        "delete table inet hakone; add table inet hakone",
    ];
    for attack in attacks {
        listening(|firewall, monitor| {
            let edit = heard(monitor, attack).own.unwrap();
            assert_eq!(edit.program, "nft", "{attack}");
            assert!(!firewall.is_newer_than(edit.generation), "{attack}");
            firewall.load(&compile(&Topology::default())).unwrap();
            assert!(firewall.is_newer_than(edit.generation), "{attack}");
        });
    }
}

#[test]
fn neither_our_own_changes_nor_those_of_other_tables_are_heard() {
    listening(|firewall, monitor| {
        firewall.load(&compile(&Topology::default())).unwrap();
        assert!(monitor.read().unwrap().is_empty());
        let strange = "add table inet other; add chain inet other hakone; delete table inet other";
        assert!(heard(monitor, strange).is_empty());
        assert!(heard(monitor, "delete table bridge hakone").own.is_some());
    });
}

#[test]
fn a_table_of_iptables_is_heard_as_shared() {
    listening(|_, monitor| {
        let heard = heard(
            monitor,
            "add table ip filter; add chain ip filter DOCKER-USER",
        );
        assert!(heard.shared.is_some() && heard.own.is_none());
    });
}

#[test]
fn a_flood_beyond_the_backlog_is_told_as_a_loss() {
    listening(|_, monitor| {
        nft("add table inet other; add set inet other s { type ipv4_addr; }");
        let batch = |round: u8| {
            let addresses = (0..=255_u8).flat_map(|c| (0..=255_u8).map(move |d| (c, d)));
            let list: Vec<String> = addresses
                .map(|(c, d)| format!("10.{round}.{c}.{d}"))
                .collect();
            format!("add element inet other s {{ {} }}", list.join(", "))
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut round = 0;
        while !monitor.read().unwrap().lost {
            assert!(round < 50, "no loss after {round} rounds");
            std::fs::write(file.path(), batch(round)).unwrap();
            let done = Command::new("nft").arg("-f").arg(file.path()).status();
            assert!(done.unwrap().success());
            round += 1;
        }
        // It goes on after a loss.
        while !monitor.read().unwrap().is_empty() {}
        assert!(heard(monitor, "flush ruleset").own.is_some());
    });
}
