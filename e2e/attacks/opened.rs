//! What is opened on purpose opens that and nothing else; and what must go on working does.

use std::{net::UdpSocket, time::Duration};

use hakone_e2e::{Background, Engine, IMAGE, Lab, ask_udp, eventually};

use crate::{
    ear::{At, Ear, attack, be_honest},
    world::{World, network},
};

#[test]
fn a_link_opens_the_exposed_ports_in_its_direction_and_nothing_else() {
    let lab = Lab::with(Engine::Hakone, "--icc=false");
    lab.server_on("db", "--expose 80", &[80, 81]);
    lab.server("web", "--link db:store --expose 80");
    lab.probe("stranger", "");
    let (db, web) = (lab.address("db", "bridge"), lab.address("web", "bridge"));
    assert!(
        lab.reaches("web", "store"),
        "the exposed port, by its alias"
    );
    assert!(lab.reaches("web", &db), "the exposed port");
    assert!(
        lab.is_kept_from("web", &format!("{db}:81")),
        "a port that is not exposed"
    );
    assert!(lab.is_kept_from("db", &web), "the other direction");
    assert!(lab.is_kept_from("stranger", &db), "somebody else");
    // The attack link_reverse_by_source_port: back to any port of the client, from the port that is exposed.
    let socket = lab.inside("web", || UdpSocket::bind("0.0.0.0:7000").unwrap());
    let reverse = lab.inside("db", || UdpSocket::bind("0.0.0.0:80").unwrap());
    reverse.connect((web.as_str(), 7000)).unwrap();
    socket.set_nonblocking(true).unwrap();
    assert_eq!(ask_udp(&reverse), None);
    assert!(socket.recv(&mut [0; 8]).is_err(), "back by the source port");
    let back = "nc -w 1 -p 80 WEB 7070 </dev/null".replace("WEB", &web);
    let listening = lab.inside("web", || {
        std::net::TcpListener::bind("0.0.0.0:7070").unwrap()
    });
    lab.docker("exec db sh -c 'killall httpd'").ok();
    assert_ne!(
        lab.docker(&format!("exec db sh -c '{back}'")).code,
        0,
        "back over TCP"
    );
    drop(listening);
    let environment = lab.docker("exec web env").ok();
    assert!(!environment.contains("STORE_ENV"), "{environment}");
}

#[test]
fn a_link_over_ipv6_opens_the_same_and_nothing_else() {
    for backend in ["nftables", "iptables"] {
        let options = "--icc=false --ipv6 --fixed-cidr-v6 fd77::/64 --firewall-backend";
        let lab = Lab::with(Engine::Hakone, &format!("{options} {backend}"));
        lab.probe("db", "--expose 7000/udp");
        lab.probe("web", "--link db:store");
        lab.probe("stranger", "");
        let six = |name: &str| {
            let of = ".NetworkSettings.Networks.bridge.GlobalIPv6Address";
            lab.docker(&format!("inspect -f '{{{{{of}}}}}' {name}"))
                .ok()
        };
        let (db, web) = (six("db"), six("web"));
        let answers = |port: u16| {
            let server = lab.inside("db", || UdpSocket::bind(("::", port)).unwrap());
            server
                .set_read_timeout(Some(Duration::from_millis(100)))
                .unwrap();
            Background::run(move || {
                let asked = server.recv_from(&mut [0; 8]);
                asked
                    .and_then(|(_, from)| server.send_to(b"yes", from))
                    .ok();
            })
        };
        let _servers = [answers(7000), answers(7001)];
        let asks = |name: &str, to: &str, port: u16| {
            let socket = lab.inside(name, || UdpSocket::bind("[::]:0").unwrap());
            socket.connect((to, port)).unwrap();
            ask_udp(&socket).is_some()
        };
        eventually("the exposed port answers", || asks("web", &db, 7000));
        assert!(
            !asks("web", &db, 7001),
            "{backend}: a port that is not exposed"
        );
        assert!(!asks("stranger", &db, 7000), "{backend}: somebody else");
        let heard = lab.inside("web", || UdpSocket::bind("[::]:7002").unwrap());
        heard.set_nonblocking(true).unwrap();
        let back = lab.inside("db", || UdpSocket::bind("[::]:0").unwrap());
        for _ in 0..3 {
            back.send_to(b"back", (web.as_str(), 7002)).ok();
        }
        assert!(!asks("db", &web, 7002) && heard.recv(&mut [0; 8]).is_err());
    }
}

