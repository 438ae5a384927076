//! What rules cost: a whole load, one endpoint or policy more or less, a new flow to a published port, and a connection between
//! two containers. Needs root.
#![expect(clippy::unwrap_used, reason = "a bench that cannot run says so")]
#![expect(clippy::indexing_slicing, reason = "a bench of fixed worlds")]
#![expect(clippy::print_stdout, reason = "the table is the result")]

#[path = "../tests/lab/mod.rs"]
#[expect(dead_code, reason = "the bench needs no random worlds")]
mod lab;

use std::{
    io::Read as _,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use hakone_base::{
    ContainerId, EndpointId, ExposedPort, MacAddr, NetworkId, Protocol, PublishedPort,
};
use hakone_network_policy::{
    Facts, Identity, Labels, Mode, Peers, Policy, PolicyKey, PortRange, Ports, Requirement,
    Rule as PolicyRule, Selector, Subject,
};
use hakone_nft::Firewall;
use hakone_policy::{
    Access, Bridge, Endpoint, FlowQuota, HostAccess, Icc, Metadata, Multicast, Options, Topology,
    compile, plan,
};
use lab::Lab;
use rustix::time::{ClockId, clock_gettime};

fn endpoint(index: u16) -> Endpoint {
    let [high, low] = (index + 2).to_be_bytes();
    let mut id = [0; 32];
    id[..2].copy_from_slice(&[high, low]);
    Endpoint {
        id: EndpointId::from_bytes(id),
        container: ContainerId::from_bytes(id),
        identity: Identity::of(Facts {
            container: &ContainerId::from_bytes(id),
            name: &format!("c{index}"),
            labels: &[("app".to_owned(), format!("a{}", index / 2))].into(),
            network: "bench",
            network_labels: &Labels::new(),
        }),
        port: format!("hk{index}").parse().unwrap(),
        mac: MacAddr::new([2, 0x42, 172, 18, high, low]),
        addresses: vec![IpAddr::from([172, 18, high, low])],
        published: vec![PublishedPort {
            host_address: IpAddr::from([0, 0, 0, 0]),
            host_port: (10_000 + index).try_into().unwrap(),
            target: ExposedPort {
                port: 80.try_into().unwrap(),
                protocol: Protocol::Udp,
            },
        }],
    }
}

fn topology(endpoints: u16) -> Topology {
    Topology {
        bridges: vec![Bridge {
            network: NetworkId::from_bytes([1; 32]),
            name: "br-bench".parse().unwrap(),
            mac: MacAddr::new([2, 0x42, 172, 18, 0, 1]),
            subnets: vec!["172.18.0.0/16".parse().unwrap()],
            gateways: vec![IpAddr::from([172, 18, 0, 1])],
            internal: false,
            icc: Icc::Allowed,
            multicast: Multicast::Denied,
            metadata: Metadata::Denied,
            host_access: HostAccess::All,
            links: Vec::new(),
            access: Access::default(),
            masquerade: true,
            endpoints: (0..endpoints).map(endpoint).collect(),
        }],
        options: Options::default(),
        resolvers: Vec::new(),
        policies: Vec::new(),
        resolved: Vec::new(),
    }
}

/// Runs it often; gives median, ninetieth percentile, and the mean of the processor time, which other programs' load changes least.
fn measure(times: usize, mut run: impl FnMut(usize)) -> [Duration; 3] {
    let before = processor_time();
    let mut took: Vec<Duration> = (0..times)
        .map(|n| {
            let start = Instant::now();
            run(n);
            start.elapsed()
        })
        .collect();
    let used = processor_time().saturating_sub(before) / u32::try_from(times).unwrap();
    took.sort();
    [took[times / 2], took[times * 9 / 10], used]
}

/// The kernel's work on our requests counts as ours.
fn processor_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap()
}

fn row(what: &str, [median, slow, used]: [Duration; 3]) {
    println!("{what:<58} {median:>10.1?} {slow:>10.1?} {used:>10.1?}");
}

fn main() {
    println!(
        "{:<58} {:>10} {:>10} {:>10}",
        "", "median", "p90", "processor"
    );
    for endpoints in [3, 1_000] {
        let lab = Lab::new(&topology(0), &[], false);
        lab.places[0].run(|| rules(endpoints));
    }
    for ports in [1, 1_000] {
        flows(ports, 0);
    }
    flows(1_000, 500);
    connections();
    let lab = Lab::new(&topology(0), &[], false);
    lab.places[0].run(policies_of_many);
}

/// Gives policies that select two endpoints each and open what the benches send, and each a port of its own.
fn policies(count: u16) -> Vec<Policy> {
    let policy = |number: u16| {
        let label = Requirement::In("app".to_owned(), [format!("a{number}")].into());
        Policy {
            key: PolicyKey {
                namespace: "bench".to_owned(),
                name: format!("p{number}"),
            },
            mode: Mode::Enforce,
            subject: Subject::Selected(Selector::new(vec![label])),
            ingress: Some(vec![to(80), to(20_000 + 2 * number)]),
            egress: None,
        }
    };
    (0..count).map(policy).collect()
}

fn to(port: u16) -> PolicyRule {
    let range = |protocol| PortRange::one(protocol, port);
    PolicyRule {
        peers: Peers::All,
        ports: Ports::These([Protocol::Udp, Protocol::Tcp].map(range).into()),
    }
}

