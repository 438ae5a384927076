//! Published ports with real packets: every way in, what the server sees of its client, and what other rules still decide.

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use hakone_e2e::{IMAGE, Lab, ask_udp, eventually};
    use rustix::process::Signal;

    #[test]
    fn a_machine_outside_is_seen_as_itself_over_both_families() {
        let lab = Lab::new();
        lab.docker("network create --ipv6 --subnet fd00:7::/64 six")
            .ok();
        lab.server("web", "--network six -p 8080:80");
        for (to, source) in [
            ("10.99.0.1:8080", "10.99.0.2"),
            ("[fd99::1]:8080", "fd99::2"),
        ] {
            assert_eq!(lab.outside.seen(to).as_deref(), Some(source), "{to}");
        }
    }

    #[test]
    fn containers_reach_a_published_port_by_the_hosts_address_and_show_the_gateway() {
        let lab = Lab::new();
        lab.docker("network create --subnet 10.81.0.0/24 red").ok();
        lab.docker("network create blue").ok();
        lab.server("web", "--network red -p 8080:80");
        lab.probe("near", "--network red");
        lab.probe("far", "--network blue");
        for bridged in ["1", "0"] {
            lab.host.sh(&format!(
                "sysctl -qw net.bridge.bridge-nf-call-iptables={bridged}"
            ));
            for from in ["web", "near", "far"] {
                let seen = lab.seen(from, "10.99.0.1:8080");
                let whom = format!("{from}, bridge-nf-call-iptables={bridged}");
                assert_eq!(seen.as_deref(), Some("10.81.0.1"), "{whom}");
            }
        }
    }

    #[test]
    fn a_range_of_ports_leads_to_the_range_inside_in_order() {
        let lab = Lab::new();
        lab.server_on("web", "-p 8000-8002:80-82", &[80, 82]);
        assert!(lab.outside.reaches("10.99.0.1:8000"));
        assert!(
            lab.outside.is_kept_from("10.99.0.1:8001"),
            "nobody listens on 81"
        );
        assert!(lab.outside.reaches("10.99.0.1:8002"));
        assert!(lab.outside.is_kept_from("10.99.0.1:8003"), "not published");
    }

    #[test]
    fn one_port_of_a_range_goes_to_each_container() {
        let lab = Lab::new();
        for name in ["one", "two"] {
            lab.server(name, "-p 8100-8101:80");
        }
        let port = |name| lab.docker(&format!("port {name} 80/tcp")).ok();
        assert!(port("one").contains("0.0.0.0:8100"), "{}", port("one"));
        assert!(port("two").contains("0.0.0.0:8101"), "{}", port("two"));
        assert_ne!(
            lab.docker(&format!("run --rm -p 8100-8101:80 {IMAGE} true"))
                .code,
            0
        );
        assert!(lab.outside.reaches("10.99.0.1:8100") && lab.outside.reaches("10.99.0.1:8101"));
    }

    #[test]
    fn a_port_of_one_host_address_is_published_there_alone() {
        let lab = Lab::new();
        lab.host.sh("ip addr add 10.99.0.3/24 dev cable0").ok();
        lab.server("one", "-p 10.99.0.1:8080:80");
        assert!(lab.outside.reaches("10.99.0.1:8080"));
        assert!(
            lab.outside.is_kept_from("10.99.0.3:8080"),
            "another address of the host"
        );
        assert!(lab.outside.is_kept_from("[fd99::1]:8080"), "another family");
        assert!(lab.host.reaches("10.99.0.1:8080") && lab.host.is_kept_from("127.0.0.1:8080"));
        lab.server_on("two", "-p 10.99.0.3:8080:81", &[81]);
        lab.docker("rm -f one").ok();
        assert!(
            lab.outside.reaches("10.99.0.3:8080") && lab.outside.is_kept_from("10.99.0.1:8080")
        );
    }

    #[test]
    fn sctp_is_led_to_the_container_and_back() {
        let lab = Lab::new();
        lab.probe("peer", "-p 9000:9001/sctp");
        assert!(
            lab.docker("port peer")
                .ok()
                .contains("9001/sctp -> 0.0.0.0:9000")
        );
        // The kernel may lack SCTP sockets; its packets are translated all the same.
        lab.host
            .sh("sysctl -qw net.netfilter.nf_conntrack_checksum=0")
            .ok();
        let seen = lab.shell(&sctp(&lab, "peer"));
        assert_eq!(seen.ok(), "10.99.0.2 9001");
    }

    /// Sends an INIT from outside until a raw socket in the container has it, and prints its source and destination port.
    fn sctp(lab: &Lab, name: &str) -> String {
        let pid = lab
            .docker(&format!("inspect -f '{{{{.State.Pid}}}}' {name}"))
            .ok();
        let send = r#"
import socket, struct, time
init = struct.pack("!BBHIIHHI", 1, 0, 20, 7, 65535, 1, 1, 9)
packet = struct.pack("!HHII", 5000, 9000, 0, 0) + init
out = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)
for _ in range(500):
    out.sendto(packet, ("10.99.0.1", 0)); time.sleep(0.1)
