//! Attacks on what all containers share: the host's tables of flows, neighbours and forwarding entries; and flows that outlive
//! their permission.

use std::{net::UdpSocket, time::Instant};

use hakone_e2e::{Engine, Lab, eventually};

use crate::world::network;

/// Sends a datagram to each port or address; a flow each.
const FLOOD: &str = r#"
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(600):
    s.sendto(b"flow", ("10.99.0.2", 10000 + n))
"#;

/// Frames to the gateway for 600 addresses of the subnet that nobody has.
const SCAN: &str = r#"
import sys
from frames import *
me, gateway = sys.argv[1:3]
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind(("eth0", 0))
own = "10.71.0.%s" % sys.argv[3]
for n in range(600):
    to = "10.71.%d.%d" % (1 + n // 200, 1 + n % 200)
    out.send(ether(gateway, me, 0x800, v4(own, to, 17, udp(1, 2, b"scan"))))
    out.send(ether("ff:ff:ff:ff:ff:ff", me, 0x806, arp(1, me, to, "00:00:00:00:00:00", "10.71.0.1")))
    out.send(ether(gateway, "02:66:00:00:%02x:%02x" % (n >> 8, n & 255), 0x800, v4(own, "10.99.0.2", 17, udp(1, 2))))
"#;

/// Without any privilege: a datagram to each of 600 addresses that nobody has, on a link of IPv4 and one of IPv6.
const SEARCH: &str = r#"
import socket, sys
four, six = sys.argv[1:3]
for n in range(600):
    to = (four % (1 + n // 200, 2 + n % 200), 9) if four.count("%") == 2 else (four % (3 + n % 250), 9)
    for family, address in ((socket.AF_INET, to), (socket.AF_INET6, (six % (0x1000 + n), 9))):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as s:
                s.sendto(b"anybody?", address)
        except OSError:
            pass
"#;

#[expect(
    clippy::disallowed_methods,
    reason = "a program of a laboratory may be torn"
)]
pub(crate) fn python(lab: &Lab, container: &str, program: &str, arguments: &str) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/attacks");
    let file = lab.path("program.py");
    std::fs::write(&file, program).unwrap();
    let pid = lab
        .docker(&format!("inspect -f '{{{{.State.Pid}}}}' {container}"))
        .ok();
    let enter = format!("nsenter --net=/proc/{pid}/ns/net");
    let run = format!(
        "env PYTHONPATH={folder} {enter} /usr/bin/python3 {} {arguments}",
        file.display()
    );
    lab.shell(&run).ok();
}

#[test]
fn one_container_does_not_take_all_flows_of_the_host() {
    let lab = Lab::with(Engine::Hakone, "--flow-quota 200");
    network(&lab, 1, "red", "");
    lab.probe("mallory", "--network red");
    lab.probe("honest", "--network red");
    let count = || {
        let listed = "cat /proc/sys/net/netfilter/nf_conntrack_count";
        lab.host.sh(listed).ok().parse::<u32>().unwrap()
    };
    python(&lab, "mallory", FLOOD, "");
    assert!((150..300).contains(&count()), "{} flows", count());
    assert!(lab.pings("honest", "10.99.0.2"), "its neighbour");
}

#[test]
fn one_container_does_not_fill_the_hosts_neighbours_nor_the_bridges_entries() {
    let lab = Lab::new();
    lab.docker("network create --subnet 10.71.0.0/16 red").ok();
    lab.probe("mallory", "--network red");
    let mac = lab
        .docker("inspect -f '{{.NetworkSettings.Networks.red.MacAddress}}' mallory")
        .ok();
    let last = lab.address("mallory", "red");
    let last = last.rsplit('.').next().unwrap();
    let bridge = lab
        .host
        .sh("ip -o addr show to 10.71.0.1 | cut -d' ' -f2")
        .ok();
    let gateway = crate::world::mac_of(&lab.host, &bridge);
    let count = |of: &str| {
        lab.host
            .sh(&format!("{of} | wc -l"))
            .ok()
            .parse::<u32>()
            .unwrap()
    };
    let (neighbours, entries) = (count("ip neigh"), count("bridge fdb show"));
    python(&lab, "mallory", SCAN, &format!("{mac} {gateway} {last}"));
    assert!(lab.pings("mallory", "10.99.0.2"));
    // The way out may have become known meanwhile: a neighbour on the cable.
    assert!(
        count("ip neigh") <= neighbours + 2,
        "{}",
        lab.host.sh("ip neigh").stdout
    );
    assert_eq!(count("bridge fdb show"), entries);
}

