//! The administrator's chains count for containers, and stay as they are.
#![expect(clippy::disallowed_methods, reason = "tests may call iptables")]

use std::{net::SocketAddr, process::Command};

use hakone_netns::{Netns, write_sysctl};
use hakone_network::{Config, PortBinding};

use crate::lab::{
    Container, LAN, Lab, OUTSIDE, ask, is_cut_off, links, on_own_host, on_own_host_with, request,
    serve, until,
};

pub(crate) fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{line}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn published() -> SocketAddr {
    format!("{LAN}:8080").parse().unwrap()
}

fn outside() -> SocketAddr {
    format!("{OUTSIDE}:80").parse().unwrap()
}

/// A container with a server behind port 8080, and a server outside.
fn web(lab: &Lab) -> Container {
    let port = |number: u16| number.try_into().unwrap();
    let mut asked = request("web", &[]);
    asked.exposed = vec!["80/tcp".parse().unwrap()];
    asked.bindings = vec![PortBinding {
        target: "80/tcp".parse().unwrap(),
        host_address: None,
        host_ports: Some(port(8080)..=port(8080)),
    }];
    let web = lab.try_run(asked).unwrap();
    web.echo(80);
    serve(&lab.outside, outside());
    web
}

#[test]
fn a_rule_in_docker_keeps_strangers_out_and_lets_answers_in() {
    on_own_host(|lab| {
        let web = web(lab);
        assert!(ask(&lab.outside, published()).is_some());
        sh("iptables -I DOCKER -i lan0 ! -s 8.8.8.8 -j DROP");
        assert!(is_cut_off(&lab.outside, published()));
        assert!(
            ask(&web.netns, outside()).is_some(),
            "its own questions are answered"
        );
        sh("iptables -I DOCKER -s 192.0.2.2 -j ACCEPT");
        assert!(ask(&lab.outside, published()).is_some());
    });
}

#[test]
fn a_drop_in_docker_user_cuts_containers_off_both_ways() {
    on_own_host(|lab| {
        let web = web(lab);
        sh("iptables -I DOCKER-USER -i lan0 -j DROP");
        assert!(is_cut_off(&lab.outside, published()));
        assert!(is_cut_off(&web.netns, outside()));
    });
}

