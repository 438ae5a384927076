//! The kernel holds what the rules say: real packets through real bridges meet the fate that the model foretold.
#![expect(
    clippy::indexing_slicing,
    reason = "places of a lab that the test built"
)]
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[expect(dead_code, reason = "other tests ask for more of the lab")]
mod lab;
#[path = "../../../model/policy/tests/worlds/mod.rs"]
#[expect(dead_code, reason = "packets of the model are another test's subject")]
mod worlds;

use std::net::IpAddr;

use hakone_base::Protocol;
use hakone_policy::{
    Flow, Moment, Origin, Packet, Route, SourceSeen, Topology, Transport, Verdict, compile,
};
use lab::{Lab, PORTS, Place};
use proptest::{
    prelude::*,
    sample::{Index, select},
    strategy::ValueTree as _,
    test_runner::TestRunner,
};
use rustix::time::{ClockId, clock_gettime};
use worlds::{
    any_topology, host, host_addresses,
    policies::{any_policies, any_resolved},
};

const TOPOLOGIES: usize = 6;
const PROBES: u32 = 150;
/// How many policies are checked in a commit; `HAKONE_POLICIES` asks for more.
const POLICIES: usize = 60;
/// Policies that one world has in turn, and what is sent under each handful of them.
const POLICIES_A_WORLD: usize = 200;
const PROBES_A_ROUND: u32 = 40;

/// A datagram that really is sent.
struct Probe {
    number: u32,
    from: usize,
    packet: Packet,
    port: u16,
}

fn udp(mut topology: Topology) -> Topology {
    let endpoints = topology
        .bridges
        .iter_mut()
        .flat_map(|bridge| &mut bridge.endpoints);
    for port in endpoints.flat_map(|endpoint| &mut endpoint.published) {
        port.target.protocol = Protocol::Udp;
    }
    lasting(topology)
}

/// Lets answers about names open for as long as the test runs.
fn lasting(mut topology: Topology) -> Topology {
    let now = clock_gettime(ClockId::Boottime).tv_sec;
    let later = Moment(u64::try_from(now).unwrap() + 3000);
    for one in &mut topology.resolved {
        one.until = one.until.map(|_| later);
    }
    topology
}

/// Chooses who sends what to whom, among what passes the host and has a listener at its end.
fn any_probe(lab: &Lab, thief: usize, runner: &mut TestRunner, number: u32) -> Option<Probe> {
    let choice = (
        any::<Index>(),
        any::<Index>(),
        any::<Index>(),
        any::<Index>(),
        select(&PORTS[..]),
    );
    let (from, to, address, source, port) = choice.new_tree(runner).unwrap().current();
    let from = from.index(lab.places.len());
    let (sender, receiver) = (&lab.places[from], to.get(&lab.places));
    let destination = *address.get(&receiver.addresses);
    let sources = sender.addresses.iter().chain(stolen(lab, from, thief));
    let sources: Vec<IpAddr> = sources
        .filter(|own| is_sendable(**own, destination))
        .copied()
        .collect();
    let bridged = is_bridged(sender, receiver) && !lab.is_judged(sender);
    if sources.is_empty() || !is_sendable(destination, destination) || bridged {
        return None;
    }
    let source = *source.get(&sources);
    let at_home = stolen(lab, from, thief).any(|own| *own == destination);
    let martian = receiver.addresses.contains(&source) || sender.addresses.contains(&destination);
    let is_fit = !at_home && (!martian || sender.origin == Origin::Host);
    is_fit.then(|| Probe {
        number,
        from,
        packet: Packet {
            origin: sender.origin.clone(),
            source,
            destination,
            transport: Transport::to_port(17, port),
            flow: Flow::New,
            crowded: false,
            scanning: false,
        },
        port,
    })
}

/// Addresses that the thief took from the first container: only where it is on another network.
fn stolen(lab: &Lab, from: usize, thief: usize) -> impl Iterator<Item = &IpAddr> {
    let victim = lab.places.get(2).filter(|_| from == thief);
    victim.into_iter().flat_map(|victim| &victim.addresses)
}

fn is_sendable(address: IpAddr, like: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    address.is_ipv6() == like.is_ipv6() && !link_local
}

/// Members of one bridge talk past the host, unless policies judge them.
fn is_bridged(sender: &Place, receiver: &Place) -> bool {
    sender.origin == receiver.origin && sender.origin != Origin::Host
}

/// Finds who listens where a packet arrives.
fn receiver(lab: &Lab, route: &Route, destination: IpAddr) -> usize {
    let is_there = |place: &Place| match route {
        Route::Local => place.origin == Origin::Host,
        Route::Through(name) => {
            place.origin == Origin::Interface(name.clone())
                && place.addresses.contains(&destination)
        }
    };
    lab.places.iter().position(is_there).unwrap()
}

fn check(topology: &Topology, runner: &mut TestRunner, bridge_calls_ip: bool) -> (usize, usize) {
    let lab = Lab::new(topology, &host_addresses(), bridge_calls_ip);
    let thief = lab.places.len() - 1;
    let victim = lab
        .places
        .get(2)
        .filter(|victim| victim.origin != lab.places[thief].origin);
    for address in victim.iter().flat_map(|victim| &victim.addresses) {
        lab.places[thief].steal(*address);
    }
    let thief = if victim.is_some() { thief } else { usize::MAX };
    let probes: Vec<Probe> = (0..PROBES)
        .filter_map(|n| any_probe(&lab, thief, runner, n))
        .collect();
    send(&lab, topology, &probes, bridge_calls_ip)
}

