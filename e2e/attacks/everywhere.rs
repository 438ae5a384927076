//! The lies of a neighbour on every kind of network and under every sort of daemon: a promise that holds on one kind alone is none.
//!
//! `frames.rs` tells them on a user-defined network; here they are told on the default bridge, on internal and hardened networks, with
//! the back end `iptables`, and after another program has flushed all rules.

use hakone_e2e::{Engine, IMAGE, Lab, eventually};

use crate::{
    ear::{At, Ear, attack, be_honest},
    frames::{bridge_of, judge, neighbours},
    world::{World, network},
};

/// A default bridge on which the tables' addresses are right.
const DEFAULT_BRIDGE: &str = "--bip 10.71.0.1/24 --ipv6 --fixed-cidr-v6 fd71::/64";

/// Three members: who lies, and two who must not hear it. The liar has what `docker run` gives, and the raw sockets of the test.
fn members(lab: &Lab, network: &str) {
    for name in ["mallory", "victim", "other"] {
        lab.probe(name, &format!("--network {network}"));
    }
}

fn world(lab: &Lab, network: &str) -> String {
    World::new()
        .with_container("me", lab, "mallory", network)
        .with_container("victim", lab, "victim", network)
        .with_container("other", lab, "other", network)
        .with_gateway("gateway", lab, 1)
        .with("unused", ["02:00:00:00:00:77", "10.71.0.99", "fd71::99"])
        .with("broadcast", ["ff:ff:ff:ff:ff:ff", "10.71.0.255", ""])
        .json()
}

#[track_caller]
fn lies_are_kept_in(lab: &Lab, network: &str, what: &str) {
    let before = neighbours(lab);
    let ears = ["victim", "other"].map(|name| Ear::open(lab, At::Container(name), "packet eth0"));
    let bridge = format!("packet {}", bridge_of(lab, 1));
    let host = Ear::open(lab, At::Machine(&lab.host), &bridge);
    let mallory = At::Container("mallory");
    let sent = attack(lab, mallory, ("eth0", "forged"), &world(lab, network));
    for name in ["victim", "other"] {
        be_honest(lab, mallory, &lab.address(name, network), 7000);
    }
    be_honest(lab, mallory, "10.71.0.1", 7000);
    judge(
        what,
        &sent,
        ears.into_iter().chain([host]).map(Ear::heard),
        128,
    );
    assert_eq!(neighbours(lab), before, "{what}: the host believes it");
}

/// `arp_spoof_host` and all others of the tables.
#[test]
fn no_lie_reaches_a_neighbour_on_the_default_bridge() {
    for backend in ["nftables", "iptables"] {
        let arguments = format!("{DEFAULT_BRIDGE} --firewall-backend {backend}");
        let mut lab = Lab::with(Engine::Hakone, &arguments);
        members(&lab, "bridge");
        lies_are_kept_in(&lab, "bridge", "the default bridge");
        lab.crash();
        lies_are_kept_in(&lab, "bridge", "the default bridge after a crash");
    }
}

#[test]
fn no_lie_reaches_a_neighbour_on_an_internal_or_hardened_network() {
    for options in ["--internal", "--label dev.hakone.hardened=true"] {
        let lab = Lab::new();
        network(&lab, 1, "red", options);
        members(&lab, "red");
        lies_are_kept_in(&lab, "red", options);
    }
}

/// Another program's reset is not the moment to lie: `nft_flush_opens_networks`, `iptables_flush_opens_networks`.
#[test]
fn no_lie_reaches_a_neighbour_after_all_rules_were_flushed() {
    let lab = Lab::new();
    network(&lab, 1, "red", "");
    members(&lab, "red");
    for flush in [
        "nft flush ruleset",
        "iptables -P FORWARD ACCEPT; iptables -F; iptables -t nat -F; iptables -X; true",
        "nft delete table bridge hakone",
    ] {
        lab.host.sh(flush).ok();
        let back = "nft list set bridge hakone senders_ip | grep -q 10.71.0.";
        eventually("our rules are back", || lab.host.sh(back).code == 0);
        lies_are_kept_in(&lab, "red", flush);
    }
}

/// `icc=false` of the daemon, on the default bridge: `icc_off_without_bridge_nf` with everything else that could pass.
#[test]
fn members_of_a_default_bridge_without_icc_do_not_hear_each_other() {
    let lab = Lab::with(Engine::Hakone, &format!("{DEFAULT_BRIDGE} --icc=false"));
    lab.host
        .sh("sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0; true")
        .ok();
    lab.probe("mallory", "--cap-add NET_RAW");
    lab.docker(&format!(
        "run -d --name victim -p 7007:7000/udp {IMAGE} sleep 1000"
    ))
    .ok();
    lab.probe("other", "");
    let ear = Ear::open(&lab, At::Container("victim"), "packet eth0");
    let mallory = At::Container("mallory");
    let sent = attack(&lab, mallory, ("eth0", "isolated"), &world(&lab, "bridge"));
    be_honest(&lab, At::Machine(&lab.outside), "10.99.0.1", 7007);
    judge("isolated", &sent, [ear.heard()], 31);
}

/// `sniff_unicast`, `multicast_eavesdrop`: what two members say to each other, and what one says to a group, a third does not hear,
/// though its interface takes every frame.
#[test]
fn a_third_hears_nothing_of_what_is_not_for_it() {
    for options in ["", "-o dev.hakone.multicast=allow"] {
        let lab = Lab::new();
        network(&lab, 1, "red", options);
        for name in ["victim", "other"] {
            lab.probe(name, "--network red");
        }
        lab.probe("mallory", "--network red --cap-add NET_ADMIN");
        lab.docker("exec mallory ip link set eth0 promisc on").ok();
        let ear = Ear::open(&lab, At::Container("mallory"), "packet eth0");
        let said = |to: &str, port: u16| {
            let word = "import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\nfor _ in range(9): s.sendto(b\"ATTACK:overheard;\",(sys.argv[1],int(sys.argv[2])))";
            let enter = At::Container("victim").enter(&lab);
            lab.shell(&format!("{enter} /usr/bin/python3 -c '{word}' {to} {port}"))
                .ok();
        };
        said(&lab.address("other", "red"), 7000);
        if options.is_empty() {
            said("239.1.2.3", 7000);
        }
        be_honest(
            &lab,
            At::Container("victim"),
            &lab.address("mallory", "red"),
            7000,
        );
        let heard = ear.heard();
        assert!(heard.is_empty(), "{options}: {heard:?}");
    }
}
