//! What policies close and open, with real packets: on one bridge, out to the world, for flows that were there before.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use hakone_netns::{Netns, write_sysctl};
use hakone_network::{Change, Error};

use crate::lab::{
    Container, LAN, Lab, OUTSIDE, ask, is_cut_off, look_up, on_own_host, on_own_host_with, pool,
    request, serve, until,
};

/// How long to wait for an answer that must not come, and for one that must.
const NEVER: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(60);

const SERVER_FAILURE: u8 = 2;
const REFUSED: u8 = 5;

fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {name}, namespace: red}}
spec: {spec}
---
"
    )
}

fn apply(lab: &Lab, text: &str) -> Vec<Change> {
    let applied = lab.service.apply_policies(text.to_owned());
    let applied = lab.runtime.block_on(applied).unwrap();
    applied.iter().map(|one| one.change).collect()
}

fn remove(lab: &Lab, name: &str) {
    let removed = lab.service.remove_policy(name);
    lab.runtime.block_on(removed).unwrap();
}

fn labelled(lab: &Lab, name: &str, network: &str, labels: &[(&str, &str)]) -> Container {
    let mut request = request(name, &[network]);
    let pairs = labels.iter();
    request.labels = pairs
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    lab.try_run(request).unwrap()
}

fn outside() -> SocketAddr {
    format!("{OUTSIDE}:80").parse().unwrap()
}

const DENY_INGRESS: &str = "{podSelector: {matchLabels: {app: db}}}";
const WEB_TO_DB: &str = "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}]}";

#[test]
fn neighbours_on_one_bridge_are_judged_by_label_and_port() {
    on_own_host(|lab| {
        lab.network("red", |_| {});
        let db = labelled(lab, "db", "red", &[("app", "db")]);
        let web = labelled(lab, "web", "red", &[("app", "web")]);
        let other = labelled(lab, "other", "red", &[]);
        [80, 81].into_iter().for_each(|port| db.echo(port));
        other.echo(80);
        assert!(ask(&other.netns, db.at(80)).is_some());

        assert_eq!(apply(lab, &policy("deny", DENY_INGRESS)), [Change::Created]);
        assert!(is_cut_off(&web.netns, db.at(80)) && is_cut_off(&other.netns, db.at(80)));
        assert!(ask(&db.netns, other.at(80)).is_some(), "egress is open");
        assert!(ask(&web.netns, other.at(80)).is_some(), "nobody selects it");
        assert!(ask(lab.host(), db.at(80)).is_some(), "the host reaches all");

        assert_eq!(apply(lab, &policy("web", WEB_TO_DB)), [Change::Created]);
        assert_eq!(apply(lab, &policy("web", WEB_TO_DB)), [Change::Unchanged]);
        let seen = ask(&web.netns, db.at(80));
        assert_eq!(seen, Some(web.address().to_string()));
        assert!(is_cut_off(&web.netns, db.at(81)) && is_cut_off(&other.netns, db.at(80)));

        // One that comes later is judged from its first packet, and its address means it.
        let late = labelled(lab, "late", "red", &[("app", "web")]);
        assert!(ask(&late.netns, db.at(80)).is_some());

        remove(lab, "red/web");
        remove(lab, "red/deny");
        assert!(ask(&other.netns, db.at(81)).is_some());
        let missing = lab.runtime.block_on(lab.service.remove_policy("red/web"));
        assert!(matches!(missing, Err(Error::NoPolicy(_))));
    });
}

