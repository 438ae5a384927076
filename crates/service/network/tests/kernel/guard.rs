//! Other programs flush and edit our rules; a prober between isolated networks watches how long anything gets through.
#![expect(clippy::disallowed_methods, reason = "tests may call nft and iptables")]

use std::{
    net::UdpSocket,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use hakone_base::EventKind;

use crate::lab::{Container, Lab, ask, is_cut_off, on_own_host, until};

/// A thousand probes a second.
const BETWEEN_PROBES: Duration = Duration::from_millis(1);

fn sh(line: &str) {
    let done = Command::new("sh").args(["-c", line]).status().unwrap();
    assert!(done.success(), "{line}");
}

fn handle_of_first_rule(chain: &str) -> String {
    let mut list = Command::new("nft");
    let output = list
        .args(["-a", "list", "chain", "inet", "hakone", chain])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let rule = text.lines().find(|line| line.contains("iifname")).unwrap();
    rule.rsplit(' ').next().unwrap().to_owned()
}

/// Shows our rules without what they count and who is known at the moment, but with the bridges that they are about.
fn rules() -> String {
    let shown = [
        "-s -t list table inet hakone",
        "list set inet hakone bridges",
    ]
    .map(|what| {
        let mut list = Command::new("nft");
        let output = list.args(what.split(' ')).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    });
    shown.concat()
}

fn two_networks(lab: &Lab) -> (Container, Container) {
    lab.network("red", |_| {});
    lab.network("blue", |_| {});
    (lab.run("a", &["red"]), lab.run("b", &["blue"]))
}

/// Probes until told to stop; gives when the first and the last probe arrived.
fn probe(from: &Container, to: &Container, stop: &AtomicBool) -> (u32, Vec<Instant>) {
    let listener = to
        .netns
        .on(|| UdpSocket::bind("0.0.0.0:9").unwrap())
        .unwrap();
    listener.set_nonblocking(true).unwrap();
    let sender = from
        .netns
        .on(|| UdpSocket::bind("0.0.0.0:0").unwrap())
        .unwrap();
    let (mut sent, mut arrivals) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        sender.send_to(b"probe", to.at(9)).ok();
        sent += 1;
        thread::sleep(BETWEEN_PROBES);
        while listener.recv_from(&mut [0; 16]).is_ok() {
            arrivals.push(Instant::now());
        }
    }
    (sent, arrivals)
}

fn flush_until(stop: &AtomicBool) -> u64 {
    let mut flushes = 0;
    while !stop.load(Ordering::Relaxed) {
        sh("nft flush ruleset");
        flushes += 1;
    }
    flushes
}

#[test]
fn every_flush_and_edit_is_put_back() {
    on_own_host(|lab| {
        let (a, b) = two_networks(lab);
        b.echo(80);
        let attacks = [
            "nft flush ruleset".to_owned(),
            "nft flush table inet hakone".to_owned(),
            "nft delete table inet hakone".to_owned(),
            "nft flush chain inet hakone forward".to_owned(),
            "nft flush set inet hakone bridges".to_owned(),
            "nft insert rule inet hakone forward accept".to_owned(),
            "nft add table inet hakone '{ flags dormant; }'".to_owned(),
            format!(
                "nft delete rule inet hakone forward handle {}",
                handle_of_first_rule("forward")
            ),
            "nft flush ruleset; iptables -F; iptables -P FORWARD ACCEPT".to_owned(),
        ];
        let before = rules();
        let stop = AtomicBool::new(false);
        let (slowest, (sent, arrivals)) = thread::scope(|scope| {
            let _at_the_end = Stop(&stop);
            let probing = scope.spawn(|| probe(&a, &b, &stop));
            let mut slowest = Duration::ZERO;
            for attack in &attacks {
                sh(attack);
                let flushed = Instant::now();
                // Looked at, and not counted: a repair counted now may be of the attack before.
                until(attack, || rules() == before);
                slowest = slowest.max(flushed.elapsed());
                until(attack, || is_cut_off(&a.netns, b.at(80)));
                until(attack, || ask(lab.host(), b.at(80)).is_some());
            }
            stop.store(true, Ordering::Relaxed);
            (slowest, probing.join().unwrap())
        });
        let told = || lab.service.repairs() >= attacks.len().try_into().unwrap();
        until("the count of all repairs", told);
        // Figures for people: how long a repair takes depends on what else this machine does.
        println!(
            "{} of {sent} probes leaked in {} attacks; slowest repair {slowest:?}",
            arrivals.len(),
            attacks.len()
        );
    });
}

/// Ends the probing whichever way the test ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_repair_is_announced_with_its_culprit() {
    on_own_host(|lab| {
        let mut events = lab.bus.subscribe().live;
        sh("nft flush ruleset");
        let event = lab.runtime.block_on(events.recv()).unwrap();
        assert_eq!(
            (event.kind, event.action.as_str()),
            (EventKind::Daemon, "firewall-repair")
        );
        assert_eq!(
            (event.attributes["program"].as_str(), lab.service.repairs()),
            ("nft", 1)
        );
    });
}

#[test]
fn a_program_that_flushes_without_end_is_answered_at_a_pace_and_loses() {
    on_own_host(|lab| {
        let (a, b) = two_networks(lab);
        b.echo(80);
        let stop = AtomicBool::new(false);
        let flushes = thread::scope(|scope| {
            let here = lab.host();
            let hostile = scope.spawn(|| here.on(|| flush_until(&stop)).unwrap());
            let start = Instant::now();
            thread::sleep(Duration::from_secs(1));
            let repairs = lab.service.repairs();
            let most = 10 + 20 * (start.elapsed().as_secs() + 1);
            stop.store(true, Ordering::Relaxed);
            let flushes = hostile.join().unwrap();
            println!(
                "{repairs} repairs for {flushes} flushes in {:?}",
                start.elapsed()
            );
            assert!(repairs <= most, "{repairs} repairs spin");
            flushes
        });
        assert!(flushes > 0);
        until("the last repair", || is_cut_off(&a.netns, b.at(80)));
    });
}

#[test]
fn our_own_changes_and_other_tables_cause_no_repair() {
    on_own_host(|lab| {
        two_networks(lab);
        sh("nft add table inet other; nft add chain inet other x; nft delete table inet other");
        lab.network("green", |_| {});
        // A change of ours that is heard makes the earlier ones heard too.
        sh("nft flush ruleset");
        until("a repair", || lab.service.repairs() > 0);
        assert_eq!(lab.service.repairs(), 1);
    });
}

#[test]
fn a_flush_before_the_end_of_the_start_is_mended_by_it() {
    on_own_host(|lab| {
        lab.network("red", |_| {});
        lab.crash();
        sh("nft flush ruleset");
        lab.runtime.block_on(lab.service.settle()).unwrap();
        let listing = Command::new("nft")
            .args(["list", "tables"])
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&listing.stdout).contains("hakone"));
        // Whoever hears of the flush before the start has come that far mends it too.
        assert!(lab.service.repairs() <= 1, "{}", lab.service.repairs());
    });
}
