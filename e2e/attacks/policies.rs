//! Past policies: by every protocol, by lies about who one is, in pieces, by the host, by names, and by what was there before.

use std::{net::UdpSocket, thread, time::Duration};

use hakone_e2e::{Background, Engine, Lab, eventually};

use crate::{
    ear::{At, Ear, attack, be_honest},
    world::{World, network},
};

const BACK_ENDS: [&str; 2] = ["", "--firewall-backend iptables"];

/// A victim that `other` alone may reach, at UDP port 7000, and an attacker who may reach nobody but `other` there.
fn lab(arguments: &str) -> Lab {
    let lab = Lab::with(Engine::Hakone, arguments);
    network(&lab, 1, "red", "");
    let closed = "--label dev.hakone.ingress=other:7000/udp";
    lab.probe(
        "victim",
        &format!("--network red {closed} -p 7777:7000/udp"),
    );
    lab.probe("other", "--network red");
    lab.probe("mallory", "--network red --cap-add NET_ADMIN");
    lab
}

fn world(lab: &Lab) -> String {
    World::new()
        .with_container("me", lab, "mallory", "red")
        .with_container("victim", lab, "victim", "red")
        .with_container("other", lab, "other", "red")
        .with_gateway("gateway", lab, 1)
        .with("broadcast", ["ff:ff:ff:ff:ff:ff", "10.71.0.255", ""])
        .json()
}

#[test]
fn nothing_reaches_a_container_but_what_its_policies_let_in() {
    for arguments in BACK_ENDS {
        let lab = lab(arguments);
        let (world, victim) = (world(&lab), lab.address("victim", "red"));
        let hears = |honest: &str| {
            let ear = Ear::open(&lab, At::Container("victim"), "packet eth0");
            let mallory = At::Container("mallory");
            let sent = attack(&lab, mallory, ("eth0", "past_policies"), &world);
            be_honest(&lab, At::Container(honest), &victim, 7000);
            (ear.heard(), sent.len())
        };
        let (through, sent) = hears("other");
        println!("{arguments}: {sent} attacks, {} got through", through.len());
        assert!(sent >= 65 && through.is_empty(), "{arguments}: {through:?}");
        if arguments.is_empty() {
            // Without the policy most of it arrives: the ear is good, and the policy keeps it out.
            lab.docker("rm -f victim").ok();
            lab.probe(
                "victim",
                &format!("--network red --ip {victim} -p 7777:7000/udp"),
            );
            let world = self::world(&lab);
            let ear = Ear::open(&lab, At::Container("victim"), "packet eth0");
            attack(
                &lab,
                At::Container("mallory"),
                ("eth0", "past_policies"),
                &world,
            );
            be_honest(&lab, At::Container("mallory"), &victim, 7000);
            let open = ear.heard().len();
            assert!(open * 2 > sent, "{open} of {sent}");
        }
    }
}

#[test]
fn nothing_leaves_a_container_but_what_its_policies_let_out() {
    for arguments in BACK_ENDS {
        let lab = lab(arguments);
        lab.docker("rm -f mallory").ok();
        let closed = "--label dev.hakone.egress=other:7000/udp";
        lab.probe(
            "mallory",
            &format!("--network red --cap-add NET_ADMIN {closed}"),
        );
        let ears = [
            (
                At::Machine(&lab.outside),
                "packet cable1",
                "10.99.0.2".to_owned(),
            ),
            (At::Machine(&lab.host), "udp 7000", "10.71.0.1".to_owned()),
            (
                At::Container("other"),
                "packet eth0",
                lab.address("other", "red"),
            ),
        ];
        let open = ears.map(|(at, how, honest)| (Ear::open(&lab, at, how), honest));
        let mallory = At::Container("mallory");
        let sent = attack(&lab, mallory, ("eth0", "out_of_policies"), &world(&lab));
        let mut through = Vec::new();
        for (ear, honest) in open {
            let speaker = if honest == lab.address("other", "red") {
                "victim"
            } else {
                "other"
            };
            be_honest(&lab, At::Container(speaker), &honest, 7000);
            through.extend(ear.heard());
        }
        println!(
            "{arguments}: {} attacks, {} got through",
            sent.len(),
            through.len()
        );
        // A neighbour hears what was for the world when it is told to carry it; it carries nothing.
        through.retain(|name| name != "out_by_peer_as_router");
        assert!(
            sent.len() >= 26 && through.is_empty(),
            "{arguments}: {through:?}"
        );
    }
}

