//! The back end `iptables`: the same promises, every rule of them in the host's iptables, and nothing of it left elsewhere.
#![expect(clippy::disallowed_methods, reason = "tests may call iptables")]

use std::{net::SocketAddr, process::Command};

use hakone_network::{Backend, Config, Link, PortBinding};

use crate::{
    chains::sh,
    lab::{
        Container, LAN, Lab, OUTSIDE, ask, is_cut_off, on_own_host, on_own_host_with, pool,
        request, serve, until,
    },
};

fn on_iptables(test: impl FnOnce(&mut Lab) + Send) {
    on_own_host_with(
        |config: &mut Config| config.backend = Backend::Iptables,
        test,
    );
}

fn published() -> SocketAddr {
    format!("{LAN}:8080").parse().unwrap()
}

fn outside() -> SocketAddr {
    format!("{OUTSIDE}:80").parse().unwrap()
}

/// A container with a server behind port 8080 and one behind a port that is not published.
fn web(lab: &Lab, networks: &[&str]) -> Container {
    let port = |number: u16| number.try_into().unwrap();
    let mut asked = request("web", networks);
    asked.exposed = vec!["80/tcp".parse().unwrap()];
    asked.bindings = vec![PortBinding {
        target: "80/tcp".parse().unwrap(),
        host_address: None,
        host_ports: Some(port(8080)..=port(8080)),
    }];
    let web = lab.try_run(asked).unwrap();
    web.echo(80);
    web.echo(81);
    web
}

fn ours() -> String {
    sh("(iptables-save; ip6tables-save) | grep -E 'hakone|HAKONE' || true")
}

fn restart_with(lab: &mut Lab, backend: Backend) {
    lab.config.backend = backend;
    lab.crash();
    lab.runtime.block_on(lab.service.settle()).unwrap();
}

#[test]
fn what_may_pass_passes_and_what_may_not_does_not() {
    on_iptables(|lab| {
        lab.network("red", |_| {});
        lab.network("blue", |_| {});
        let (web, friend) = (web(lab, &["red"]), lab.run("friend", &["red"]));
        let stranger = lab.run("stranger", &["blue"]);
        serve(&lab.outside, outside());
        lab.route_from_outside();

        assert_eq!(ask(&lab.outside, published()).as_deref(), Some(OUTSIDE));
        assert_eq!(
            ask(&web.netns, outside()).as_deref(),
            Some(LAN),
            "masqueraded"
        );
        assert!(ask(&friend.netns, web.at(81)).is_some(), "a member");
        assert!(ask(&friend.netns, published()).is_some(), "a hairpin");
        assert!(
            ask(&stranger.netns, published()).is_some(),
            "a published port"
        );
        assert!(ask(lab.host(), web.at(81)).is_some(), "the host");
        assert!(is_cut_off(&stranger.netns, web.at(81)), "another network");
        assert!(
            is_cut_off(&lab.outside, web.at(80)),
            "past the published port"
        );
        assert!(
            is_cut_off(&lab.outside, web.at(81)),
            "a port that is not published"
        );
        assert!(!sh("nft list table inet hakone").contains("chain guard"));
        assert!(
            sh("nft list tables").contains("bridge hakone"),
            "frames are pinned"
        );
    });
}

#[test]
fn ipv6_is_held_as_ipv4_is() {
    on_iptables(|lab| {
        for (name, subnet) in [("red", "fd00:1::/64"), ("blue", "fd00:2::/64")] {
            lab.network(name, |spec| {
                spec.ipv6 = true;
                spec.pools = vec![pool(subnet)];
            });
        }
        let (a, b) = (lab.run("a", &["red"]), lab.run("b", &["blue"]));
        let friend = lab.run("c", &["red"]);
        a.echo_v6(80);
        let mut addresses = a.report.endpoints.first().unwrap().addresses();
        let six = SocketAddr::new(addresses.find(|one| one.is_ipv6()).unwrap(), 80);
        assert!(ask(&friend.netns, six).is_some());
        assert!(is_cut_off(&b.netns, six));
    });
}

#[test]
fn without_icc_the_drop_and_the_pair_of_a_link_are_listed_as_docker_lists_them() {
    on_iptables(|lab| {
        lab.network("quiet", |spec| spec.bridge.icc = false);
        let mut asked = request("db", &["quiet"]);
        asked.exposed = vec!["80/tcp".parse().unwrap()];
        let server = lab.try_run(asked).unwrap();
        server.echo(80);
        server.echo(81);
        let mut asked = request("web", &["quiet"]);
        asked.links = vec![Link {
            container: server.id.clone(),
            aliases: vec!["store".into()],
        }];
        let client = lab.try_run(asked).unwrap();
        assert!(ask(&client.netns, server.at(80)).is_some());
        assert!(is_cut_off(&client.netns, server.at(81)));
        let (client, server) = (client.address(), server.address());
        let listing = sh("iptables -L -n | tr -s ' '");
        let has = |parts: [&str; 3]| {
            let mut lines = listing.lines();
            lines.any(|line| parts.iter().all(|part| line.contains(part)))
        };
        let ends = |from, to| format!("-- {from} {to} ");
        assert!(
            has(["ACCEPT", &ends(client, server), "tcp dpt:80"]),
            "{listing}"
        );
        assert!(
            has(["ACCEPT", &ends(server, client), "tcp spt:80"]),
            "{listing}"
        );
        let drop = sh("iptables -S").lines().any(|line| {
            let both = line.contains("-i br-") && line.contains("-o br-");
            both && line.ends_with("-j DROP")
        });
        assert!(drop, "{listing}");
    });
}