#[test]
fn ipv6_is_judged_as_ipv4_is() {
    on_own_host(|lab| {
        lab.network("red", |spec| {
            spec.ipv6 = true;
            spec.pools = vec![pool("10.66.0.0/24"), pool("fd00:66::/64")];
        });
        let db = labelled(lab, "db", "red", &[("app", "db")]);
        let web = labelled(lab, "web", "red", &[("app", "web")]);
        let other = labelled(lab, "other", "red", &[]);
        [80, 81].into_iter().for_each(|port| db.echo_v6(port));
        let at = |port| (db.report.endpoints[0].ipv6.unwrap().address, port).into();
        apply(lab, &policy("web", WEB_TO_DB));
        assert!(ask(&web.netns, at(80)).is_some());
        assert!(is_cut_off(&web.netns, at(81)) && is_cut_off(&other.netns, at(80)));
    });
}

/// A server that sends back each byte.
fn mirror(container: &Container) -> SocketAddr {
    mirror_at(&container.netns, "0.0.0.0:7000".parse().unwrap());
    container.at(7000)
}

fn mirror_at(place: &Netns, address: SocketAddr) {
    let listener = place.on(|| TcpListener::bind(address).unwrap()).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut client, _)) = listener.accept() {
            std::thread::spawn(move || send_back(&mut client));
        }
    });
}

fn send_back(client: &mut TcpStream) {
    let mut byte = [0];
    while client.read_exact(&mut byte).is_ok() {
        client.write_all(&byte).ok();
    }
}

fn answers(stream: &mut TcpStream, patience: Duration) -> bool {
    let mut byte = [0];
    stream.set_read_timeout(Some(patience)).unwrap();
    stream.write_all(&[7]).is_ok() && stream.read_exact(&mut byte).is_ok()
}

#[test]
fn a_flow_that_was_there_before_ends_with_the_consent_and_others_go_on() {
    on_own_host(|lab| {
        // Then every address can be bound, and that says nothing of whose it is (attack `nonlocal_bind`).
        write_sysctl("net/ipv4/ip_nonlocal_bind", "1").unwrap();
        lab.network("red", |_| {});
        let db = labelled(lab, "db", "red", &[("app", "db")]);
        let web = labelled(lab, "web", "red", &[("app", "web")]);
        let other = labelled(lab, "other", "red", &[]);
        let to = mirror(&db);
        let connect = |from: &Container| from.netns.on(|| TcpStream::connect(to)).unwrap().unwrap();
        let allow = WEB_TO_DB.replace("80", "7000");
        // Both begin while the network is judged already, so that connection tracking knows them.
        let all = allow
            .replace("{app: web}", "{}")
            .replace("matchLabels: {}", "");
        apply(lab, &policy("db", &all));
        let (mut kept, mut cut) = (connect(&web), connect(&other));
        assert!(answers(&mut kept, SOON) && answers(&mut cut, SOON));
        apply(lab, &policy("db", &allow));
        assert!(answers(&mut kept, SOON));
        assert!(!answers(&mut cut, NEVER));
        remove(lab, "red/db");
        apply(lab, &policy("deny", DENY_INGRESS));
        assert!(!answers(&mut kept, NEVER));
    });
}

#[test]
fn a_flow_that_was_switched_before_its_network_was_judged_ends_too() {
    on_own_host(|lab| {
        lab.network("red", |_| {});
        let db = labelled(lab, "db", "red", &[("app", "db")]);
        let other = labelled(lab, "other", "red", &[]);
        let to = mirror(&db);
        let mut stream = other.netns.on(|| TcpStream::connect(to)).unwrap().unwrap();
        assert!(answers(&mut stream, SOON));
        apply(lab, &policy("deny", DENY_INGRESS));
        assert!(!answers(&mut stream, NEVER));
    });
}

/// Frames that a bridge switches are seen by nobody else, as on hosts without `br_netfilter`.
fn switch_unseen() {
    for program in ["ip", "ip6"] {
        let seen = format!("net/bridge/bridge-nf-call-{program}tables");
        // The kernel may be one without.
        write_sysctl(&seen, "0").ok();
    }
}

