//! The kernel takes the rules: whole loads, updates, removal, refusals. Needs root; each test has a namespace of its own.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(clippy::disallowed_methods, reason = "asks nft what the kernel holds")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../../../model/policy/tests/worlds/mod.rs"]
#[expect(dead_code, reason = "packets are another test's subject")]
mod worlds;

use std::{
    io::Write as _,
    net::IpAddr,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use hakone_base::{ContainerId, EndpointId, MacAddr, PublishedPort};
use hakone_netns::Netns;
use hakone_nft::Firewall;
use hakone_policy::{Endpoint, Moment, Ruleset, Topology, compile, ruleset::Elements};
use proptest::{
    strategy::{Strategy, ValueTree as _},
    test_runner::TestRunner,
};
use rustix::time::{ClockId, clock_gettime};

fn topologies(count: usize) -> Vec<Topology> {
    let mut runner = TestRunner::deterministic();
    let mut sample = || {
        worlds::any_topology()
            .new_tree(&mut runner)
            .unwrap()
            .current()
    };
    // What the kernel forgets by itself is another test's subject.
    let forgotten = |topology| Topology {
        resolved: Vec::new(),
        ..topology
    };
    (0..count).map(|_| forgotten(sample())).collect()
}

/// A topology with answers that open something, for so many seconds from now on; `None` leaves them out.
fn named(seconds: Option<u64>) -> Topology {
    let mut runner = TestRunner::deterministic();
    let timed = |topology: &Topology| {
        let rules = compile(topology);
        let mut sets = rules.tables.iter().flat_map(|table| table.all_sets());
        sets.any(|set| matches!(&set.elements, Elements::Timed(keys) if !keys.is_empty()))
    };
    let mut topology = std::iter::repeat_with(|| {
        let any = worlds::any_topology().new_tree(&mut runner);
        any.unwrap().current()
    })
    .find(timed)
    .unwrap();
    // Asked for late: worlds take their time.
    let now = u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).unwrap();
    let until = |seconds| Moment(now + seconds);
    match seconds {
        None => topology.resolved.clear(),
        Some(seconds) => {
            for one in &mut topology.resolved {
                one.until = one.until.map(|_| until(seconds));
            }
        }
    }
    topology
}

