//! The tables, each in its world.

use std::collections::BTreeSet;

use hakone_e2e::{Engine, IMAGE, Lab};

use crate::{
    ear::{At, Ear, attack, be_honest},
    world::{World, mac_of, network},
};

const NOBODY: [&str; 3] = ["02:00:00:00:00:77", "10.71.0.99", "fd71::99"];

/// Fails when any attack of the table was heard, or when the table is not what it was: a lost line is a lost promise.
#[track_caller]
pub(crate) fn judge(
    table: &str,
    sent: &[String],
    heard: impl IntoIterator<Item = BTreeSet<String>>,
    least: usize,
) {
    let through: BTreeSet<String> = heard.into_iter().flatten().collect();
    println!(
        "{table}: {} attacks, {} got through",
        sent.len(),
        through.len()
    );
    assert!(
        sent.len() >= least,
        "{table} has only {} attacks",
        sent.len()
    );
    assert!(through.is_empty(), "{table}: {through:?} got through");
}

/// Two networks of two members each, and a router between them that wants to route and one that does not.
fn two_networks() -> Lab {
    let lab = Lab::new();
    build_two_networks(&lab);
    lab
}

/// A host under which promises have to hold: where the rules stand, and what its administrator tuned.
struct Ground {
    arguments: &'static str,
    sysctls: &'static str,
}

/// What routed packets may do depends on none of this.
const GROUNDS: [Ground; 3] = [
    Ground {
        arguments: "",
        sysctls: "net.ipv4.ip_forward=1",
    },
    Ground {
        arguments: "",
        sysctls: "net.ipv4.conf.all.route_localnet=1 net.ipv4.conf.all.accept_source_route=1 net.ipv4.conf.all.rp_filter=0 \
                  net.ipv4.conf.all.proxy_arp=1 net.ipv4.conf.all.bc_forwarding=1 net.ipv6.conf.all.accept_source_route=1",
    },
    Ground {
        arguments: "--firewall-backend iptables",
        sysctls: "net.ipv4.ip_forward=1",
    },
];

impl Ground {
    fn lab(&self) -> Lab {
        let lab = Lab::with(Engine::Hakone, self.arguments);
        lab.host.sh(&format!("sysctl -qw {}", self.sysctls)).ok();
        lab
    }

    fn two_networks(&self) -> Lab {
        let lab = self.lab();
        build_two_networks(&lab);
        // What was made since takes the host's tuning, too.
        lab.host.sh(&format!("sysctl -qw {}", self.sysctls)).ok();
        lab
    }
}

fn build_two_networks(lab: &Lab) {
    network(lab, 1, "red", "");
    network(lab, 2, "blue", "");
    for (name, options) in [
        ("mallory", "--network red --cap-add NET_ADMIN"),
        ("victim", "--network red"),
        ("other", "--network red"),
        ("far", "--network blue"),
        ("farther", "--network blue"),
        ("router", "--network red --network blue"),
        (
            "willing",
            "--network red --network blue --privileged --sysctl net.ipv4.ip_forward=1 --sysctl net.ipv6.conf.all.forwarding=1",
        ),
    ] {
        lab.probe(name, options);
    }
}

fn world_of(lab: &Lab) -> World {
    World::new()
        .with_container("me", lab, "mallory", "red")
        .with_container("victim", lab, "victim", "red")
        .with_container("other", lab, "other", "red")
        .with_container("foreign", lab, "far", "blue")
        .with_container("foreign_other", lab, "farther", "blue")
        .with_container("router", lab, "router", "red")
        .with_container("willing", lab, "willing", "red")
        .with_gateway("gateway", lab, 1)
        .with_gateway("foreign_gateway", lab, 2)
        .with("unused", NOBODY)
        .with("broadcast", ["ff:ff:ff:ff:ff:ff", "10.71.0.255", ""])
        .with(
            "foreign_broadcast",
            ["ff:ff:ff:ff:ff:ff", "10.72.0.255", ""],
        )
}

