//! From inside, with what a container has: the kernel's parameters, connection tracking's helpers, and its own name and life.

use std::net::TcpListener;

use hakone_e2e::{Engine, Lab, eventually};

use crate::world::network;

/// Parameters that would make it a router, a believer of strangers or somebody else.
const PARAMETERS: [&str; 14] = [
    "ipv4/ip_forward",
    "ipv4/conf/all/forwarding",
    "ipv4/conf/eth0/rp_filter",
    "ipv4/conf/eth0/arp_accept",
    "ipv4/conf/eth0/arp_ignore",
    "ipv4/conf/eth0/arp_announce",
    "ipv4/conf/eth0/proxy_arp",
    "ipv4/conf/eth0/accept_redirects",
    "ipv4/conf/eth0/accept_source_route",
    "ipv4/conf/eth0/route_localnet",
    "ipv6/conf/eth0/accept_ra",
    "ipv6/conf/eth0/disable_ipv6",
    "ipv6/conf/all/forwarding",
    "ipv4/neigh/eth0/gc_stale_time",
];

#[test]
fn a_container_changes_no_parameter_of_its_network_whatever_it_may_do_there() {
    let lab = Lab::new();
    network(&lab, 1, "red", "");
    lab.probe("plain", "--network red");
    lab.probe(
        "admin",
        "--network red --cap-add NET_ADMIN --cap-add NET_RAW",
    );
    for name in ["plain", "admin"] {
        let mut there = 0;
        for parameter in PARAMETERS {
            let file = format!("/proc/sys/net/{parameter}");
            let read = || lab.docker(&format!("exec {name} cat {file}"));
            let before = read();
            // Not every kernel has each.
            if before.code != 0 {
                continue;
            }
            there += 1;
            let now = before.ok();
            let other = if now == "0" { "1" } else { "0" };
            let wrote = lab.docker(&format!("exec {name} sh -c 'echo {other} > {file}'"));
            assert!(wrote.code != 0, "{name} wrote {parameter}");
            assert_eq!(read().ok(), now, "{name} changed {parameter}");
        }
        assert!(there > 8, "{there} parameters");
        let forwards = lab.docker(&format!("exec {name} cat /proc/sys/net/ipv4/ip_forward"));
        assert_eq!(forwards.ok(), "0");
    }
}

/// A policy is about who somebody is, and neither a new name, a restart nor the daemon's death makes him somebody else.
#[test]
fn a_container_sheds_no_policy_by_a_new_name_or_a_new_life() {
    for backend in ["nftables", "iptables"] {
        let mut lab = Lab::with(Engine::Hakone, &format!("--firewall-backend {backend}"));
        network(&lab, 1, "red", "");
        lab.server(
            "db",
            "--network red --ip 10.71.0.10 --label dev.hakone.ingress=web:80",
        );
        lab.server(
            "web",
            "--network red --ip 10.71.0.20 --label dev.hakone.egress=db:80",
        );
        lab.server("other", "--network red --ip 10.71.0.30");
        let judged = |lab: &Lab, web: &str, allowed: bool, when: &str| {
            assert_eq!(
                lab.reaches(web, "10.71.0.10:80"),
                allowed,
                "{backend}, {when}"
            );
            assert!(
                !lab.reaches("other", "10.71.0.10:80"),
                "{backend}, {when}: other"
            );
            assert!(!lab.reaches(web, "10.71.0.30:80"), "{backend}, {when}: out");
        };
        judged(&lab, "web", true, "at first");
        lab.crash();
        judged(&lab, "web", true, "after the daemon's death");
        // What was opened to a name is not opened to who had it, and what closes a container stays with it.
        lab.docker("rename web shop").ok();
        judged(&lab, "shop", false, "renamed");
        lab.docker("rename shop web").ok();
        judged(&lab, "web", true, "renamed back");
        lab.docker("restart -t 0 db").ok();
        eventually("it serves again", || lab.reaches("db", "127.0.0.1:80"));
        judged(&lab, "web", true, "restarted");
        lab.docker("network disconnect red web; docker network connect --ip 10.71.0.21 red web")
            .ok();
        judged(&lab, "web", true, "at another address");
    }
}

/// FTP and SIP name addresses and ports in their talk, and a helper of the kernel would open those.
const TALK: &str = r#"
import socket, sys
victim = sys.argv[1]
with socket.create_connection(("10.99.0.2", 21), 3) as ftp:
    ftp.sendall(("PORT %s,31,144\r\n" % victim.replace(".", ",")).encode())
    ftp.sendall(("EPRT |1|%s|8080|\r\n" % victim).encode())
    sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sip.bind(("0.0.0.0", 5060))
    body = "v=0\r\no=- 0 0 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio 8080 RTP/AVP 0\r\n" % (victim, victim)
    head = "INVITE sip:a@10.99.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP %s:8080\r\nContact: <sip:m@%s:8080>\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n"
    sip.sendto((head % (victim, victim, len(body)) + body).encode(), ("10.99.0.2", 5060))
"#;

#[test]
fn what_a_container_says_in_ftp_and_sip_opens_no_port() {
    let lab = Lab::new();
    network(&lab, 1, "red", "");
    lab.server_on("victim", "--network red", &[8080]);
    lab.server_on("mallory", "--network red", &[8080]);
    lab.probe("friend", "--network red");
    let listening = lab
        .outside
        .on(|| TcpListener::bind("10.99.0.2:21").unwrap());
    lab.shell(
        "modprobe -q nf_conntrack_ftp; modprobe -q nf_nat_ftp; modprobe -q nf_conntrack_sip; true",
    )
    .ok();
    for name in ["victim", "mallory"] {
        let address = lab.address(name, "red");
        lab.outside
            .sh("ip route replace 10.71.0.0/24 via 10.99.0.1")
            .ok();
        crate::flows::python(&lab, "mallory", TALK, &address);
        assert!(
            lab.reaches("friend", &format!("{address}:8080")),
            "the server serves"
        );
        assert!(
            !lab.outside.reaches(&format!("{address}:8080")),
            "{name}, by its address"
        );
        assert!(
            !lab.outside.reaches("10.99.0.1:8080"),
            "{name}, by the host's"
        );
    }
    drop(listening);
}