/// Sends probes and compares what becomes of each with what the model foretells.
fn send(lab: &Lab, topology: &Topology, probes: &[Probe], bridge_calls_ip: bool) -> (usize, usize) {
    let (facts, rules) = (host(topology), compile(topology));
    let verdicts: Vec<Verdict> = probes
        .iter()
        .map(|p| rules.verdict(&facts, &p.packet))
        .collect();
    for probe in probes {
        let source = Some(probe.packet.source).filter(|_| probe.packet.origin != Origin::Host);
        lab.places[probe.from].send(probe.number, source, (probe.packet.destination, probe.port));
    }
    let delivered = probes.iter().zip(&verdicts);
    let delivered = delivered.filter(|(_, verdict)| **verdict != Verdict::Dropped);
    let awaited: Vec<u32> = delivered.map(|(probe, _)| probe.number).collect();
    let arrivals = lab.arrivals(&awaited);
    for (probe, verdict) in probes.iter().zip(&verdicts) {
        let arrival = arrivals.get(&probe.number).copied();
        compare(lab, probe, verdict, arrival, bridge_calls_ip);
    }
    (awaited.len(), probes.len() - awaited.len())
}

/// Compares what the model foretold of a probe with where it arrived, and as whose.
fn compare(
    lab: &Lab,
    probe: &Probe,
    verdict: &Verdict,
    arrival: Option<(usize, u16, IpAddr)>,
    bridge_calls_ip: bool,
) {
    let packet = &probe.packet;
    let Verdict::Delivered(delivery) = verdict else {
        assert_eq!(arrival, None, "{packet:?} of place {} leaked", probe.from);
        return;
    };
    let lost = || {
        format!(
            "{packet:?} of place {} was lost, not {delivery:?}",
            probe.from
        )
    };
    let (place, port, source) = arrival.ok_or_else(lost).unwrap();
    let expected = receiver(lab, &delivery.to, delivery.destination);
    assert_eq!((place, Some(port)), (expected, delivery.port), "{packet:?}");
    if lab.places[expected].origin == packet.origin && bridge_calls_ip {
        return; // the bridge itself translates there and back, so the source may stay
    }
    match delivery.source {
        SourceSeen::Masqueraded => {
            assert!(
                lab.places[0].addresses.contains(&source),
                "{source}: {packet:?}"
            );
        }
        SourceSeen::Kept if packet.origin == Origin::Host => {}
        SourceSeen::Kept => assert_eq!(source, packet.source, "{packet:?}"),
    }
}

#[test]
fn real_packets_meet_the_fate_that_the_model_foretells() {
    let mut runner = TestRunner::deterministic();
    let (mut delivered, mut dropped) = (0, 0);
    let mut checked = 0;
    while checked < TOPOLOGIES {
        let topology = udp(any_topology().new_tree(&mut runner).unwrap().current());
        if topology.bridges.len() < 2 || topology.bridges[0].endpoints.is_empty() {
            continue;
        }
        let (arrived, refused) = check(&topology, &mut runner, checked % 2 == 1);
        (delivered, dropped, checked) = (delivered + arrived, dropped + refused, checked + 1);
    }
    eprintln!("{delivered} delivered, {dropped} dropped");
    assert!(
        delivered > 100 && dropped > 100,
        "{delivered} delivered, {dropped} dropped"
    );
}

fn policies_wanted() -> usize {
    let asked = std::env::var("HAKONE_POLICIES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(POLICIES)
}

/// A world with neighbours for policies to be about.
fn populated(runner: &mut TestRunner) -> Topology {
    let populated = |topology: &Topology| {
        let mut bridges = topology.bridges.iter();
        topology.bridges.len() >= 2 && bridges.all(|bridge| bridge.endpoints.len() >= 2)
    };
    std::iter::repeat_with(|| udp(any_topology().new_tree(runner).unwrap().current()))
        .find(populated)
        .unwrap()
}

/// Gives the same world other policies and answers, by the update that a running daemon makes.
fn judge_anew(lab: &mut Lab, topology: Topology, runner: &mut TestRunner) -> Topology {
    let (policies, resolved) = (any_policies(), any_resolved())
        .new_tree(runner)
        .unwrap()
        .current();
    let topology = lasting(Topology {
        policies,
        resolved,
        ..topology
    });
    lab.update(&topology);
    topology
}

#[test]
fn random_policies_are_kept_with_real_packets() {
    let mut runner = TestRunner::deterministic();
    let (mut policies, mut sent) = (0, (0, 0));
    let mut number = 0;
    while policies < policies_wanted() {
        let mut topology = populated(&mut runner);
        let bridge_calls_ip = number % 2 == 1;
        let mut lab = Lab::new(&topology, &host_addresses(), bridge_calls_ip);
        let end = policies_wanted().min(policies + POLICIES_A_WORLD);
        while policies < end {
            topology = judge_anew(&mut lab, topology, &mut runner);
            policies += topology.policies.len();
            let numbers = number..number + PROBES_A_ROUND;
            let probes = numbers.filter_map(|n| any_probe(&lab, usize::MAX, &mut runner, n));
            let probes: Vec<Probe> = probes.collect();
            let (arrived, refused) = send(&lab, &topology, &probes, bridge_calls_ip);
            sent = (sent.0 + arrived, sent.1 + refused);
            number += PROBES_A_ROUND + 1;
        }
    }
    let (delivered, dropped) = sent;
    eprintln!("{policies} policies: {delivered} delivered, {dropped} dropped");
    assert!(delivered > 100 && dropped > 100, "{sent:?}");
}
