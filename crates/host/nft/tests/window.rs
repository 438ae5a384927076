//! No window: while rules are loaded, updated and mended, what is closed stays closed and what is open stays open.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::indexing_slicing, reason = "worlds of known places")]

#[expect(dead_code, reason = "other tests ask for more of the lab")]
mod lab;
#[path = "../../../model/policy/tests/worlds/mod.rs"]
#[expect(dead_code, reason = "random worlds are another test's subject")]
mod worlds;

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use hakone_base::{
    ContainerId, EndpointId, ExposedPort, MacAddr, NetworkId, Protocol, PublishedPort,
};
use hakone_network_policy::{
    Mode, Peers, Policy, PolicyKey, PortRange, Ports, Requirement, Rule, Selector, Subject,
};
use hakone_nft::Firewall;
use hakone_policy::{
    Access, Bridge, Endpoint, HostAccess, Icc, Metadata, Multicast, Options, Ruleset, Topology,
    compile,
};
use lab::{Arrivals, Lab};

/// Marks the probes that must not arrive.
const CLOSED: u32 = 1 << 31;
/// How often the rules change under the eyes of the prober.
const CHANGES: u16 = 300;

fn bridge(index: u8, published: &[u16]) -> Bridge {
    let port = |port: &u16| PublishedPort {
        host_address: IpAddr::from([0, 0, 0, 0]),
        host_port: (*port).try_into().unwrap(),
        target: ExposedPort {
            port: 80.try_into().unwrap(),
            protocol: Protocol::Udp,
        },
    };
    Bridge {
        network: NetworkId::from_bytes([index; 32]),
        name: worlds::bridge_name(index),
        mac: worlds::mac(index, 1),
        subnets: vec![format!("172.{}.0.0/16", 18 + index).parse().unwrap()],
        gateways: vec![worlds::v4(index, 1)],
        internal: false,
        icc: Icc::Allowed,
        multicast: Multicast::Denied,
        metadata: Metadata::Denied,
        host_access: HostAccess::All,
        links: Vec::new(),
        access: Access::default(),
        masquerade: true,
        endpoints: vec![Endpoint {
            id: EndpointId::from_bytes([index; 32]),
            container: ContainerId::from_bytes([index; 32]),
            identity: worlds::policies::plain_identity(index, "window"),
            port: format!("veth{index}").parse().unwrap(),
            mac: MacAddr::new([2, 0, 0, 0, 0, index]),
            addresses: vec![worlds::v4(index, 2)],
            published: published.iter().map(port).collect(),
        }],
    }
}

fn topology(bridges: Vec<Bridge>) -> Topology {
    Topology {
        bridges,
        options: Options::default(),
        resolvers: Vec::new(),
        policies: Vec::new(),
        resolved: Vec::new(),
    }
}

/// Creates a network, publishes a port, reloads all, each time another way.
fn change(firewall: &mut Firewall, base: &Topology, step: u16) {
    let mut next = base.clone();
    next.bridges.push(bridge(2, &[9000 + step]));
    let rules = compile(&next);
    match step % 3 {
        0 => firewall.load(&rules).unwrap(),
        1 => firewall.update(&rules).unwrap(),
        _ => Firewall::open().unwrap().load(&compile(base)).unwrap(),
    }
}

/// Probes of one round; a round is shorter than a listener's queue.
const ROUND: u32 = 50;

/// Sends what must not arrive from a place to an address, and what must from the neighbour to a published port, until the changes are
/// made; counts what was lost and what leaked.
fn watch(lab: &Lab, (from, to): (usize, IpAddr), changes: impl FnOnce() + Send) -> (usize, usize) {
    let (neighbour, prober) = (&lab.places[1], &lab.places[from]);
    let (closed, open) = ((to, 81), ("192.0.2.1".parse().unwrap(), 8000));
    let done = AtomicBool::new(false);
    let (sent, arrivals) = thread::scope(|scope| {
        let probe = scope.spawn(|| {
            let (mut sent, mut arrivals) = (0, Arrivals::new());
            while !done.load(Ordering::Relaxed) || sent < 1000 {
                let awaited: Vec<u32> = (sent..sent + ROUND).collect();
                prober.send_many(awaited.iter().map(|number| number | CLOSED), closed);
                neighbour.send_many(awaited.iter().copied(), open);
                lab.await_arrivals(&awaited, &mut arrivals);
                sent += ROUND;
            }
            (sent, arrivals)
        });
        lab.places[0].run(changes);
        done.store(true, Ordering::Relaxed);
        probe.join().unwrap()
    });
    let lost = (0..sent).filter(|number| !arrivals.contains_key(number));
    let leaked = arrivals.keys().filter(|number| *number & CLOSED != 0);
    (lost.count(), leaked.count())
}