#[test]
fn no_lie_reaches_a_neighbour_or_the_bridge() {
    let lab = two_networks();
    let world = world_of(&lab).json();
    let ears = [
        Ear::open(&lab, At::Container("victim"), "packet eth0"),
        Ear::open(&lab, At::Container("other"), "packet eth0"),
        Ear::open(
            &lab,
            At::Machine(&lab.host),
            &format!("packet {}", bridge_of(&lab, 1)),
        ),
    ];
    let before = neighbours(&lab);
    let mallory = At::Container("mallory");
    let sent = attack(&lab, mallory, ("eth0", "forged"), &world);
    for name in ["victim", "other"] {
        be_honest(&lab, mallory, &lab.address(name, "red"), 7000);
    }
    be_honest(&lab, mallory, "10.71.0.1", 7000);
    judge("forged", &sent, ears.map(Ear::heard), 128);
    assert_eq!(
        neighbours(&lab),
        before,
        "the host believes what a container says"
    );
}

/// Errors are believed by their content alone: by hosts, and by connection tracking, which lets them cross as related to the flow.
#[test]
fn no_error_about_anothers_flow_is_believed() {
    for ground in GROUNDS {
        let lab = ground.two_networks();
        let begin = |at: At<'_>| {
            for (family, world) in [("AF_INET", "10.99.0.2"), ("AF_INET6", "fd99::2")] {
                let program = format!(
                    "import socket\ns=socket.socket(socket.{family},socket.SOCK_DGRAM)\ns.bind((\"\",5555))\ns.sendto(b\"x\",(\"{world}\",9999))"
                );
                let enter = at.enter(&lab);
                lab.shell(&format!("{enter} /usr/bin/python3 -c '{program}'"))
                    .ok();
            }
        };
        // Where nobody answers: an honest error would be heard for one of ours.
        lab.outside
            .sh("nft add table inet deaf; nft 'add chain inet deaf in { type filter hook input priority 0; }'; nft add rule inet deaf in udp dport 9999 drop")
            .ok();
        begin(At::Container("victim"));
        begin(At::Container("far"));
        begin(At::Machine(&lab.host));
        let ears = [
            Ear::open(&lab, At::Container("victim"), "packet eth0"),
            Ear::open(&lab, At::Container("far"), "packet eth0"),
            Ear::open(
                &lab,
                At::Machine(&lab.host),
                &format!("packet {}", bridge_of(&lab, 1)),
            ),
        ];
        let world = world_of(&lab).with("world", ["", "10.99.0.2", "fd99::2"]);
        let mallory = At::Container("mallory");
        let sent = attack(&lab, mallory, ("eth0", "about_others"), &world.json());
        be_honest(&lab, mallory, &lab.address("victim", "red"), 7000);
        be_honest(
            &lab,
            At::Container("farther"),
            &lab.address("far", "blue"),
            7000,
        );
        be_honest(&lab, mallory, "10.71.0.1", 7000);
        judge("about_others", &sent, ears.map(Ear::heard), 21);
        // What one says of packets that were meant for oneself is heard. The kernel says so much a second for all its namespaces.
        for address in ["IPAddress", "GlobalIPv6Address"] {
            let path = format!("{{{{(index .NetworkSettings.Networks \"red\").{address}}}}}");
            let address = lab.docker(&format!("inspect -f '{path}' mallory")).ok();
            let program = format!(
                "import socket\nfor f,*_,a in socket.getaddrinfo(\"{address}\",7999,type=socket.SOCK_DGRAM):\n s=socket.socket(f,socket.SOCK_DGRAM)\n s.settimeout(.5)\n s.connect(a)\n for _ in range(100):\n  try: s.send(b\"x\"); s.recv(1)\n  except TimeoutError: pass"
            );
            let enter = At::Container("victim").enter(&lab);
            let told = lab.shell(&format!("{enter} /usr/bin/python3 -c '{program}' 2>&1"));
            let said = told.stdout;
            assert!(said.contains("ConnectionRefused"), "{address}: {said}");
        }
    }
}