/// Connects to a server that listens as long as the test lasts; gives both ends, the client's first.
fn switched(from: &Container, to: &Container) -> (TcpStream, TcpStream, TcpListener) {
    let address = to.at(7000);
    let listener = to.netns.on(|| TcpListener::bind(address).unwrap()).unwrap();
    let connect = || TcpStream::connect(address).unwrap();
    let client = from.netns.on(connect).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server, listener)
}

/// Reports whether what one end says comes to the other.
fn carries(from: &mut TcpStream, to: &mut TcpStream, patience: Duration) -> bool {
    let mut byte = [0];
    to.set_read_timeout(Some(patience)).unwrap();
    from.write_all(&[7]).is_ok() && to.read_exact(&mut byte).is_ok()
}

/// Who may reach `db`, while nobody may reach its clients.
fn only_to_db() -> String {
    let to_db = WEB_TO_DB.replace("80", "7000");
    policy("nobody", "{podSelector: {}}") + &policy("db", &to_db)
}

#[test]
fn a_server_goes_on_speaking_first_in_a_flow_that_was_switched_before() {
    on_own_host(|lab| {
        switch_unseen();
        lab.network("red", |spec| {
            spec.ipv6 = true;
            spec.pools = vec![pool("10.66.0.0/24"), pool("fd00:66::/64")];
        });
        let db = labelled(lab, "db", "red", &[("app", "db")]);
        let web = labelled(lab, "web", "red", &[("app", "web")]);
        let (mut client, mut server, _listener) = switched(&web, &db);
        apply(lab, &only_to_db());
        assert!(carries(&mut server, &mut client, SOON));
        assert!(carries(&mut client, &mut server, SOON));
        let back = SocketAddr::new(web.address(), client.local_addr().unwrap().port());
        assert!(is_cut_off(&db.netns, back), "nobody reaches the client");
    });
}

#[test]
fn a_server_on_both_families_goes_on_speaking_first_too() {
    on_own_host(|lab| {
        switch_unseen();
        lab.network("red", |spec| {
            spec.ipv6 = true;
            spec.pools = vec![pool("10.66.0.0/24"), pool("fd00:66::/64")];
        });
        let db = labelled(lab, "db", "red", &[("app", "db")]);
        let web = labelled(lab, "web", "red", &[("app", "web")]);
        let any = || TcpListener::bind("[::]:7000").unwrap();
        let listener = db.netns.on(any).unwrap();
        let v6 = db.report.endpoints[0].ipv6.unwrap().address;
        let addresses = [db.at(7000), SocketAddr::new(v6.into(), 7000)];
        let mut flows = addresses.map(|address| {
            let connect = || TcpStream::connect(address).unwrap();
            let client = web.netns.on(connect).unwrap();
            (client, listener.accept().unwrap().0)
        });
        apply(lab, &only_to_db());
        for (client, server) in &mut flows {
            assert!(carries(server, client, SOON));
        }
    });
}

#[test]
fn a_server_that_speaks_first_does_not_keep_a_flow_that_nobody_allows_any_more() {
    on_own_host(|lab| {
        switch_unseen();
        lab.network("red", |_| {});
        let db = labelled(lab, "db", "red", &[("app", "db")]);
        let other = labelled(lab, "other", "red", &[]);
        let (mut client, mut server, _listener) = switched(&other, &db);
        // The server may reach the client, but not by the flow that the client began.
        apply(lab, &policy("deny", DENY_INGRESS));
        until("the flow's end", || server.take_error().unwrap().is_some());
        assert!(!carries(&mut server, &mut client, NEVER));
        assert!(!carries(&mut client, &mut server, NEVER));
    });
}

