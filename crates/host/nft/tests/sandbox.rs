//! A sandbox's own rules in the kernel: its resolver answers at the port that is asked, whatever else stands there. Needs root.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::disallowed_methods, reason = "tests may call nft and ip")]

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::Command,
};

use hakone_netns::Netns;
use hakone_nft::Firewall;
use hakone_policy::{Ipv6Rules, Listener, Sandbox, compile_sandbox};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// The resolver's sockets, and the rules that lead to them.
struct Resolver {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Resolver {
    fn open() -> Self {
        Self {
            udp: UdpSocket::bind((ADDRESS, 0)).unwrap(),
            tcp: TcpListener::bind((ADDRESS, 0)).unwrap(),
        }
    }

    fn wanted(&self) -> Sandbox {
        let resolver = Listener {
            address: ADDRESS,
            asked: 53,
            tcp: self.tcp.local_addr().unwrap().port(),
            udp: self.udp.local_addr().unwrap().port(),
        };
        Sandbox {
            resolver: Some(resolver),
            neighbours: Some(Ipv6Rules::Loaded),
        }
    }

    /// Asks over both protocols, and answers.
    fn is_asked(&self) {
        let client = UdpSocket::bind("0.0.0.0:0").unwrap();
        client.connect((ADDRESS, 53)).unwrap();
        client.send(b"who").unwrap();
        let mut buffer = [0; 8];
        let (length, from) = self.udp.recv_from(&mut buffer).unwrap();
        self.udp
            .send_to(buffer.get(..length).unwrap(), from)
            .unwrap();
        assert_eq!(client.recv(&mut buffer).unwrap(), 3);

        let mut client = TcpStream::connect((ADDRESS, 53)).unwrap();
        let (mut server, _) = self.tcp.accept().unwrap();
        client.write_all(b"hello").unwrap();
        server.write_all(b"again").unwrap();
        drop(client.shutdown(std::net::Shutdown::Write));
        drop(server.shutdown(std::net::Shutdown::Write));
        let mut heard = [String::new(), String::new()];
        server.read_to_string(&mut heard[0]).unwrap();
        client.read_to_string(&mut heard[1]).unwrap();
        assert_eq!(heard, ["hello", "again"]);
    }
}

fn sh(line: &str) {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
}

/// Runs in a namespace of its own with its loopback up.
fn inside(test: impl FnOnce() + Send) {
    let (netns, ()) = Netns::create(|_| sh("ip link set lo up")).unwrap();
    netns.on(test).unwrap();
}

#[test]
fn the_resolver_answers_at_the_port_that_is_asked() {
    inside(|| {
        let resolver = Resolver::open();
        let wanted = resolver.wanted();
        let gone = wanted.resolver.map(|to| Listener { udp: 1, ..to });
        let before = Sandbox {
            resolver: gone,
            ..wanted
        };
        let mut firewall = Firewall::open().unwrap();
        // What a former daemon left is replaced.
        firewall.begin(&compile_sandbox(&before)).unwrap();
        firewall.begin(&compile_sandbox(&wanted)).unwrap();
        // The container has port 53 for itself meanwhile.
        let own = (
            UdpSocket::bind("0.0.0.0:53").unwrap(),
            TcpListener::bind("0.0.0.0:53").unwrap(),
        );
        resolver.is_asked();
        drop(own);
    });
}

#[test]
fn a_firewall_of_the_containers_own_sees_one_flow() {
    inside(|| {
        let resolver = Resolver::open();
        let mut firewall = Firewall::open().unwrap();
        firewall
            .begin(&compile_sandbox(&resolver.wanted()))
            .unwrap();
        let known =
            "policy drop; ct state established accept; ct state new ip daddr 127.0.0.11 accept;";
        sh(&format!(
            "nft 'table inet own {{ chain input {{ type filter hook input priority 0; {known} }}; \
             chain output {{ type filter hook output priority 0; {known} }}; }}'"
        ));
        // An answer that connection tracking takes for a flow of its own would end at either.
        resolver.is_asked();
    });
}

#[test]
fn only_so_many_neighbours_are_asked_for() {
    inside(|| {
        sh(
            "ip link add eth0 type veth peer name other; ip addr add 10.9.0.2/16 dev eth0; \
            ip link set eth0 up; ip link set other up",
        );
        let wanted = Sandbox {
            resolver: None,
            neighbours: Some(Ipv6Rules::Loaded),
        };
        let mut firewall = Firewall::open().unwrap();
        firewall.begin(&compile_sandbox(&wanted)).unwrap();
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let send = |to: u16| {
            let [high, low] = to.to_be_bytes();
            let to = SocketAddr::new(IpAddr::from([10, 9, high + 1, low]), 9);
            socket.send_to(b"x", to).is_ok()
        };
        let through = (0..1000).filter(|to| send(*to)).count();
        // A burst of 128 and 32 a second more; a thousand datagrams take far less than ten seconds.
        assert!((128..500).contains(&through), "{through}");
        let itself = (Ipv4Addr::LOCALHOST, 9);
        assert!(
            socket.send_to(b"x", itself).is_ok(),
            "it may speak to itself"
        );
    });
}