"#;
        let receive = r#"
import socket, struct
inside = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132); inside.settimeout(60)
packet, (source, _) = inside.recvfrom(2048)
print(source, struct.unpack("!H", packet[22:24])[0])
"#;
        let outside = lab.outside.enter();
        format!(
            "{outside} python3 -c '{send}' & sender=$!; nsenter --net=/proc/{pid}/ns/net python3 -c '{receive}'; code=$?; kill $sender; exit $code"
        )
    }

    #[test]
    fn rules_of_docker_user_still_decide() {
        let lab = Lab::new();
        lab.server("web", "-p 8080:80");
        assert!(lab.outside.reaches("10.99.0.1:8080"));
        lab.host
            .sh("iptables -I DOCKER-USER -s 10.99.0.2 -j DROP")
            .ok();
        assert!(lab.outside.is_kept_from("10.99.0.1:8080"));
        lab.probe("another", "-p 8081:80");
        assert!(
            lab.outside.is_kept_from("10.99.0.1:8080"),
            "after our rules changed"
        );
        lab.host.sh("iptables -F DOCKER-USER").ok();
        assert!(lab.outside.reaches("10.99.0.1:8080"));
    }

    #[test]
    fn a_forward_policy_of_drop_does_not_cut_containers_off() {
        let lab = Lab::new();
        lab.server("web", "-p 8080:80");
        lab.host.sh("iptables -P FORWARD DROP").ok();
        assert!(lab.outside.reaches("10.99.0.1:8080"));
        assert!(lab.host.reaches("127.0.0.1:8080"));
        assert!(lab.pings("web", "10.99.0.2"), "out");
        lab.host.sh("iptables -I FORWARD -o hakone0 -j DROP").ok();
        assert!(
            lab.outside.is_kept_from("10.99.0.1:8080"),
            "a rule that somebody wrote counts"
        );
    }

    #[test]
    fn flushed_rules_come_back_by_themselves_and_with_the_next_start() {
        let mut lab = Lab::new();
        lab.docker("network create red").ok();
        lab.docker("network create blue").ok();
        lab.server("web", "--network red -p 8080:80");
        lab.probe("far", "--network blue");
        let inside = lab.address("web", "red");
        let is_led = || lab.outside.seen("10.99.0.1:8080").as_deref() == Some("10.99.0.2");
        lab.host.sh("nft flush ruleset").ok();
        eventually("the port leads inside again", is_led);
        assert!(lab.is_kept_from("far", &inside), "isolated again");
        lab.stop(Signal::TERM);
        lab.host.sh("nft flush ruleset").ok();
        lab.start();
        let seen = lab.outside.seen("10.99.0.1:8080");
        assert_eq!(seen.as_deref(), Some("10.99.0.2"), "the next start");
        assert!(lab.is_kept_from("far", &inside), "isolated again");
    }

    #[test]
    fn a_client_of_udp_finds_the_new_container_with_the_same_socket() {
        let lab = Lab::new();
        let start = |name: &'static str| {
            lab.probe(name, "-p 5300:53/udp");
            lab.answer_udp(name, 53, name)
        };
        let client = lab.outside.on(|| UdpSocket::bind("10.99.0.2:0").unwrap());
        client.connect("10.99.0.1:5300").unwrap();
        assert_eq!(ask_udp(&client), None, "nobody listens yet");
        let one = start("one");
        eventually("the first answers", || {
            ask_udp(&client).as_deref() == Some("one")
        });
        drop(one);
        lab.docker("rm -f one").ok();
        lab.probe("takes-the-address", "");
        let _two = start("two");
        eventually("the second answers", || {
            ask_udp(&client).as_deref() == Some("two")
        });
    }
}