/// The kernel keeps neighbours of all namespaces in one table of a thousand: those that a container itself looks for, and those
/// that the host looks for on its behalf.
#[test]
fn a_container_that_searches_its_networks_leaves_the_table_of_neighbours_to_the_others() {
    for backend in ["nftables", "iptables"] {
        let lab = Lab::with(Engine::Hakone, &format!("--firewall-backend {backend}"));
        lab.docker("network create --ipv6 --subnet 10.71.0.0/16 --subnet fd71::/64 red")
            .ok();
        lab.probe("mallory", "--network red");
        lab.probe("honest", "--network red");
        let honest = lab.address("honest", "red");
        let pid = lab.docker("inspect -f '{{.State.Pid}}' mallory").ok();
        // All that is asked for or was in vain; who answered, and what the engine told, are counted by nobody.
        let unknown = "nud incomplete nud failed | wc -l";
        let inside = |family: &str| {
            let list = format!("nsenter --net=/proc/{pid}/ns/net ip {family} neigh show {unknown}");
            lab.shell(&list).ok().parse::<u32>().unwrap()
        };
        let on_cable = |family: &str| {
            let list = format!("ip {family} neigh show dev cable0 {unknown}");
            lab.host.sh(&list).ok().parse::<u32>().unwrap()
        };
        // Controls: each place shows what is looked for in vain; the longer the search, the more the pace lets through.
        let begun = Instant::now();
        let most = |pace: u64| u32::try_from(pace + 32 * begun.elapsed().as_secs()).unwrap();
        python(&lab, "mallory", SEARCH, "10.71.%d.%d fd71::%x");
        for family in ["-4", "-6"] {
            let asked = inside(family);
            assert!(
                (20..most(260)).contains(&asked),
                "{backend} {family}: {asked} inside"
            );
        }
        python(&lab, "mallory", SEARCH, "10.99.0.%d fd99::%x");
        for family in ["-4", "-6"] {
            let asked = on_cable(family);
            assert!(
                (20..most(220)).contains(&asked),
                "{backend} {family}: {asked} on the cable"
            );
        }
        // Who is known already is spoken to, also by who searched; others search on.
        for line in [
            format!("exec mallory ping -c1 -W2 {honest}"),
            "exec mallory ping -c1 -W2 10.71.0.1".to_owned(),
            "exec honest ping -c1 -W2 10.99.0.2".to_owned(),
        ] {
            let what = format!("{backend}: {line}");
            eventually(&what, || lab.docker(&line).code == 0);
        }
    }
}

#[test]
fn a_port_whose_container_is_gone_lets_nothing_in() {
    let lab = Lab::new();
    network(&lab, 1, "red", "");
    lab.probe("owner", "--network red");
    lab.probe("victim", "--network red");
    lab.probe("guest", "--network container:owner");
    let victim = lab.address("victim", "red");
    let socket = lab.inside("victim", || UdpSocket::bind("0.0.0.0:7000").unwrap());
    socket.set_nonblocking(true).unwrap();
    let held = lab.inside("guest", || UdpSocket::bind("0.0.0.0:0").unwrap());
    held.send_to(b"honest", (victim.as_str(), 7000)).unwrap();
    eventually("the honest datagram comes", || {
        socket.recv(&mut [0; 16]).is_ok()
    });
    lab.docker("rm -f owner").ok();
    for _ in 0..20 {
        held.send_to(b"ghost", (victim.as_str(), 7000)).ok();
    }
    lab.probe("third", "--network red");
    let honest = lab.inside("third", || UdpSocket::bind("0.0.0.0:0").unwrap());
    honest.send_to(b"end", (victim.as_str(), 7000)).unwrap();
    let mut word = [0; 16];
    eventually("the last datagram comes", || match socket.recv(&mut word) {
        Ok(length) => {
            assert_ne!(
                &word[..length],
                b"ghost",
                "a container without its owner speaks"
            );
            &word[..length] == b"end"
        }
        Err(_) => false,
    });
}

#[test]
fn flows_end_when_a_container_leaves_its_network() {
    let lab = Lab::new();
    network(&lab, 1, "red", "");
    lab.probe("leaving", "--network red");
    let address = lab.address("leaving", "red");
    let socket = lab.inside("leaving", || UdpSocket::bind("0.0.0.0:0").unwrap());
    socket.send_to(b"begin", "10.99.0.2:9").unwrap();
    let known = || {
        let flows = lab
            .host
            .sh("cat /proc/net/nf_conntrack 2>/dev/null; true")
            .ok();
        flows.lines().filter(|flow| flow.contains(&address)).count()
    };
    if lab.host.sh("test -e /proc/net/nf_conntrack").code != 0 {
        println!("the kernel lists no flows: nothing to compare");
        return;
    }
    eventually("the flow is known", || known() > 0);
    lab.docker("network disconnect red leaving").ok();
    assert_eq!(known(), 0);
}

/// `flows_outlive_container`: an accomplice outside goes on to speak to flows that a container began before it was removed; whoever gets
/// its address next hears it, at ports that nobody published.
#[test]
fn an_address_comes_without_the_flows_of_who_had_it_before() {
    let lab = Lab::new();
    network(&lab, 1, "red", "");
    lab.probe("friend", "--network red");
    let bind = |name: &str, port: u16| {
        let socket = lab.inside(name, || UdpSocket::bind(("0.0.0.0", port)).unwrap());
        socket.set_nonblocking(true).unwrap();
        socket
    };
    let accomplice = lab.outside.on(|| UdpSocket::bind("10.99.0.2:9").unwrap());
    accomplice.set_nonblocking(true).unwrap();
    let (mut word, mut seen) = ([0; 16], None);
    lab.probe("mallory", "--network red --ip 10.71.0.50");
    let mallory = bind("mallory", 5000);
    mallory.send_to(b"here", "10.99.0.2:9").unwrap();
    eventually("it is heard outside", || {
        seen = accomplice.recv_from(&mut word).ok().map(|(_, from)| from);
        seen.is_some()
    });
    let seen = seen.unwrap();
    eventually("the control: it is answered", || {
        accomplice.send_to(b"hello", seen).unwrap();
        mallory.recv(&mut word).is_ok()
    });
    drop(mallory);
    lab.docker("rm -f mallory").ok();
    lab.probe("victim", "--network red --ip 10.71.0.50");
    let victim = bind("victim", 5000);
    for _ in 0..20 {
        accomplice.send_to(b"ghost", seen).unwrap();
    }
    let honest = bind("friend", 0);
    eventually("the honest datagram comes", || {
        honest.send_to(b"honest", "10.71.0.50:5000").unwrap();
        match victim.recv(&mut word) {
            Ok(length) => {
                assert_ne!(&word[..length], b"ghost", "a flow of another's");
                true
            }
            Err(_) => false,
        }
    });
}