#[test]
fn a_prober_sees_no_window_while_rules_change() {
    let base = topology(vec![bridge(0, &[]), bridge(1, &[8000])]);
    let lab = Lab::new(&base, &worlds::host_addresses(), false);
    let seen = watch(&lab, (2, worlds::v4(1, 2)), || {
        let mut firewall = Firewall::open().unwrap();
        (0..CHANGES).for_each(|step| change(&mut firewall, &base, step));
    });
    assert_eq!(seen, (0, 0), "lost and leaked");
}

/// A network of two, and one whose member publishes a port.
fn neighbours() -> Topology {
    let mut first = bridge(0, &[]);
    let mut second = first.endpoints[0].clone();
    second.id = EndpointId::from_bytes([9; 32]);
    second.container = ContainerId::from_bytes([9; 32]);
    second.identity = worlds::policies::plain_identity(9, "window");
    second.port = "veth9".parse().unwrap();
    second.mac = MacAddr::new([2, 0, 0, 0, 0, 9]);
    second.addresses = vec![worlds::v4(0, 3)];
    first.endpoints.push(second);
    topology(vec![first, bridge(1, &[8000])])
}

/// A policy about the containers of a number, or all of the network of two, that opens these ports of theirs.
fn policy(name: &str, about: &[u8], opened: &[u16]) -> Policy {
    let names = about.iter().map(|number| format!("c{number}")).collect();
    let label = Requirement::In("dev.hakone.container".to_owned(), names);
    let ports = opened.iter();
    let ports = ports.map(|port| PortRange::one(Protocol::Udp, *port));
    Policy {
        key: PolicyKey {
            namespace: "window".to_owned(),
            name: name.to_owned(),
        },
        mode: Mode::Enforce,
        subject: Subject::Selected(Selector::new(vec![label])),
        ingress: Some(vec![Rule {
            peers: Peers::All,
            ports: Ports::These(ports.collect()),
        }]),
        egress: None,
    }
}

fn with_policies(base: &Topology, policies: &[Policy]) -> Ruleset {
    compile(&Topology {
        policies: policies.to_vec(),
        ..base.clone()
    })
}

#[test]
fn a_prober_sees_no_window_while_the_first_policy_and_the_last_come_and_go() {
    let base = neighbours();
    let lab = Lab::new(&base, &worlds::host_addresses(), false);
    let rules = [&[][..], &[policy("some", &[0, 9], &[80])]].map(|some| with_policies(&base, some));
    let seen = watch(&lab, (2, worlds::v4(1, 2)), || {
        let mut firewall = Firewall::open().unwrap();
        let turns = rules.iter().cycle().take(CHANGES.into());
        turns.for_each(|rules| firewall.update(rules).unwrap());
    });
    assert_eq!(seen, (0, 0), "lost and leaked");
}

#[test]
fn what_a_policy_closes_stays_closed_while_others_come_and_go() {
    let base = neighbours();
    let stands = policy("stands", &[9], &[80]);
    let rules = [
        &[stands.clone()][..],
        &[stands.clone(), policy("opens", &[0, 9], &[8001])],
        &[stands.clone(), policy("closes", &[0, 9], &[])],
        &[stands, policy("another", &[0], &[81])],
    ]
    .map(|policies| with_policies(&base, policies));
    let mut lab = Lab::new(&base, &worlds::host_addresses(), false);
    lab.update(&Topology {
        policies: vec![policy("stands", &[9], &[80])],
        ..base.clone()
    });
    let seen = watch(&lab, (2, worlds::v4(0, 3)), || {
        let mut firewall = Firewall::open().unwrap();
        let turns = rules.iter().cycle().take(CHANGES.into());
        turns.for_each(|rules| firewall.update(rules).unwrap());
    });
    assert_eq!(seen, (0, 0), "lost and leaked");
}