#[test]
fn a_flow_that_went_on_unseen_between_two_policies_goes_on_under_the_second() {
    on_own_host(|lab| {
        switch_unseen();
        lab.network("red", |_| {});
        let db = labelled(lab, "db", "red", &[("app", "db")]);
        let web = labelled(lab, "web", "red", &[("app", "web")]);
        let (mut client, mut server, _listener) = switched(&web, &db);
        apply(lab, &only_to_db());
        assert!(carries(&mut client, &mut server, SOON));
        for name in ["red/nobody", "red/db"] {
            remove(lab, name);
        }
        // More than any window that connection tracking remembers.
        let much = vec![7; 32 << 20];
        std::thread::scope(|scope| {
            scope.spawn(|| server.write_all(&much).unwrap());
            client.read_exact(&mut vec![0; much.len()]).unwrap();
        });
        apply(lab, &only_to_db());
        assert!(carries(&mut server, &mut client, SOON));
        assert!(carries(&mut client, &mut server, SOON));
    });
}

#[test]
fn a_tracked_flow_that_a_policy_ends_is_not_revived_by_its_server() {
    on_own_host(|lab| {
        switch_unseen();
        lab.network("red", |_| {});
        let db = labelled(lab, "db", "red", &[("app", "db")]);
        let web = labelled(lab, "web", "red", &[("app", "web")]);
        apply(lab, &policy("db", &WEB_TO_DB.replace("80", "7000")));
        let (mut client, mut server, _listener) = switched(&web, &db);
        assert!(carries(&mut client, &mut server, SOON));
        apply(lab, &policy("db", DENY_INGRESS));
        until("the flow's end", || server.take_error().unwrap().is_some());
        assert!(!carries(&mut server, &mut client, NEVER));
    });
}

#[test]
fn an_end_that_no_other_end_knows_of_opens_nothing() {
    on_own_host(|lab| {
        switch_unseen();
        lab.network("red", |_| {});
        let db = labelled(lab, "db", "red", &[("app", "db")]);
        let web = labelled(lab, "web", "red", &[("app", "web")]);
        // `web` has the address of `victim` inside: what its sockets say of it, nobody confirms.
        let victim = labelled(lab, "victim", "red", &[("app", "victim")]);
        let kept = switched(&web, &db);
        let taken = victim.address();
        let faked = web.netns.on(|| {
            let mut socket = hakone_netlink::Socket::open().unwrap();
            let own = hakone_netlink::LinkIndex(1);
            let address = format!("{taken}/32").parse().unwrap();
            socket
                .execute([hakone_netlink::add_address(own, address)])
                .unwrap();
            let listener = TcpListener::bind((taken, 7000)).unwrap();
            let client = TcpStream::connect((taken, 7000)).unwrap();
            (listener, client)
        });
        apply(lab, &only_to_db());
        let flows = || std::fs::read_to_string("/proc/thread-self/net/nf_conntrack").unwrap();
        let confirmed = format!("src={} dst={}", web.address(), db.address());
        until("the noting", || flows().contains(&confirmed));
        assert!(!flows().contains(&taken.to_string()), "{}", flows());
        drop((kept, faked));
    });
}

#[test]
fn closed_egress_closes_the_world_the_host_and_questions_about_it() {
    let own_resolver =
        |config: &mut hakone_network::Config| config.dns = vec![LAN.parse().unwrap()];
    on_own_host_with(own_resolver, |lab| {
        lab.network("red", |_| {});
        let a = labelled(lab, "a", "red", &[("app", "a")]);
        let b = labelled(lab, "b", "red", &[]);
        b.echo(80);
        serve(&lab.outside, outside());
        serve(lab.host(), format!("{LAN}:9000").parse().unwrap());
        let host = || format!("{LAN}:9000").parse().unwrap();
        assert!(ask(&a.netns, outside()).is_some() && ask(&a.netns, host()).is_some());
        let closed = "{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress]}";
        apply(lab, &policy("closed", closed));
        assert!(is_cut_off(&a.netns, outside()) && is_cut_off(&a.netns, host()));
        assert!(is_cut_off(&a.netns, b.at(80)));
        assert!(ask(&b.netns, outside()).is_some());
        assert_eq!(look_up(&a.netns, "b-c").1, [b.address()]);
        assert_eq!(look_up(&a.netns, "secret.example.org").0, SERVER_FAILURE);
        let open = format!(
            "{{podSelector: {{matchLabels: {{app: a}}}}, policyTypes: [Egress], egress: [{{to: [{{ipBlock: {{cidr: {OUTSIDE}/32}}}}]}}]}}"
        );
        assert_eq!(apply(lab, &policy("closed", &open)), [Change::Configured]);
        assert!(ask(&a.netns, outside()).is_some());
        assert!(is_cut_off(&a.netns, host()));
    });
}

