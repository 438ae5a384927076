//! Networks of driver macvlan: machines of their own on a link, and held to their own addresses.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::{AsFd as _, AsRawFd as _},
    time::Duration,
};

use hakone_netns::Netns;
use hakone_network::{Config, DriverKind, MacvlanMode, NetworkSpec};

use crate::{
    chains::sh,
    lab::{
        Container, Lab, ask, is_cut_off, links, look_up, on_own_host_with, pool, request, serve,
        until,
    },
};

/// The machine on the link, and the host's own address there.
const NEIGHBOUR: &str = "192.0.3.254";
const HOST: &str = "192.0.3.200";
/// An address of the link that is nobody's of ours.
const VICTIM: Ipv4Addr = Ipv4Addr::new(192, 0, 3, 50);

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

/// Lays a link to a machine; `par0` is the host's end.
fn link() -> Netns {
    let (neighbour, ()) = Netns::create(|_| ()).unwrap();
    let path = format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        neighbour.as_fd().as_raw_fd()
    );
    sh(&format!(
        "ip link add par0 type veth peer name eth0 netns {path}; ip link set par0 up
        ip addr add {HOST}/24 dev par0"
    ));
    let inside = || {
        sh(&format!(
            "ip link set eth0 up; ip addr add {NEIGHBOUR}/24 dev eth0"
        ))
    };
    neighbour.on(inside).unwrap();
    serve(&neighbour, at(NEIGHBOUR, 80));
    neighbour
}

fn on_link(spec: &mut NetworkSpec) {
    spec.driver = DriverKind::Macvlan;
    let mut pool = pool("192.0.3.0/24");
    pool.gateway = Some(NEIGHBOUR.parse().unwrap());
    spec.pools = vec![pool];
    spec.macvlan.parent = Some("par0".parse().unwrap());
}

fn with_link(test: impl FnOnce(&mut Lab, &Netns) + Send) {
    with_link_and(|_| {}, test);
}

fn with_link_and(
    configure: impl FnOnce(&mut Config) + Send,
    test: impl FnOnce(&mut Lab, &Netns) + Send,
) {
    on_own_host_with(configure, |lab| {
        let neighbour = link();
        test(lab, &neighbour);
        sh("ip link del par0");
    });
}

fn inside(container: &Container, line: &str) {
    container.netns.on(|| sh(line)).unwrap();
}

/// Reports whether the neighbour gets a datagram that a container sends from an address.
fn gets(neighbour: &Netns, from: &Container, source: Ipv4Addr) -> bool {
    let listener = neighbour
        .on(|| UdpSocket::bind(at(NEIGHBOUR, 9)).unwrap())
        .unwrap();
    listener
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let send = || {
        let socket = UdpSocket::bind((source, 0)).unwrap();
        socket.send_to(b"probe", at(NEIGHBOUR, 9)).ok();
    };
    from.netns.on(send).unwrap();
    let heard = listener.recv_from(&mut [0; 16]);
    heard.is_ok_and(|(_, from)| from.ip() == source)
}

#[test]
fn a_policy_about_a_member_is_refused_for_nobody_would_keep_it() {
    with_link(|lab, _| {
        lab.network("lan", on_link);
        lab.network("red", |_| {});
        let a = lab.run("a", &["lan"]);
        let apply = |namespace: &str| {
            let text = format!(
                "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: deny, namespace: {namespace}}}\nspec: {{podSelector: {{}}}}\n"
            );
            lab.runtime.block_on(lab.service.apply_policies(text))
        };
        let refused = apply("lan").unwrap_err().to_string();
        assert!(refused.contains("a-c on network lan"), "{refused}");
        assert!(lab.service.policies().is_empty());
        apply("red").unwrap();
        drop(a);
        let mut labelled = request("b", &["lan"]);
        let none = ("dev.hakone.ingress".to_owned(), "none".to_owned());
        labelled.labels.extend([none]);
        let refused = lab.try_run(labelled).err().unwrap().to_string();
        assert!(
            refused.contains("policies judge nothing there"),
            "{refused}"
        );
        lab.run("c", &["lan", "red"]);
    });
}