#[test]
fn services_of_the_host_are_reached_as_in_docker_unless_hardened() {
    for (arguments, options, reached) in [
        ("", "", true),
        ("--hardened", "", false),
        (
            "--hardened",
            "--label dev.hakone.host-access=7000/udp",
            true,
        ),
        ("--hardened", "--label dev.hakone.hardened=false", true),
        ("", "--label dev.hakone.hardened=true", false),
    ] {
        let lab = Lab::with(Engine::Hakone, arguments);
        network(&lab, 1, "red", options);
        lab.probe(
            "probe",
            "--network red --add-host host.docker.internal:host-gateway",
        );
        let server = lab.host.on(|| UdpSocket::bind("0.0.0.0:7000").unwrap());
        server.set_nonblocking(true).unwrap();
        let hosts = lab.docker("exec probe cat /etc/hosts").ok();
        assert!(hosts.contains("10.71.0.1\thost.docker.internal"), "{hosts}");
        let socket = lab.inside("probe", || UdpSocket::bind("0.0.0.0:0").unwrap());
        socket.send_to(b"hello", "10.71.0.1:7000").unwrap();
        assert!(lab.pings("probe", "10.71.0.1"), "ping");
        assert!(lab.pings("probe", "10.99.0.2"), "the way out");
        let what = format!("daemon {arguments:?}, network {options:?}");
        assert_eq!(server.recv(&mut [0; 8]).is_ok(), reached, "{what}");
    }
}

#[test]
fn a_hardened_network_reaches_no_published_port_of_another() {
    let lab = Lab::with(Engine::Hakone, "--hardened");
    network(&lab, 1, "red", "");
    network(&lab, 2, "blue", "");
    // A hardened container is published beyond the loopback when it names an address.
    lab.server("web", "--network blue -p 0.0.0.0:8080:80");
    lab.probe("probe", "--network red");
    for address in ["10.71.0.1:8080", "10.99.0.1:8080", "10.72.0.1:8080"] {
        assert!(lab.is_kept_from("probe", address), "{address}");
    }
    assert!(
        lab.outside.reaches("10.99.0.1:8080"),
        "published for the outside"
    );
    assert!(lab.host.reaches("127.0.0.1:8080"), "and for the host");
}

#[test]
fn metadata_and_multicast_open_when_the_network_says_so() {
    let lab = Lab::new();
    let options = "-o dev.hakone.metadata=allow -o dev.hakone.multicast=allow";
    network(&lab, 1, "open", options);
    lab.outside.sh("ip addr add 169.254.169.254/32 dev lo").ok();
    lab.host
        .sh("ip route add 169.254.169.254 via 10.99.0.2")
        .ok();
    lab.probe("probe", "--network open");
    lab.probe("victim", "--network open");
    assert!(lab.pings("probe", "169.254.169.254"));
    let heard = lab.inside("victim", || {
        let socket = UdpSocket::bind("0.0.0.0:5353").unwrap();
        let group = "224.0.0.251".parse().unwrap();
        socket
            .join_multicast_v4(&group, &"0.0.0.0".parse().unwrap())
            .unwrap();
        socket
    });
    heard.set_nonblocking(true).unwrap();
    let asks = lab.inside("probe", || UdpSocket::bind("0.0.0.0:0").unwrap());
    eventually("the question arrives", || {
        asks.send_to(b"who", "224.0.0.251:5353").ok();
        heard.recv(&mut [0; 8]).is_ok()
    });
    let refused = lab.docker("network create -o dev.hakone.multicast=yes wrong");
    assert!(
        refused.stderr.contains("want allow or deny"),
        "{}",
        refused.stderr
    );
}