/// Answers questions from the host: `good` is outside, `rebind` the host, `inner` the address given.
fn world_of_names(inner: IpAddr) {
    let socket = UdpSocket::bind(format!("{LAN}:53")).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let mut answer = buffer.get(..length).unwrap().to_vec();
            let address: IpAddr = match answer.get(13..17).unwrap() {
                b"good" => OUTSIDE.parse().unwrap(),
                b"rebi" => LAN.parse().unwrap(),
                _ => inner,
            };
            let IpAddr::V4(address) = address else {
                unreachable!()
            };
            answer.splice(2..8, [0x81, 0x80, 0, 1, 0, 1]);
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4]);
            answer.extend(address.octets());
            socket.send_to(&answer, from).unwrap();
        }
    });
}

#[test]
fn names_open_what_the_resolver_answered_to_the_container_that_asked() {
    let own_resolver =
        |config: &mut hakone_network::Config| config.dns = vec![LAN.parse().unwrap()];
    on_own_host_with(own_resolver, |lab| {
        write_sysctl("net/ipv4/ip_nonlocal_bind", "1").unwrap();
        lab.network("red", |_| {});
        let open = [("dev.hakone.egress", "*.example.org:80")];
        let a = labelled(lab, "a", "red", &open);
        let b = labelled(lab, "b", "red", &open);
        let c = lab.run("c", &["red"]);
        c.echo(80);
        world_of_names(c.address());
        for port in [80, 81] {
            serve(
                &lab.outside,
                SocketAddr::new(OUTSIDE.parse().unwrap(), port),
            );
        }
        serve(lab.host(), format!("{LAN}:80").parse().unwrap());
        let outside_at = |port| SocketAddr::new(OUTSIDE.parse().unwrap(), port);

        assert!(is_cut_off(&a.netns, outside()));
        for other in ["www.evil.net", "example.org", "good.example.org.evil.net"] {
            assert_eq!(look_up(&a.netns, other).0, REFUSED, "{other}");
        }
        assert!(is_cut_off(&a.netns, outside()));
        assert_eq!(look_up(&a.netns, "good.Example.org").0, 0);
        assert!(ask(&a.netns, outside()).is_some());
        assert!(is_cut_off(&a.netns, outside_at(81)), "another port");
        assert!(is_cut_off(&b.netns, outside()), "who did not ask");

        // A name that leads to the host or to a container opens neither (attack `dns_rebinding`).
        assert_eq!(look_up(&a.netns, "rebind.example.org").0, 0);
        assert_eq!(look_up(&a.netns, "inner.example.org").0, 0);
        assert!(is_cut_off(&a.netns, format!("{LAN}:80").parse().unwrap()));
        assert!(is_cut_off(&a.netns, c.at(80)));

        // Rules that come and go, or are made anew, keep what was answered.
        apply(
            lab,
            &policy("other", "{podSelector: {matchLabels: {app: none}}}"),
        );
        let late = labelled(lab, "late", "red", &[("dev.hakone.ingress", "none")]);
        assert!(ask(&a.netns, outside()).is_some());
        drop(late);
    });
}