#[test]
fn members_are_machines_of_their_own_on_the_link() {
    with_link(|lab, neighbour| {
        lab.network("lan", on_link);
        let (a, b) = (lab.run("a", &["lan"]), lab.run("b", &["lan"]));
        b.echo(80);
        assert_eq!(
            ask(&a.netns, at(NEIGHBOUR, 80)),
            Some(a.address().to_string())
        );
        assert_eq!(ask(neighbour, b.at(80)), Some(NEIGHBOUR.to_owned()));
        assert_eq!(ask(&a.netns, b.at(80)), Some(a.address().to_string()));
        assert_eq!(look_up(&a.netns, "b-c").1, [b.address()]);
        assert!(is_cut_off(lab.host(), b.at(80)), "the host is no neighbour");
        serve(lab.host(), at(HOST, 81));
        assert!(is_cut_off(&a.netns, at(HOST, 81)));
    });
}

#[test]
fn members_of_a_private_network_reach_the_link_and_not_each_other() {
    with_link(|lab, _| {
        lab.network("lan", |spec| {
            on_link(spec);
            spec.macvlan.mode = MacvlanMode::Private;
        });
        let (a, b) = (lab.run("a", &["lan"]), lab.run("b", &["lan"]));
        b.echo(80);
        assert!(ask(&a.netns, at(NEIGHBOUR, 80)).is_some());
        assert!(is_cut_off(&a.netns, b.at(80)));
    });
}

/// Each attack is made by a container that may do as it likes with its own network.
#[test]
fn a_member_speaks_under_no_address_but_its_own() {
    with_link(|lab, neighbour| {
        lab.network("lan", on_link);
        let a = lab.run("a", &["lan"]);
        let own: Ipv4Addr = a.address().to_string().parse().unwrap();
        let mac = a.report.endpoints[0].mac.unwrap();
        until("a datagram arrives", || gets(neighbour, &a, own));
        inside(
            &a,
            &format!("nft flush ruleset; ip addr add {VICTIM}/24 dev eth0"),
        );
        assert!(!gets(neighbour, &a, VICTIM), "a stolen address");
        inside(&a, "ip link set eth0 address 02:00:00:00:00:99");
        assert!(!gets(neighbour, &a, own), "a stolen Ethernet address");
        inside(&a, &format!("ip link set eth0 address {mac}"));
        inside(&a, &format!("ip route replace default via {NEIGHBOUR}"));
        until("its own again", || gets(neighbour, &a, own));
        inside(
            &a,
            "ip link set eth0 promisc on; ip link add link eth0 name mv0 type macvlan; ip link set mv0 up",
        );
        inside(
            &a,
            &format!("ip addr del {VICTIM}/24 dev eth0; ip addr add {VICTIM}/24 dev mv0"),
        );
        assert!(
            !gets(neighbour, &a, VICTIM),
            "an interface of its own on top"
        );
    });
}

#[test]
fn a_member_takes_no_neighbours_place_by_arp() {
    with_link(|lab, neighbour| {
        lab.network("lan", on_link);
        let a = lab.run("a", &["lan"]);
        let victim = "02:00:00:00:00:50";
        let known = format!("ip neigh replace {VICTIM} lladdr {victim} dev eth0 nud stale");
        neighbour.on(|| sh(&known)).unwrap();
        inside(
            &a,
            &format!("ip addr add {VICTIM}/24 dev eth0; ip neigh flush dev eth0"),
        );
        // Asks for the neighbour under the stolen address, which would teach it a wrong one.
        assert!(!gets(neighbour, &a, VICTIM));
        let table = neighbour
            .on(|| sh(&format!("ip neigh show {VICTIM}")))
            .unwrap();
        assert!(table.contains(victim), "{table}");
    });
}