/// The attacks address_reuse and flow_after_removal: who comes later under an address is not who had it.
#[test]
fn an_allowed_peers_address_and_flows_are_nobodys_after_it() {
    let lab = lab("");
    let (victim, peer) = (lab.address("victim", "red"), lab.address("other", "red"));
    let heard = lab.inside("victim", || UdpSocket::bind("0.0.0.0:7000").unwrap());
    heard
        .set_read_timeout(Some(Duration::from_millis(400)))
        .unwrap();
    let says = |name: &str| {
        let socket = lab.inside(name, || UdpSocket::bind("0.0.0.0:7100").unwrap());
        for _ in 0..3 {
            socket.send_to(b"word", (victim.as_str(), 7000)).ok();
            thread::sleep(Duration::from_millis(20));
        }
        let arrived = heard.recv_from(&mut [0; 8]).is_ok();
        while heard.recv_from(&mut [0; 8]).is_ok() {}
        arrived
    };
    eventually("the allowed peer is heard", || says("other"));
    lab.docker("rm -f other").ok();
    lab.probe("stranger", &format!("--network red --ip {peer}"));
    assert!(!says("stranger"), "its address, its port, its flow");
    lab.docker("rename stranger was-stranger").ok();
    assert!(!says("was-stranger"));
    // A name is what a label names; whoever may name containers may say who is who.
    lab.docker("rm -f was-stranger").ok();
    lab.probe("other", "--network red --ip 10.71.0.77");
    eventually("the peer is heard under another address", || says("other"));
    let refused =
        lab.docker("run --rm --network red --label dev.hakone.ingress=any:thing busybox true");
    assert_ne!(
        refused.code, 0,
        "a label that nobody can read opens nothing"
    );
}

/// The attacks dns_rebinding, dns_tunnel, names_of_another: a stranger who serves an allowed name opens nothing of ours.
#[test]
fn a_name_opens_neither_the_host_nor_a_neighbour_and_to_nobody_else() {
    for arguments in BACK_ENDS {
        names_open_nothing_of_ours(&Lab::with(
            Engine::Hakone,
            &format!("--dns 10.99.0.2 {arguments}"),
        ));
    }
}

/// A resolver outside that says of every name that it is ours, and one of the world.
fn strange_resolver(lab: &Lab, address: std::net::Ipv4Addr) -> Background {
    let server = lab.outside.on(|| UdpSocket::bind("10.99.0.2:53").unwrap());
    server
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    Background::run(move || {
        let mut buffer = [0; 1500];
        let Ok((length, from)) = server.recv_from(&mut buffer) else {
            return;
        };
        let mut answer = buffer[..length].to_vec();
        answer.splice(2..8, [0x81, 0x80, 0, 1, 0, 4]);
        let ours = [address.octets(), [10, 71, 0, 1], [169, 254, 169, 254]];
        for address in ours.into_iter().chain([[198, 51, 100, 9]]) {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4]);
            answer.extend(address);
        }
        server.send_to(&answer, from).ok();
    })
}

fn names_open_nothing_of_ours(lab: &Lab) {
    network(lab, 1, "red", "");
    lab.server("db", "--network red");
    let named = "--network red --label dev.hakone.egress=*.example.org:80";
    lab.probe("named", named);
    lab.probe("silent", named);
    let db = lab.address("db", "red");
    let _serving = strange_resolver(lab, db.parse().unwrap());
    let world = "198.51.100.9";
    lab.outside
        .sh(&format!("ip addr add {world}/32 dev lo"))
        .ok();
    lab.host
        .sh(&format!("ip route add {world} via 10.99.0.2"))
        .ok();
    let listening = lab
        .outside
        .on(|| std::net::TcpListener::bind((world, 80)).unwrap());
    let opens = |name: &str, patience: Duration| {
        let to = std::net::SocketAddr::new(world.parse().unwrap(), 80);
        let connect = || std::net::TcpStream::connect_timeout(&to, patience);
        lab.inside(name, connect).is_ok()
    };
    let never = Duration::from_millis(500);
    assert!(!opens("named", never), "before it asked");
    // The answer, and what it opens, lasts for seconds.
    eventually("who asked gets through", || {
        let ask = "exec named nslookup -type=a evil.example.org 127.0.0.11";
        let asked = lab.docker(ask).ok();
        assert!(asked.contains(&db), "{asked}");
        opens("named", Duration::from_secs(5))
    });
    assert!(!opens("silent", never), "nobody else");
    drop(listening);
    for to in [&*db, "10.71.0.1", "10.99.0.1", "169.254.169.254"] {
        assert!(lab.is_kept_from("named", &format!("{to}:80")), "{to}");
    }
    for other in [
        "secret.evil.net",
        "example.org",
        "data.example.org.evil.net",
    ] {
        let refused = lab.docker(&format!("exec named nslookup -type=a {other} 127.0.0.11"));
        let said = refused.stdout + &refused.stderr;
        assert!(said.contains("REFUSED"), "{other}: {said}");
    }
    let direct = lab.docker("exec named nslookup -type=a www.example.org 10.99.0.2");
    assert_ne!(direct.code, 0, "another resolver");
}