#[test]
fn rules_of_the_administrator_count_and_stay() {
    on_iptables(|lab| {
        let web = web(lab, &[]);
        serve(&lab.outside, outside());
        sh("iptables -I DOCKER -i lan0 ! -s 8.8.8.8 -j DROP");
        assert!(is_cut_off(&lab.outside, published()));
        assert!(
            ask(&web.netns, outside()).is_some(),
            "its own questions are answered"
        );
        sh("iptables -I DOCKER -s 192.0.2.2 -j ACCEPT; iptables -A DOCKER-USER -s 10.9.9.9 -j DROP
            iptables -t nat -I POSTROUTING -s 10.8.0.0/16 -j ACCEPT; iptables -A FORWARD -i eth9 -j ACCEPT");
        assert!(ask(&lab.outside, published()).is_some());
        let theirs = || sh("iptables-save | grep '^-A' | grep -v -e hakone -e HAKONE");
        let before = theirs();
        lab.network("green", |_| {});
        let _other = lab.run("a", &["green"]);
        restart_with(lab, Backend::Iptables);
        assert_eq!(theirs(), before);
        restart_with(lab, Backend::Nftables);
        let kept = "-A DOCKER ! -s 8.8.8.8/32 -i lan0 -j DROP";
        assert!(theirs().contains(kept), "{}", theirs());
    });
}

#[test]
fn the_other_back_end_leaves_nothing_behind() {
    on_own_host(|lab| {
        lab.network("red", |_| {});
        for _ in 0..2 {
            restart_with(lab, Backend::Iptables);
            let save = sh("iptables-save");
            assert!(save.contains("HAKONE-GUARD") && !save.contains("HAKONE-FORWARD"));
            assert!(!sh("nft list table inet hakone").contains("chain guard"));
            restart_with(lab, Backend::Nftables);
            let save = sh("iptables-save; ip6tables-save");
            assert!(!save.contains("--comment hakone"), "{save}");
            let left: Vec<&str> = save
                .lines()
                .filter(|line| line.starts_with(':') && !line.starts_with(":DOCKER"))
                .filter(|line| line.contains("HAKONE") && !line.contains("HAKONE-FORWARD"))
                .collect();
            assert_eq!(left, Vec::<&str>::new());
            assert!(
                !save.contains("DOCKER-FORWARD") && !save.contains("ISOLATION"),
                "{save}"
            );
            assert!(sh("nft list tables").contains("inet hakone"));
        }
    });
}

#[test]
fn flushes_and_edits_are_put_back() {
    for attack in [
        "nft flush ruleset",
        "iptables -F",
        "iptables -t nat -F",
        "iptables -t raw -F; iptables -t raw -X",
        "iptables -D FORWARD -m comment --comment hakone -j DOCKER-FORWARD",
        "iptables -F DOCKER",
        "iptables -t raw -I HAKONE-GUARD -j ACCEPT",
    ] {
        on_iptables(|lab| {
            lab.network("red", |_| {});
            lab.network("blue", |_| {});
            let (web, stranger) = (web(lab, &["red"]), lab.run("stranger", &["blue"]));
            let before = ours();
            // A repair may come between two of its commands and make the second fail.
            Command::new("sh").args(["-c", attack]).output().unwrap();
            until(attack, || lab.service.repairs() > 0 && ours() == before);
            assert!(is_cut_off(&stranger.netns, web.at(81)), "{attack}");
            assert!(ask(&lab.outside, published()).is_some(), "{attack}");
        });
    }
}

#[test]
fn a_crash_and_a_start_change_no_rule() {
    on_iptables(|lab| {
        lab.network("red", |_| {});
        let before = ours();
        restart_with(lab, Backend::Iptables);
        assert_eq!(ours(), before);
        assert_eq!(lab.service.repairs(), 0);
        assert_eq!(lab.service.firewall_backend(), "iptables");
    });
}

#[test]
fn without_firewall_neither_back_end_touches_a_rule() {
    let configure = |config: &mut Config| {
        config.backend = Backend::Iptables;
        config.firewall = false;
    };
    on_own_host_with(configure, |lab| {
        lab.network("red", |_| {});
        let _red = lab.run("a", &["red"]);
        assert_eq!(sh("nft list ruleset"), "");
        assert_eq!(lab.service.firewall_backend(), "none");
    });
}