fn nft(arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("nft");
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "nft {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Lists tables without the counters' values.
fn listing() -> String {
    nft(&["--stateless", "list", "ruleset"], "")
}

/// What the kernel holds when nft itself loads our text.
fn listing_of_text(rules: &Ruleset) -> String {
    let loaded = Netns::create(|_| {
        nft(&["--file", "-"], &rules.to_string());
        listing()
    });
    loaded.unwrap().1
}

/// Leaves out the sets for whose type nft has no name: the kernel holds the same bytes, which the frames of another test show,
/// and nft lists them in two ways.
fn without_targets(listing: &str) -> String {
    ["targets", "targets_ip"]
        .iter()
        .fold(listing.to_owned(), |listing, set| {
            let head = format!("\tset {set} {{");
            let (before, rest) = listing.split_once(&head).unwrap();
            let (_, after) = rest.split_once("\t}\n").unwrap();
            format!("{before}{after}")
        })
}

/// Compares without the order of elements: sets of the kernel have none.
#[track_caller]
fn assert_same(ours: &str, text: &str) {
    let pieces = |listing: &str| {
        let listing = without_targets(listing);
        let line = listing.replace(['\n', '\t'], " ");
        let mut pieces: Vec<String> = line
            .split([',', '{', '}'])
            .map(|p| p.trim().to_owned())
            .collect();
        pieces.sort();
        pieces
    };
    assert!(
        pieces(ours) == pieces(text),
        "\n{ours}\n--- is not ---\n{text}"
    );
}

#[test]
fn the_kernel_holds_what_the_text_says() {
    for topology in topologies(12) {
        let rules = compile(&topology);
        let loaded = Netns::create(|_| {
            Firewall::open().unwrap().load(&rules).unwrap();
            listing()
        });
        let (ours, text) = (loaded.unwrap().1, listing_of_text(&rules));
        assert_same(&ours, &text);
    }
}

/// Counts the elements that the kernel forgets by itself.
fn expiring() -> usize {
    nft(&["list", "ruleset"], "").matches(" expires ").count()
}

#[test]
fn the_kernel_forgets_answers_by_itself_and_updates_go_on_from_there() {
    let done = Netns::create(|_| {
        let mut firewall = Firewall::open().unwrap();
        firewall.load(&compile(&named(Some(1)))).unwrap();
        assert!(expiring() > 0);
        let start = Instant::now();
        while expiring() > 0 {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "nothing was forgotten"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        let listed = listing();
        let mut update = |seconds| firewall.update(&compile(&named(seconds))).unwrap();
        // Taken out though it is gone, put in, put in anew for longer, taken out.
        update(None);
        assert_eq!(listing(), listed, "not loaded whole");
        update(Some(100));
        assert!(nft(&["list", "ruleset"], "").contains("timeout 1m40s"));
        update(Some(3000));
        let text = nft(&["list", "ruleset"], "");
        assert!(
            text.contains("timeout 50m") && !text.contains("timeout 1m40s"),
            "{text}"
        );
        update(None);
        assert_eq!(expiring(), 0);
        assert!(firewall.is_untouched().unwrap());
    });
    done.unwrap();
}

#[test]
fn updates_end_where_a_whole_load_ends() {
    let topologies = topologies(40);
    let ends = Netns::create(|_| {
        let mut firewall = Firewall::open().unwrap();
        let update = |topology| {
            firewall.update(&compile(topology)).unwrap();
            assert!(firewall.is_untouched().unwrap());
            listing()
        };
        topologies.iter().map(update).collect::<Vec<_>>()
    });
    for (end, topology) in ends.unwrap().1.iter().zip(&topologies).step_by(8) {
        assert_same(end, &listing_of_text(&compile(topology)));
    }
}

#[test]
fn loading_twice_changes_nothing_and_clearing_leaves_nothing_of_ours() {
    let rules = compile(&topologies(5)[4]);
    let seen = Netns::create(|_| {
        nft(
            &["--file", "-"],
            "table inet other {\nchain mine {\ndrop\n}\n}\n",
        );
        nft(
            &["--file", "-"],
            "table bridge hakone {\nchain stale {\ndrop\n}\n}\n",
        );
        let foreign = "table inet other {\n\tchain mine {\n\t\tdrop\n\t}\n}\n";
        let mut firewall = Firewall::open().unwrap();
        firewall.load(&rules).unwrap();
        let first = listing();
        firewall.load(&rules).unwrap();
        assert_same(&first, &listing());
        assert!(!first.contains("stale") && first.contains(foreign));
        firewall.clear().unwrap();
        assert_eq!(listing(), foreign);
        firewall.clear().unwrap();
    });
    seen.unwrap();
}

#[test]
fn an_update_mends_what_another_program_tore_down() {
    let all = topologies(20);
    let rules: Vec<Ruleset> = all.iter().map(compile).collect();
    let seen = Netns::create(|_| {
        let mut firewall = Firewall::open().unwrap();
        firewall.load(&rules[0]).unwrap();
        nft(&["flush", "ruleset"], "");
        assert!(!firewall.is_untouched().unwrap());
        // Nothing of ours changes, and still the rules come back.
        firewall.update(&rules[0]).unwrap();
        assert!(listing().contains("table inet hakone"));
        assert!(firewall.is_untouched().unwrap());
    });
    seen.unwrap();
}

#[test]
fn a_refused_transaction_names_its_object_and_leaves_the_old_rules() {
    let rules = compile(&topologies(3)[2]);
    let mut broken = rules.clone();
    let table = broken.tables.first_mut().unwrap();
    table.sets.retain(|set| set.name.as_str() != "gateways_ip");
    let seen = Netns::create(|_| {
        let mut firewall = Firewall::open().unwrap();
        firewall.load(&rules).unwrap();
        let before = listing();
        let error = firewall.load(&broken).unwrap_err().to_string();
        assert_eq!(
            error,
            "the kernel refused rule 10 of chain guard: No such file or directory (os error 2)"
        );
        assert_eq!(before, listing());
        firewall.update(&rules).unwrap();
    });
    seen.unwrap();
}

#[test]
fn the_first_policy_and_the_last_replace_no_table() {
    let with = topologies(40);
    let mut with = with
        .iter()
        .filter(|one| !compile(one).tables[0].groups.is_empty());
    let with = with.next().unwrap();
    let without = compile(&Topology {
        policies: Vec::new(),
        ..with.clone()
    });
    let with = compile(with);
    let seen = Netns::create(|_| {
        let mut firewall = Firewall::open().unwrap();
        firewall.load(&without).unwrap();
        let tables = nft(&["-a", "list", "tables"], "");
        for rules in [&with, &without, &with] {
            firewall.update(rules).unwrap();
            assert_same(&listing(), &listing_of_text(rules));
        }
        assert_eq!(nft(&["-a", "list", "tables"], ""), tables);
    });
    seen.unwrap();
}

#[test]
fn two_thousand_endpoints_load_and_change() {
    let endpoint = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let mut endpoint = template();
        let mut id = [0; 32];
        id[..2].copy_from_slice(&[high, low]);
        endpoint.id = EndpointId::from_bytes(id);
        endpoint.addresses = vec![IpAddr::from([172, 18, high, low])];
        endpoint.published[0].host_port = (10_000 + number).try_into().unwrap();
        endpoint
    };
    let mut topology = topologies(30)
        .into_iter()
        .find(|t| !t.bridges.is_empty())
        .unwrap();
    let bridge = &mut topology.bridges[0];
    bridge.internal = false;
    bridge.endpoints = (2..2002).map(endpoint).collect();
    let all = compile(&topology);
    topology.bridges[0].endpoints.truncate(3);
    let few = compile(&topology);
    let seen = Netns::create(|_| {
        let mut firewall = Firewall::open().unwrap();
        firewall.load(&all).unwrap();
        assert_eq!(listing().matches(" : 172.18.").count(), 2000);
        firewall.update(&few).unwrap();
        assert_eq!(listing().matches(" : 172.18.").count(), 3);
        firewall.update(&all).unwrap();
        assert_eq!(listing().matches(" : 172.18.").count(), 2000);
    });
    seen.unwrap();
}

fn template() -> Endpoint {
    Endpoint {
        id: EndpointId::from_bytes([0; 32]),
        container: ContainerId::from_bytes([0; 32]),
        identity: worlds::policies::plain_identity(0, "n0"),
        port: "veth".parse().unwrap(),
        mac: MacAddr::new([2; 6]),
        addresses: Vec::new(),
        published: vec![PublishedPort {
            host_address: IpAddr::from([0, 0, 0, 0]),
            host_port: 1.try_into().unwrap(),
            target: "80/tcp".parse().unwrap(),
        }],
    }
}