/// Without our rules most of it arrives: the ears are good, and it is the rules that keep it out.
#[test]
fn without_rules_the_same_frames_get_through() {
    let lab = Lab::with(Engine::Hakone, "--iptables=false");
    let through = |table: &str, at: At<'_>, how: &str, honest: &str| {
        let ear = Ear::open(&lab, at, how);
        let mallory = At::Container("mallory");
        let sent = attack(&lab, mallory, ("eth0", table), &world_of(&lab).json());
        be_honest(&lab, mallory, honest, 7000);
        (ear.heard().len(), sent.len())
    };
    build_two_networks(&lab);
    let (forged, all) = through(
        "forged",
        At::Container("victim"),
        "packet eth0",
        &lab.address("victim", "red"),
    );
    assert!(forged * 10 > all * 5, "{forged} of {all}");
    let (host, all) = through("to_host", At::Machine(&lab.host), "udp 7000", "10.71.0.1");
    assert!(host >= 4, "{host} of {all}");
    let honest = lab.address("victim", "red");
    let (peer, all) = through("isolated", At::Container("victim"), "packet eth0", &honest);
    assert!(peer * 10 > all * 6, "{peer} of {all}");
}

pub(crate) fn neighbours(lab: &Lab) -> String {
    lab.host.sh("ip neigh show nud permanent | sort").ok()
}

pub(crate) fn bridge_of(lab: &Lab, number: u8) -> String {
    let find = format!("ip -o addr show to 10.7{number}.0.1 | cut -d' ' -f2");
    lab.host.sh(&find).ok()
}

/// With `br_netfilter` and without: isolation rests on the bridge alone.
#[test]
fn members_of_a_network_without_icc_do_not_hear_each_other() {
    for (calls, arguments) in [
        ("0", ""),
        ("1", ""),
        ("0", "--firewall-backend iptables"),
        ("1", "--firewall-backend iptables"),
    ] {
        let lab = Lab::with(Engine::Hakone, arguments);
        let set =
            |family: &str| format!("sysctl -qw net.bridge.bridge-nf-call-{family}tables={calls}");
        lab.host
            .sh(&format!("{}; {}; true", set("ip"), set("ip6")))
            .ok();
        network(
            &lab,
            1,
            "quiet",
            "-o com.docker.network.bridge.enable_icc=false",
        );
        lab.probe("mallory", "--network quiet --privileged");
        lab.probe("victim", "--network quiet -p 7007:7000/udp");
        let world = World::new()
            .with_container("me", &lab, "mallory", "quiet")
            .with_container("victim", &lab, "victim", "quiet")
            .with_gateway("gateway", &lab, 1)
            .with("broadcast", ["ff:ff:ff:ff:ff:ff", "10.71.0.255", ""]);
        let ear = Ear::open(&lab, At::Container("victim"), "packet eth0");
        let mallory = At::Container("mallory");
        let sent = attack(&lab, mallory, ("eth0", "isolated"), &world.json());
        be_honest(&lab, At::Machine(&lab.outside), "10.99.0.1", 7007);
        judge("isolated", &sent, [ear.heard()], 31);
        assert!(lab.pings("mallory", "10.99.0.2"), "the way out");
        assert!(lab.pings("mallory", "10.71.0.1"), "the gateway");
    }
}

#[test]
fn nothing_leaves_under_a_forged_source_or_for_the_clouds_secrets() {
    for ground in GROUNDS {
        let lab = ground.two_networks();
        for address in [
            "169.254.169.254/32",
            "169.254.170.2/32",
            "fd00:ec2::254/128",
        ] {
            lab.outside
                .sh(&format!("ip addr add {address} dev lo"))
                .ok();
        }
        lab.host
            .sh("ip route add 169.254.0.0/16 via 10.99.0.2; ip route add fd00:ec2::254 via fd99::2")
            .ok();
        let ear = Ear::open(&lab, At::Machine(&lab.outside), "packet cable1");
        let mallory = At::Container("mallory");
        let sent = attack(&lab, mallory, ("eth0", "outwards"), &world_of(&lab).json());
        be_honest(&lab, mallory, "10.99.0.2", 7000);
        judge("outwards", &sent, [ear.heard()], 25);
    }
}