#[test]
fn a_flow_to_a_named_machine_goes_on_until_its_policy_closes_it() {
    let own_resolver =
        |config: &mut hakone_network::Config| config.dns = vec![LAN.parse().unwrap()];
    on_own_host_with(own_resolver, |lab| {
        lab.network("red", |_| {});
        let a = labelled(lab, "a", "red", &[("app", "a")]);
        world_of_names(a.address());
        let to = SocketAddr::new(OUTSIDE.parse().unwrap(), 7000);
        mirror_at(&lab.outside, to);
        let named = |ports: &str| {
            policy("named", "{podSelector: {matchLabels: {app: a}}}").replace(
                "namespace: red}",
                &format!("namespace: red, annotations: {{dev.hakone.egress-names: \"*.example.org:{ports}\"}}}}"),
            )
        };
        apply(lab, &named("7000"));
        assert_eq!(look_up(&a.netns, "good.example.org").0, 0);
        let mut stream = a.netns.on(|| TcpStream::connect(to)).unwrap().unwrap();
        assert!(answers(&mut stream, SOON));
        let late = labelled(lab, "late", "red", &[("dev.hakone.ingress", "none")]);
        assert!(answers(&mut stream, SOON), "another container came");
        drop(late);
        apply(lab, &named("7000-7001"));
        assert!(answers(&mut stream, SOON), "it is open still");
        apply(lab, &named("7001"));
        assert!(!answers(&mut stream, NEVER), "its port is closed");
    });
}

#[test]
fn labels_of_a_container_state_its_own_policy_and_bad_ones_refuse_it() {
    on_own_host(|lab| {
        lab.network("red", |_| {});
        let db = labelled(lab, "db", "red", &[("dev.hakone.ingress", "web-c:80")]);
        let (web, other) = (lab.run("web", &["red"]), lab.run("other", &["red"]));
        [80, 81].into_iter().for_each(|port| db.echo(port));
        assert!(ask(&web.netns, db.at(80)).is_some());
        assert!(is_cut_off(&web.netns, db.at(81)) && is_cut_off(&other.netns, db.at(80)));
    });
}

#[test]
fn a_published_port_is_judged_by_the_clients_own_address() {
    on_own_host(|lab| {
        lab.network("red", |_| {});
        let mut wanted = request("db", &["red"]);
        wanted.labels.insert("app".into(), "db".into());
        wanted.exposed = vec!["80/tcp".parse().unwrap()];
        wanted.bindings = vec![hakone_network::PortBinding {
            target: "80/tcp".parse().unwrap(),
            host_address: None,
            host_ports: Some(8080.try_into().unwrap()..=8080.try_into().unwrap()),
        }];
        let db = lab.try_run(wanted).unwrap();
        db.echo(80);
        let published = format!("{LAN}:8080").parse().unwrap();
        assert!(ask(&lab.outside, published).is_some());
        apply(lab, &policy("deny", DENY_INGRESS));
        assert!(is_cut_off(&lab.outside, published));
        let neighbour = DENY_INGRESS.replace(
            "db}}}",
            &format!("db}}}}, ingress: [{{from: [{{ipBlock: {{cidr: {OUTSIDE}/24}}}}], ports: [{{port: 80}}]}}]}}"),
        );
        apply(lab, &policy("near", &neighbour));
        assert!(ask(&lab.outside, published).is_some());
    });
}

#[test]
fn policies_outlive_the_daemon_and_an_unreadable_one_keeps_it_from_starting() {
    on_own_host(|lab| {
        lab.network("red", |_| {});
        apply(lab, &policy("deny", "{}"));
        lab.crash();
        lab.runtime.block_on(lab.service.settle()).unwrap();
        let (a, b) = (lab.run("a", &["red"]), lab.run("b", &["red"]));
        b.echo(80);
        assert!(is_cut_off(&a.netns, b.at(80)));
        assert_eq!(lab.service.policies().len(), 1);
        let explained = lab
            .service
            .explain("a-c", "b-c", "80".parse().unwrap())
            .unwrap();
        assert!(!explained.allowed);
        assert!(explained.because.concat().contains("no rule of red/deny"));
    });
}