#[test]
fn rules_of_the_administrator_survive_networks_crashes_and_starts() {
    on_own_host(|lab| {
        sh("iptables -I DOCKER -i eth9 ! -s 8.8.8.8 -j DROP; iptables -A DOCKER-USER -s 10.9.9.9 -j DROP
            ip6tables -A DOCKER-USER -s 2001:db8::9 -j DROP; iptables -A FORWARD -i eth9 -j ACCEPT");
        let theirs = || sh("(iptables -S; ip6tables -S) | grep -v HAKONE");
        let before = theirs();
        lab.network("red", |_| {});
        let _red = lab.run("a", &["red"]);
        lab.crash();
        lab.runtime.block_on(lab.service.settle()).unwrap();
        lab.network("blue", |_| {});
        assert_eq!(theirs(), before);
    });
}

#[test]
fn a_policy_of_drop_is_overruled_for_containers_and_a_rule_that_drops_is_not() {
    let drop_first = |_: &mut Config| {
        sh("iptables -P FORWARD DROP; iptables -A FORWARD -s 192.0.2.2 -p tcp --dport 81 -j DROP");
    };
    on_own_host_with(drop_first, |lab| {
        let web = web(lab);
        assert!(ask(&lab.outside, published()).is_some());
        assert!(ask(&web.netns, outside()).is_some());
        sh("iptables -I FORWARD 1 -i lan0 -j DROP");
        assert!(is_cut_off(&lab.outside, published()));
    });
}

#[test]
fn chains_that_somebody_flushed_are_led_through_again() {
    for attack in [
        "nft flush ruleset",
        "iptables -F; iptables -X; iptables -P FORWARD ACCEPT",
        "iptables -D FORWARD -j DOCKER-USER",
        "iptables -D FORWARD -j HAKONE-FORWARD; iptables -F HAKONE-FORWARD",
    ] {
        on_own_host(|lab| {
            let _web = web(lab);
            // A repair may come between two of its commands and make the second fail.
            Command::new("sh").args(["-c", attack]).output().unwrap();
            let jump = || sh("iptables -S").contains("-A FORWARD -j HAKONE-FORWARD");
            until("a repair", || lab.service.repairs() > 0 && jump());
            sh("iptables -I DOCKER-USER -i lan0 -j DROP");
            assert!(is_cut_off(&lab.outside, published()), "{attack}");
        });
    }
}

#[test]
fn without_firewall_not_one_rule_is_touched() {
    on_own_host_with(
        |config| config.firewall = false,
        |lab| {
            lab.network("red", |_| {});
            let _red = lab.run("a", &["red"]);
            let _web = web(lab);
            assert_eq!(sh("nft list ruleset"), "");
            let legacy = sh("iptables-legacy-save; ip6tables-legacy-save");
            assert!(!legacy.contains("DOCKER") && !legacy.contains("HAKONE"));
            sh("nft flush ruleset");
            assert_eq!(
                (sh("nft list ruleset").as_str(), lab.service.repairs()),
                ("", 0)
            );
        },
    );
}

/// Runs a test on a host that forwards nothing yet.
fn on_closed_host(configure: impl FnOnce(&mut Config) + Send, test: impl FnOnce(&mut Lab) + Send) {
    let close = |config: &mut Config| {
        write_sysctl("net.ipv4.ip_forward", "0").unwrap();
        configure(config);
    };
    on_own_host_with(close, test);
}

/// Adds a network beside the host's, that is none of ours, and reports whether the outside reaches it.
fn crosses(lab: &Lab) -> bool {
    let (other, ()) = Netns::create(|_| ()).unwrap();
    let descriptor = std::os::fd::AsFd::as_fd(&other);
    let path = format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        std::os::fd::AsRawFd::as_raw_fd(&descriptor)
    );
    sh(&format!(
        "ip link add vpn0 type veth peer name eth0 netns {path}; ip addr add 198.51.100.1/24 dev vpn0; ip link set vpn0 up"
    ));
    let inside = || {
        sh(
            "ip link set eth0 up; ip addr add 198.51.100.2/24 dev eth0; ip route add default via 198.51.100.1",
        );
    };
    other.on(inside).unwrap();
    serve(&other, "198.51.100.2:80".parse().unwrap());
    lab.route_from_outside();
    let reached = ask(&lab.outside, "198.51.100.2:80".parse().unwrap()).is_some();
    sh("ip link del vpn0");
    reached
}

#[test]
fn forwarding_is_switched_on_for_containers_and_for_nobody_else() {
    on_closed_host(
        |_| {},
        |lab| {
            assert_eq!(sh("cat /proc/sys/net/ipv4/ip_forward"), "1\n");
            let web = web(lab);
            assert!(
                ask(&lab.outside, published()).is_some() && ask(&web.netns, outside()).is_some()
            );
            assert!(!crosses(lab));
            sh("nft flush ruleset");
            until("a repair", || sh("iptables -S").contains("-P FORWARD DROP"));
            sh(
                "iptables -I FORWARD -i lan0 -o vpn0 -j ACCEPT; iptables -I FORWARD -i vpn0 -j ACCEPT",
            );
            assert!(crosses(lab), "the administrator may open it");
        },
    );
}

#[test]
fn forwarding_that_was_on_stays_as_open_as_it_was() {
    let open = |_: &mut Config| write_sysctl("net.ipv4.ip_forward", "1").unwrap();
    on_own_host_with(open, |lab| {
        assert!(sh("iptables -S").contains("-P FORWARD ACCEPT"));
        assert!(crosses(lab));
    });
}

#[test]
fn forwarding_is_left_alone_when_told_so_and_by_internal_networks() {
    on_closed_host(
        |config| config.ip_forward = false,
        |lab| {
            lab.network("red", |_| {});
            lab.network("inner", |spec| spec.internal = true);
            assert_eq!(sh("cat /proc/sys/net/ipv4/ip_forward"), "0\n");
            assert!(links().iter().any(|link| link.name == "hakone0"));
        },
    );
}