#[test]
fn an_internal_network_leads_nowhere_and_goes_without_trace() {
    with_link(|lab, _| {
        lab.network("inner", |spec| {
            on_link(spec);
            spec.internal = true;
        });
        let (a, b) = (lab.run("a", &["inner"]), lab.run("b", &["inner"]));
        b.echo(80);
        assert!(ask(&a.netns, b.at(80)).is_some());
        assert!(is_cut_off(&a.netns, at(NEIGHBOUR, 80)));
        for container in [a, b] {
            lab.runtime
                .block_on(lab.service.release(&container.id))
                .unwrap();
        }
        lab.runtime.block_on(lab.service.remove("inner")).unwrap();
        assert!(!links().iter().any(|link| link.name.starts_with("dm-")));
    });
}

#[test]
fn a_crash_and_a_flush_leave_members_connected_and_pinned() {
    with_link(|lab, neighbour| {
        lab.network("lan", on_link);
        let a = lab.run("a", &["lan"]);
        let own: Ipv4Addr = a.address().to_string().parse().unwrap();
        lab.crash();
        let init = a.init();
        let restored = lab
            .service
            .restore(&a.id, init.number, a.report.clone(), a.held());
        lab.runtime.block_on(restored).unwrap();
        lab.runtime.block_on(lab.service.settle()).unwrap();
        until("a datagram arrives", || gets(neighbour, &a, own));
        sh("nft flush ruleset");
        until("a repair", || lab.service.repairs() > 0);
        until("a datagram arrives", || gets(neighbour, &a, own));
        inside(&a, &format!("ip addr add {VICTIM}/24 dev eth0"));
        assert!(!gets(neighbour, &a, VICTIM));
    });
}

#[test]
fn a_released_address_is_free_at_once_and_no_interface_stays() {
    with_link(|lab, neighbour| {
        lab.network("lan", on_link);
        for round in ["a", "b", "c"] {
            let container = lab.run(round, &["lan"]);
            let own: Ipv4Addr = container.address().to_string().parse().unwrap();
            assert_eq!(own, Ipv4Addr::new(192, 0, 3, 1), "{round}");
            until("a datagram arrives", || gets(neighbour, &container, own));
            lab.runtime
                .block_on(lab.service.release(&container.id))
                .unwrap();
            assert!(!links().iter().any(|link| link.name.starts_with("hm")));
        }
        assert_eq!(sh("nft list tables netdev").trim(), "table netdev hakone");
        assert!(!sh("nft list table netdev hakone").contains("chain"));
    });
}

#[test]
fn without_a_firewall_the_interface_itself_is_inside() {
    with_link_and(
        |config| config.firewall = false,
        |lab, neighbour| {
            lab.network("lan", on_link);
            let a = lab.run("a", &["lan"]);
            a.echo(80);
            assert!(ask(neighbour, a.at(80)).is_some());
            assert_eq!(sh("nft list ruleset"), "");
            inside(&a, &format!("ip addr add {VICTIM}/24 dev eth0"));
            until("the attack that rules of ours stop", || {
                gets(neighbour, &a, VICTIM)
            });
        },
    );
}

#[test]
fn parents_that_cannot_be_are_refused_and_leave_nothing() {
    with_link(|lab, _| {
        let refused = |lab: &Lab, parent: &str| {
            let asked = lab.try_network("bad", |spec| {
                on_link(spec);
                spec.macvlan.parent = Some(parent.parse().unwrap());
            });
            asked.unwrap_err().to_string()
        };
        let wrong = refused(lab, "nope");
        assert_eq!(
            wrong,
            "invalid subinterface vlan name nope, example formatting is eth0.10"
        );
        let wrong = refused(lab, "par0.4095");
        assert_eq!(wrong, "vlan id must be between 1-4094, received: 4095");
        assert!(lab.service.resolve("bad").is_err());
    });
}

#[test]
fn a_kernel_without_ipvlan_is_told_when_the_network_is_made() {
    with_link(|lab, _| {
        let made = lab.try_network("lan", |wanted| {
            on_link(wanted);
            wanted.driver = DriverKind::Ipvlan;
        });
        // Where the kernel has it, `e2e/vm/checks` looks at the rest.
        if let Err(error) = made {
            assert!(
                error.to_string().contains("the kernel has no ipvlan"),
                "{error}"
            );
        }
        assert!(!links().iter().any(|link| link.name.starts_with("hi")));
    });
}