/// One policy about all of 1,000 endpoints comes and goes: where others are there, and as the only one.
fn policies_of_many() {
    let about_all = |ingress| Policy {
        key: PolicyKey {
            namespace: "bench".to_owned(),
            name: "all".to_owned(),
        },
        mode: Mode::Enforce,
        subject: Subject::Selected(Selector::default()),
        ingress: Some(ingress),
        egress: Some(Vec::new()),
    };
    let (closing, opening) = (about_all(Vec::new()), about_all(vec![to(9100)]));
    for (others, what, all) in [
        (0, "opens a port", &opening),
        (1, "opens a port", &opening),
        (500, "closes", &closing),
        (500, "opens a port", &opening),
    ] {
        let without = Topology {
            policies: policies(others),
            ..topology(1_000)
        };
        let mut with = without.clone();
        with.policies.push(all.clone());
        let mut firewall = Firewall::open().unwrap();
        firewall.load(&compile(&without)).unwrap();
        let next = |n: usize| if n.is_multiple_of(2) { &with } else { &without };
        let took = measure(20, |n| firewall.update(&compile(next(n))).unwrap());
        row(
            &format!("a policy that {what} of 1,000 endpoints, {others} others"),
            took,
        );
        let pure = measure(20, |n| {
            let (old, new) = (compile(next(n)), compile(next(n + 1)));
            drop(plan(&old, &new));
        });
        row("    of which ours: compiled twice and compared", pure);
    }
}

/// How often the rules change while connections are made under them in turn.
const TURNS: usize = 40;
/// How many connections are made in each turn.
const CONNECTIONS: usize = 200;

/// A connection from one container to another of its network, among 1,000 endpoints, without policies and with; in turns, for the
/// machine has other work.
fn connections() {
    let wanted = |count| {
        let options = Options {
            flows: FlowQuota(u32::MAX),
            ..Options::default()
        };
        Topology {
            policies: policies(count),
            options,
            ..topology(1_000)
        }
    };
    let rows = [0, 1, 500].map(|count| (count, compile(&wanted(count))));
    let lab = Lab::new(&topology(2), &[], false);
    let mut firewall = lab.places[0].run(|| Firewall::open().unwrap());
    let server = SocketAddr::from((Ipv4Addr::new(172, 18, 0, 3), 80));
    let listener = lab.places[3].run(|| TcpListener::bind(server).unwrap());
    let mut took = rows.each_ref().map(|_| Vec::new());
    thread::scope(|scope| {
        // It ends with the connections, of which it knows the number.
        scope.spawn(|| {
            let all = listener.incoming().take(TURNS * CONNECTIONS * rows.len());
            // Who asked leaves first, by a reset: nothing waits behind it.
            all.for_each(|connection| drop(connection.unwrap().read(&mut [0])));
        });
        for _ in 0..TURNS {
            for ((_, rules), took) in rows.iter().zip(&mut took) {
                firewall.update(rules).unwrap();
                took.extend(lab.places[2].run(|| connect(server)));
            }
        }
    });
    for ((count, _), mut took) in rows.into_iter().zip(took) {
        took.sort();
        let (median, slow) = (took[took.len() / 2], took[took.len() * 9 / 10]);
        let mean = took.iter().sum::<Duration>() / u32::try_from(took.len()).unwrap();
        row(
            &format!("a connection between members, {count} policies (mean last)"),
            [median, slow, mean],
        );
    }
}

fn connect(to: SocketAddr) -> Vec<Duration> {
    let one = |_| {
        let start = Instant::now();
        let connection = TcpStream::connect(to).unwrap();
        let took = start.elapsed();
        abandon(&connection);
        took
    };
    (0..CONNECTIONS).map(one).collect()
}

/// Leaves nothing waiting behind a connection.
fn abandon(connection: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(connection, Some(Duration::ZERO)).unwrap();
}

fn rules(endpoints: u16) {
    let wanted = topology(endpoints);
    let (with, without) = (compile(&wanted), compile(&topology(endpoints - 1)));
    row(
        &format!("compile, {endpoints} endpoints"),
        measure(100, |_| drop(compile(&wanted))),
    );
    let mut firewall = Firewall::open().unwrap();
    let load = measure(100, |_| firewall.load(&with).unwrap());
    row(
        &format!("load whole, {endpoints} endpoints with a published port each"),
        load,
    );
    let update = measure(500, |n| {
        let next = if n % 2 == 0 { &without } else { &with };
        firewall.update(next).unwrap();
    });
    row(&format!("update of one endpoint among {endpoints}"), update);
}

/// A datagram from a new port to the last published port, until the container has it: a new flow through conntrack and NAT.
fn flows(ports: u16, policies: u16) {
    let mut first = topology(1);
    let lab = Lab::new(&first, &[], false);
    let bridge = &mut first.bridges[0];
    let last = 10_000 + ports - 1;
    bridge.endpoints = (0..ports).map(endpoint).rev().collect();
    bridge.endpoints[0].addresses = vec![IpAddr::from([172, 18, 0, 2])];
    first.policies = self::policies(policies);
    let rules = compile(&first);
    lab.places[0].run(|| Firewall::open().unwrap().load(&rules).unwrap());
    let took = lab.places[1].run(|| {
        measure(5_000, |_| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            socket.send_to(&[0; 4], ("192.0.2.1", last)).unwrap();
        })
    });
    let arrived = lab.arrivals(&[0]).len();
    assert_eq!(arrived, 1, "the published port leads nowhere");
    row(
        &format!("a new flow to the last of {ports} published ports, {policies} policies"),
        took,
    );
}