#[test]
fn the_host_hears_nothing_that_was_not_meant_for_it() {
    for ground in GROUNDS {
        let lab = ground.two_networks();
        lab.host.sh("ip addr add 169.254.169.254/32 dev lo").ok();
        let ear = Ear::open(&lab, At::Machine(&lab.host), "udp 7000");
        let mallory = At::Container("mallory");
        let sent = attack(&lab, mallory, ("eth0", "to_host"), &world_of(&lab).json());
        // As in Docker, services of the host are open to containers by their own gateway.
        be_honest(&lab, mallory, "10.71.0.1", 7000);
        judge("to_host", &sent, [ear.heard()], 26);
    }
}

#[test]
fn no_frame_crosses_from_one_network_to_another() {
    for ground in GROUNDS {
        let lab = ground.two_networks();
        let ear = Ear::open(&lab, At::Container("far"), "packet eth0");
        let sent = attack(
            &lab,
            At::Container("mallory"),
            ("eth0", "inward"),
            &world_of(&lab).json(),
        );
        be_honest(
            &lab,
            At::Machine(&lab.host),
            &lab.address("far", "blue"),
            7000,
        );
        judge("inward", &sent, [ear.heard()], 30);
    }
}

#[test]
fn an_internal_network_reaches_neither_the_world_nor_the_host() {
    for ground in GROUNDS {
        let lab = ground.lab();
        network(&lab, 1, "cell", "--internal");
        network(&lab, 2, "blue", "");
        lab.probe("mallory", "--network cell --privileged");
        lab.probe("far", "--network blue -p 7008:7000/udp");
        lab.probe("router", "--network cell --network blue");
        lab.probe(
            "willing",
            "--network cell --network blue --privileged --sysctl net.ipv4.ip_forward=1",
        );
        let world = World::new()
            .with_container("me", &lab, "mallory", "cell")
            .with_container("router", &lab, "router", "cell")
            .with_container("willing", &lab, "willing", "cell")
            .with_container("foreign", &lab, "far", "blue")
            .with_container("victim", &lab, "far", "blue")
            .with_gateway("gateway", &lab, 1)
            .with_gateway("foreign_gateway", &lab, 2);
        let ears = [
            Ear::open(&lab, At::Machine(&lab.outside), "packet cable1"),
            Ear::open(&lab, At::Machine(&lab.host), "udp 7000"),
            Ear::open(&lab, At::Container("far"), "packet eth0"),
        ];
        let sent = attack(
            &lab,
            At::Container("mallory"),
            ("eth0", "confined"),
            &world.json(),
        );
        be_honest(&lab, At::Machine(&lab.host), "10.99.0.2", 7000);
        be_honest(&lab, At::Machine(&lab.host), "127.0.0.1", 7000);
        be_honest(
            &lab,
            At::Machine(&lab.host),
            &lab.address("far", "blue"),
            7000,
        );
        judge("confined", &sent, ears.map(Ear::heard), 16);
    }
}

#[test]
fn a_neighbour_on_the_lan_reaches_published_ports_alone() {
    for ground in GROUNDS {
        let lab = ground.lab();
        lab.host
            .sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; iptables -P FORWARD ACCEPT; ip6tables -P FORWARD ACCEPT")
            .ok();
        network(&lab, 1, "red", "");
        lab.docker(&format!(
            "run -d --name victim --network red -p 7010:7010/udp -p 127.0.0.1:7009:7009/udp {IMAGE} sleep 1000"
        ))
        .ok();
        lab.probe("other", "--network red");
        let (ours, theirs) = (mac_of(&lab.host, "cable0"), mac_of(&lab.outside, "cable1"));
        let world = World::new()
            .with("me", [&theirs, "10.99.0.2", "fd99::2"])
            .with("gateway", [&ours, "10.99.0.1", "fd99::1"])
            .with_container("victim", &lab, "victim", "red")
            .with_container("other", &lab, "other", "red")
            .with_gateway("container_gateway", &lab, 1)
            .with("broadcast", ["ff:ff:ff:ff:ff:ff", "10.71.0.255", ""]);
        let ear = Ear::open(&lab, At::Container("victim"), "packet eth0");
        let outside = At::Machine(&lab.outside);
        let sent = attack(&lab, outside, ("cable1", "from_lan"), &world.json());
        be_honest(&lab, outside, "10.99.0.1", 7010);
        judge("from_lan", &sent, [ear.heard()], 29);
    }
}