#[test]
fn an_endpoint_uses_the_addresses_that_it_was_given_and_no_other() {
    let lab = Lab::new();
    network(&lab, 1, "red", "");
    let network = "--network name=red,driver-opt=dev.hakone.addresses=10.71.0.200";
    lab.probe("one", &format!("{network} --cap-add NET_ADMIN"));
    lab.probe("peer", "--network red");
    for (address, works) in [("10.71.0.200", true), ("10.71.0.201", false)] {
        lab.docker(&format!("exec one ip addr add {address}/32 dev eth0"))
            .ok();
        let from = format!("-I {address} {}", lab.address("peer", "red"));
        let judged = match works {
            true => lab.pings("one", &from),
            false => lab.docker(&format!("exec one ping -c1 -W1 {from}")).code != 0,
        };
        assert!(judged, "{address}");
    }
    let gateway = "run --rm --network name=red,driver-opt=dev.hakone.addresses=10.71.0.1";
    assert_ne!(lab.docker(&format!("{gateway} {IMAGE} true")).code, 0);
}

#[test]
fn containers_route_nothing_and_believe_no_router() {
    let lab = Lab::new();
    network(&lab, 1, "six", "");
    lab.docker("network create --subnet 10.75.0.0/24 four").ok();
    lab.probe("both", "--network six --network four");
    for (parameter, value) in [
        ("ipv4/ip_forward", "0"),
        ("ipv4/conf/eth0/forwarding", "0"),
        ("ipv4/conf/eth1/forwarding", "0"),
        ("ipv6/conf/all/forwarding", "0"),
        ("ipv6/conf/eth1/accept_ra", "0"),
        ("ipv6/conf/eth1/accept_redirects", "0"),
        ("ipv4/conf/all/accept_redirects", "0"),
        ("ipv4/conf/all/accept_source_route", "0"),
    ] {
        let found = lab
            .docker(&format!("exec both cat /proc/sys/net/{parameter}"))
            .ok();
        assert_eq!(found, value, "{parameter}");
    }
    let without = lab
        .docker("exec both sh -c 'ip -o -4 addr show to 10.75.0.0/24 | cut -d\" \" -f2'")
        .ok();
    let closed = lab.docker(&format!(
        "exec both cat /proc/sys/net/ipv6/conf/{without}/disable_ipv6"
    ));
    assert_eq!(closed.ok(), "1", "IPv6 on a network without it");
    let own = lab.docker(&format!(
        "run --rm --network six --sysctl net.ipv4.ip_forward=1 {IMAGE} cat /proc/sys/net/ipv4/ip_forward"
    ));
    assert_eq!(own.ok(), "1", "unless the user says otherwise");
}

#[test]
fn a_privileged_container_is_pinned_too_and_pins_outlive_a_crash() {
    let mut lab = Lab::new();
    network(&lab, 1, "red", "");
    lab.probe("mallory", "--network red --privileged");
    lab.probe("victim", "--network red");
    lab.probe("other", "--network red");
    let world = World::new()
        .with_container("me", &lab, "mallory", "red")
        .with_container("victim", &lab, "victim", "red")
        .with_container("other", &lab, "other", "red")
        .with_gateway("gateway", &lab, 1)
        .with("unused", ["02:00:00:00:00:77", "10.71.0.99", "fd71::99"]);
    for round in ["before", "after"] {
        let ear = Ear::open(&lab, At::Container("victim"), "packet eth0");
        let mallory = At::Container("mallory");
        let sent = attack(&lab, mallory, ("eth0", "forged"), &world.json());
        be_honest(&lab, mallory, &lab.address("victim", "red"), 7000);
        let heard = ear.heard();
        assert!(heard.is_empty() && sent.len() > 80, "{round}: {heard:?}");
        lab.crash();
    }
}
