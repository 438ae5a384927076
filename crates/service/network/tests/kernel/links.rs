//! Other programs delete bridges, take ports out of them and change what they and the host were told; members find each other again.
#![expect(clippy::disallowed_methods, reason = "tests may call ip and bridge")]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use hakone_base::EventKind;

use crate::lab::{Container, OUTSIDE, ask, is_cut_off, on_own_host, pool, serve, until};

fn sh(line: &str) {
    let done = Command::new("sh").args(["-c", line]).status().unwrap();
    assert!(done.success(), "{line}");
}

fn says(line: &str, words: &str) -> bool {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).contains(words)
}

fn port(container: &Container) -> String {
    let endpoint = container.report.endpoints.first().unwrap();
    endpoint.port.as_ref().unwrap().to_string()
}

fn bridge(container: &Container) -> String {
    let port = port(container);
    let link = crate::lab::links();
    let own = link.iter().find(|link| link.name == port).unwrap();
    let master = own.master.unwrap().0;
    let bridge = link.iter().find(|link| link.index == master).unwrap();
    bridge.name.clone()
}

fn mac(container: &Container) -> String {
    let endpoint = container.report.endpoints.first().unwrap();
    endpoint.mac.unwrap().to_string()
}

/// Does it, waits until it is undone, and gives the time that took. It is looked at, and not counted: a repair counted now may be
/// of what was done before.
fn put_back(attack: &str, is_right: impl Fn() -> bool) -> Duration {
    assert!(is_right(), "before {attack}");
    sh(attack);
    let done = Instant::now();
    until(attack, is_right);
    done.elapsed()
}

/// What there is to attack.
struct Places<'a> {
    red: &'a str,
    blue: &'a str,
    /// The port of somebody on `red`, and another's there.
    port: &'a str,
    other: &'a str,
    mac: &'a str,
    address: std::net::IpAddr,
}

/// What is done, how to look at it, and the words that are to be seen again.
type Attack = (String, String, String);

fn on_ports(at: &Places<'_>) -> Vec<Attack> {
    let (port, mac) = (at.port, at.mac);
    let flag =
        |flag: &str, was: &str| (format!("bridge link set dev {port} {flag}"), was.to_owned());
    let flags = [
        (format!("ip link set {port} nomaster"), at.red.to_owned()),
        (
            format!("ip link set {port} master {}", at.blue),
            at.red.to_owned(),
        ),
        flag("isolated on", "isolated off"),
        flag("learning on", "learning off"),
        flag("flood on", " flood off"),
        flag("guard off", "guard on"),
        flag("neigh_suppress on", "neigh_suppress off"),
    ];
    let entries = [
        format!("bridge fdb del {mac} dev {port} master"),
        format!("bridge fdb replace {mac} dev {} master static", at.other),
    ];
    let shown = |(attack, was)| (attack, format!("bridge -d link show dev {port}"), was);
    let listed = |attack| {
        (
            attack,
            format!("bridge fdb show dev {port}"),
            mac.to_owned(),
        )
    };
    flags
        .into_iter()
        .map(shown)
        .chain(entries.map(listed))
        .collect()
}

fn on_bridges(at: &Places<'_>) -> Vec<Attack> {
    let (red, address) = (at.red, at.address);
    let neighbour = format!("ip neigh show {address} nud permanent");
    let addresses = format!("ip addr show dev {red}");
    // Of the first the kernel tells, of the others it does not.
    let parameters = [
        ("ipv4", "rp_filter", "1"),
        ("ipv4", "arp_ignore", "1"),
        ("ipv6", "accept_ra", "0"),
    ];
    let parameters = parameters.map(|(family, name, was)| {
        let name = format!("net.{family}.conf.{red}.{name}");
        (
            format!("sysctl -qw {name}=2"),
            format!("sysctl -n {name}"),
            was,
        )
    });
    let attacks = [
        (
            format!("ip neigh replace {address} lladdr 02:00:00:00:00:66 dev {red} nud permanent"),
            neighbour.clone(),
            at.mac,
        ),
        (
            format!("ip neigh del {address} dev {red}"),
            neighbour,
            at.mac,
        ),
        (
            format!("ip addr flush dev {red}"),
            addresses.clone(),
            "inet ",
        ),
        (
            format!("ip link set {red} address 02:00:00:00:00:77"),
            format!("ip link show {red}"),
            "02:42:",
        ),
        (format!("ip link del {red}"), addresses, "inet "),
    ];
    parameters
        .into_iter()
        .chain(attacks)
        .map(|(attack, look, words)| (attack, look, words.to_owned()))
        .collect()
}

#[test]
fn whatever_happens_to_a_bridge_and_its_ports_is_put_back() {
    on_own_host(|lab| {
        lab.network("red", |_| {});
        lab.network("blue", |_| {});
        let (a, b, stranger) = (
            lab.run("a", &["red"]),
            lab.run("b", &["red"]),
            lab.run("c", &["blue"]),
        );
        b.echo(80);
        assert!(
            ask(&a.netns, b.at(80)).is_some(),
            "before anything happened"
        );
        let (red, blue, out) = (bridge(&b), bridge(&stranger), port(&b));
        let (own, address, foreign) = (mac(&b), b.address(), port(&stranger));
        let places = Places {
            red: &red,
            blue: &blue,
            port: &out,
            other: &port(&a),
            mac: &own,
            address,
        };
        let mut attacks = on_ports(&places);
        attacks.extend(on_bridges(&places));
        let count = attacks.len().try_into().unwrap();
        let mut slowest = Duration::ZERO;
        for (attack, look, words) in attacks {
            let took = put_back(&attack, || says(&look, &words));
            println!("{took:?} {attack}");
            slowest = slowest.max(took);
            until(&attack, || ask(&a.netns, b.at(80)).is_some());
            until(&attack, || ask(lab.host(), b.at(80)).is_some());
            assert!(is_cut_off(&stranger.netns, b.at(80)), "{attack}");
        }
        assert!(says(&format!("bridge link show dev {foreign}"), &blue));
        until("the count of all repairs", || {
            lab.service.repairs() >= count
        });
        println!("slowest {slowest:?}");
    });
}

