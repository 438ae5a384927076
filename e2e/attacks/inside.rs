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
            let holds = match allowed {
                true => lab.reaches(web, "10.71.0.10:80"),
                false => lab.is_kept_from(web, "10.71.0.10:80"),
            };
            assert!(holds, "{backend}, {when}");
            assert!(
                lab.is_kept_from("other", "10.71.0.10:80"),
                "{backend}, {when}: other"
            );
            assert!(
                lab.is_kept_from(web, "10.71.0.30:80"),
                "{backend}, {when}: out"
            );
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
    head = "INVITE sip:a@10.99.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP %s:8080\r\nContact: <sip:m@%s:8080>\r\nFrom: <sip:m@x>\r\nTo: <sip:a@x>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n"
    sip.sendto((head % (victim, victim, len(body)) + body).encode(), ("10.99.0.2", 5060))
"#;

/// What would have to be said for the kernel to listen to the talk; no rule of ours says it.
fn helper(name: &str, protocol: &str, port: u16) -> String {
    format!(
        "nft -f - <<'END'
table ip helper_{name} {{
    ct helper {name} {{ type \"{name}\" protocol {protocol}; }}
    chain prerouting {{ type filter hook prerouting priority 0; {protocol} dport {port} ct helper set \"{name}\"; }}
}}
END"
    )
}

/// The ports that the kernel opens to whom somebody named them.
fn expected(lab: &Lab) -> String {
    lab.shell("cat /proc/net/nf_conntrack_expect").ok()
}

#[test]
fn what_a_container_says_in_ftp_and_sip_opens_no_port() {
    let lab = Lab::new();
    network(&lab, 1, "red", "");
    for name in ["victim", "mallory", "helped"] {
        lab.server_on(name, "--network red", &[8080]);
    }
    lab.probe("friend", "--network red");
    let listening = lab
        .outside
        .on(|| TcpListener::bind("10.99.0.2:21").unwrap());
    // A kernel has them built in, as modules, or not at all.
    lab.shell(
        "for m in ftp sip; do modprobe -q nf_conntrack_$m; modprobe -q nf_nat_$m; done; true",
    )
    .ok();
    lab.outside
        .sh("ip route replace 10.71.0.0/24 via 10.99.0.1")
        .ok();
    for name in ["victim", "mallory"] {
        let address = lab.address(name, "red");
        crate::flows::python(&lab, "mallory", TALK, &address);
        assert!(
            lab.reaches("friend", &format!("{address}:8080")),
            "the server serves"
        );
        assert_eq!(expected(&lab), "", "{name}");
        assert!(
            lab.outside.is_kept_from(&format!("{address}:8080")),
            "{name}, by its address"
        );
        assert!(
            lab.outside.is_kept_from("10.99.0.1:8080"),
            "{name}, by the host's"
        );
    }
    helpers_would_open_ports(&lab);
    drop(listening);
}

/// The control: the same talk opens ports where the kernel listens to it.
fn helpers_would_open_ports(lab: &Lab) {
    let helpers = [("ftp", "tcp", 21), ("sip", "udp", 5060)];
    let there = helpers.map(|(name, protocol, port)| {
        let is_there = lab.shell(&helper(name, protocol, port)).code == 0;
        if !is_there {
            eprintln!("NOT SHOWN: this kernel has no helper for {name} (nf_conntrack_{name}), so nothing could have opened a port");
        }
        (name, is_there)
    });
    crate::flows::python(lab, "helped", TALK, &lab.address("helped", "red"));
    let opened = expected(lab);
    for (name, is_there) in there {
        assert_eq!(opened.contains(name), is_there, "{name}: {opened}");
    }
    let [(_, ftp), _] = there;
    let holds = match ftp {
        true => lab.outside.reaches("10.99.0.1:8080"),
        false => lab.outside.is_kept_from("10.99.0.1:8080"),
    };
    assert!(holds, "{opened}");
}