#[test]
fn a_port_that_changes_its_bridge_reaches_nobody_there() {
    on_own_host(|lab| {
        lab.network("red", |_| {});
        lab.network("quiet", |spec| spec.bridge.icc = false);
        let (a, b) = (lab.run("a", &["quiet"]), lab.run("b", &["quiet"]));
        b.echo(80);
        let out = port(&a);
        put_back(&format!("bridge link set dev {out} isolated off"), || {
            says(&format!("bridge -d link show dev {out}"), "isolated on")
        });
        assert!(is_cut_off(&a.netns, b.at(80)));
    });
}

#[test]
fn a_repair_of_a_bridge_is_announced_and_what_we_do_ourselves_is_none() {
    on_own_host(|lab| {
        lab.network("red", |_| {});
        let (a, b) = (lab.run("a", &["red"]), lab.run("b", &["red"]));
        lab.network("green", |_| {});
        drop(b);
        let mut events = lab.bus.subscribe().live;
        sh(&format!("ip link set {} nomaster", port(&a)));
        let next = || lab.runtime.block_on(events.recv()).unwrap();
        let mut told = std::iter::repeat_with(next);
        let event = told.find(|event| event.kind == EventKind::Daemon).unwrap();
        assert_eq!(event.action, "network-repair");
        assert_eq!(
            (event.attributes["links"].as_str(), lab.service.repairs()),
            (port(&a).as_str(), 1)
        );
    });
}

#[test]
fn a_port_that_somebody_removes_is_plugged_in_anew_while_its_container_runs() {
    on_own_host(|lab| {
        lab.network("red", |spec| {
            spec.ipv6 = true;
            spec.pools = vec![pool("10.66.0.0/24"), pool("fd00:66::/64")];
        });
        lab.network("blue", |_| {});
        let (a, b, stranger) = (
            lab.run("a", &["red"]),
            lab.run("b", &["red"]),
            lab.run("c", &["blue"]),
        );
        b.echo(80);
        b.echo_v6(81);
        let v6 = b.report.endpoints[0].ipv6.unwrap().address;
        serve(&lab.outside, format!("{OUTSIDE}:80").parse().unwrap());
        let reached = || ask(&a.netns, b.at(80)).is_some();
        assert!(reached());
        sh(&format!("ip link del {}", port(&b)));
        until("the port", reached);
        assert!(ask(&a.netns, (v6, 81).into()).is_some());
        assert!(ask(lab.host(), b.at(80)).is_some());
        assert!(is_cut_off(&stranger.netns, b.at(80)));
        let world = format!("{OUTSIDE}:80").parse().unwrap();
        assert!(ask(&b.netns, world).is_some(), "its default route");
        assert!(lab.service.repairs() > 0);
    });
}

#[test]
fn a_container_that_removes_its_interface_again_and_again_is_told_and_left_cut_off() {
    on_own_host(|lab| {
        lab.network("red", |_| {});
        let (a, b) = (lab.run("a", &["red"]), lab.run("b", &["red"]));
        b.echo(80);
        let mut events = lab.bus.subscribe().live;
        let delete = || b.netns.on(|| sh("ip link del eth0")).unwrap();
        delete();
        until("the port", || ask(&a.netns, b.at(80)).is_some());
        delete();
        let next = || lab.runtime.block_on(events.recv()).unwrap();
        let mut told = std::iter::repeat_with(next);
        let event = told
            .find(|event| event.action == "network-cut-off")
            .unwrap();
        assert_eq!(event.attributes["container"], b.id.to_string());
        assert!(is_cut_off(&a.netns, b.at(80)));
    });
}

#[test]
fn a_port_that_goes_by_our_own_hand_is_not_missed() {
    on_own_host(|lab| {
        lab.network("red", |_| {});
        lab.network("blue", |_| {});
        let a = lab.run("a", &["red"]);
        let init = a.init();
        for _ in 0..5 {
            let blue = hakone_network::EndpointRequest {
                network: "blue".into(),
                ..Default::default()
            };
            let joining = lab.service.connect(&a.id, init.number, blue);
            lab.runtime.block_on(joining).unwrap();
            let leaving = lab.service.disconnect(&a.id, init.number, "blue");
            lab.runtime.block_on(leaving).unwrap();
        }
        lab.runtime.block_on(lab.service.release(&a.id)).unwrap();
        drop((init, a));
        // What is put back is put back in the order in which it is heard of: after this, all that went before was looked at.
        let b = lab.run("b", &["red"]);
        sh(&format!("ip link set {} nomaster", port(&b)));
        until("a repair", || lab.service.repairs() > 0);
        assert_eq!(lab.service.repairs(), 1);
    });
}
