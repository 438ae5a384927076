//! Who reaches whom, with real packets: what must work, and beside it the attack that must not.

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use hakone_e2e::{IMAGE, Lab, ask_udp, eventually};

    const SERVE: &str =
        "sh -c 'while :; do echo served by $(hostname) | nc -l -p 80 >/dev/null; done'";

    #[test]
    fn members_of_a_network_reach_each_other_by_address_name_and_alias() {
        let lab = Lab::new();
        lab.docker("network create red").ok();
        lab.server("web", "--network red --network-alias www");
        lab.docker(&format!(
            "run -d --name probe --network red {IMAGE} sleep 1000"
        ))
        .ok();
        assert!(lab.reaches("probe", &lab.address("web", "red")));
        assert!(lab.reaches("probe", "web"));
        assert!(lab.reaches("probe", "www"));
        assert!(lab.reaches("probe", "WEB"), "names are case-insensitive");
    }

    #[test]
    fn another_network_does_not_reach_address_name_or_gateway() {
        let lab = Lab::new();
        for network in ["red", "blue"] {
            lab.docker(&format!("network create {network}")).ok();
        }
        lab.server("web", "--network red");
        for network in ["blue", "bridge"] {
            lab.docker(&format!(
                "run -d --name in-{network} --network {network} {IMAGE} sleep 1000"
            ))
            .ok();
            let from = format!("in-{network}");
            assert!(
                lab.is_kept_from(&from, &lab.address("web", "red")),
                "address from {network}"
            );
            assert!(lab.is_kept_from(&from, "web"), "name from {network}");
        }
        let gateway = lab
            .docker("network inspect -f '{{(index .IPAM.Config 0).Gateway}}' red")
            .ok();
        let ping = lab.docker(&format!("exec in-blue ping -c1 -W1 {gateway}"));
        assert_ne!(ping.code, 0, "the gateway of another network answers");
        assert_eq!(lab.docker("exec web ping -c1 -W1 in-blue").code, 1);
    }

    #[test]
    fn a_published_port_answers_everywhere_and_shows_the_real_source() {
        let lab = Lab::new();
        lab.server("plain", "-p 8081:80");
        let get = |url: &str| {
            format!("curl -gsf --retry 9 --retry-all-errors --max-time 60 {url} | grep -q root")
        };
        assert_eq!(
            lab.outside.sh(&get("http://10.99.0.1:8081/passwd")).code,
            0,
            "IPv4 from outside"
        );
        for host in ["127.0.0.1", "10.99.0.1", "[::1]"] {
            assert_eq!(
                lab.host
                    .sh(&get(&format!("http://{host}:8081/passwd")))
                    .code,
                0,
                "{host}"
            );
        }
        lab.docker(&format!("run -d --name peer {IMAGE} sleep 1000"))
            .ok();
        assert!(
            lab.reaches("peer", "10.99.0.1:8081"),
            "hairpin through the host's address"
        );
        lab.docker("network create other").ok();
        lab.docker(&format!(
            "run -d --name far --network other {IMAGE} sleep 1000"
        ))
        .ok();
        assert!(
            lab.reaches("far", "10.99.0.1:8081"),
            "from another network through the host's address"
        );
    }

    #[test]
    fn udp_is_published_and_answers_from_the_address_asked() {
        let lab = Lab::new();
        lab.probe("echo", "-p 5300:53/udp");
        let _server = lab.answer_udp("echo", 53, "hello");
        let client = lab.outside.on(|| UdpSocket::bind("10.99.0.2:0").unwrap());
        client.connect("10.99.0.1:5300").unwrap();
        eventually("an answer comes", || {
            ask_udp(&client).as_deref() == Some("hello")
        });
    }

    #[test]
    fn unpublished_ports_and_loopback_ports_are_out_of_reach_from_the_lan() {
        let lab = Lab::new();
        lab.host
            .sh("iptables -P FORWARD ACCEPT; sysctl -qw net.ipv4.ip_forward=1")
            .ok();
        lab.server("web", "-p 127.0.0.1:8080:80");
        let inside = lab.address("web", "bridge");
        assert_ne!(
            lab.outside
                .sh(&format!("curl -gsf --max-time 1 http://{inside}/passwd"))
                .code,
            0,
            "direct"
        );
        assert_ne!(
            lab.outside
                .sh("curl -gsf --max-time 1 http://10.99.0.1:8080/passwd")
                .code,
            0,
            "loopback port"
        );
        assert_eq!(
            lab.host
                .sh("curl -gsf --retry 9 --retry-all-errors --max-time 60 http://127.0.0.1:8080/passwd")
                .code,
            0
        );
        // The attack of moby#45610: a frame for 127.0.0.1 sent to the host's own Ethernet address.
        lab.outside.sh("sysctl -qw net.ipv4.conf.all.route_localnet=1; ip route add 127.0.0.1/32 via 10.99.0.1 table 7; ip rule add to 127.0.0.1 lookup 7 pref 1; ip rule del pref 0; true").ok();
        assert_ne!(
            lab.outside
                .sh("curl -gsf --max-time 1 http://127.0.0.1:8080/passwd")
                .code,
            0,
            "routed loopback"
        );
    }

    #[test]
    fn containers_reach_the_outside_with_the_hosts_address() {
        let lab = Lab::new();
        let line = format!(
            "run --rm {IMAGE} sh -c 'until ping -c1 -W3 10.99.0.2 >/dev/null; do :; done; echo reached'"
        );
        assert_eq!(lab.docker(&line).ok(), "reached");
    }

    #[test]
    fn an_internal_network_has_no_way_in_or_out() {
        let lab = Lab::new();
        lab.docker("network create --internal cell").ok();
        lab.server("web", "--network cell -p 8080:80");
        lab.docker(&format!(
            "run -d --name probe --network cell {IMAGE} sleep 1000"
        ))
        .ok();
        assert!(lab.reaches("probe", "web"), "members reach each other");
        assert_ne!(
            lab.docker("exec probe ping -c1 -W1 10.99.0.2").code,
            0,
            "out"
        );
        assert_ne!(
            lab.outside
                .sh("curl -gsf --max-time 1 http://10.99.0.1:8080/passwd")
                .code,
            0,
            "in"
        );
        let lan = lab.docker("exec probe sh -c 'ip route add default via $(ip route | sed \"s/\\.0\\/.*/.1/\") 2>/dev/null; ping -c1 -W1 10.99.0.1'");
        assert_ne!(lan.code, 0, "the host's other addresses");
    }

    #[test]
    fn ipv6_is_isolated_as_ipv4_is() {
        let lab = Lab::new();
        lab.docker("network create --ipv6 --subnet fd00:1::/64 red")
            .ok();
        lab.docker("network create --ipv6 --subnet fd00:2::/64 blue")
            .ok();
        lab.server("web", "--network red --ip6 fd00:1::80 -p 8080:80");
        lab.docker(&format!(
            "run -d --name peer --network red {IMAGE} sleep 1000"
        ))
        .ok();
        lab.docker(&format!(
            "run -d --name far --network blue {IMAGE} sleep 1000"
        ))
        .ok();
        assert!(lab.reaches("peer", "[fd00:1::80]"), "same network");
        assert!(lab.is_kept_from("far", "[fd00:1::80]"), "other network");
        assert_ne!(
            lab.outside
                .sh("curl -gsf --max-time 1 'http://[fd00:1::80]/passwd'")
                .code,
            0,
            "unpublished"
        );
        assert_eq!(
            lab.outside
                .sh("curl -gsf --retry 9 --retry-all-errors --max-time 60 'http://[fd99::1]:8080/passwd'")
                .code,
            0,
            "published"
        );
        assert!(lab.pings("peer", "fd99::2"), "out");
    }

    #[test]
    fn icc_off_closes_the_network_to_its_own_members() {
        let lab = Lab::new();
        lab.docker("network create -o com.docker.network.bridge.enable_icc=false quiet")
            .ok();
        lab.server("web", "--network quiet -p 8080:80");
        lab.docker(&format!(
            "run -d --name probe --network quiet {IMAGE} sleep 1000"
        ))
        .ok();
        assert!(lab.is_kept_from("probe", &lab.address("web", "quiet")));
        assert_eq!(
            lab.outside
                .sh("curl -gsf --retry 9 --retry-all-errors --max-time 60 http://10.99.0.1:8080/passwd")
                .code,
            0,
            "published"
        );
        assert!(lab.pings("probe", "10.99.0.2"), "out");
    }

    #[test]
    fn a_dns_server_in_a_container_may_bind_port_53() {
        let lab = Lab::new();
        lab.docker("network create red").ok();
        lab.probe("dns", "--network red");
        for address in ["0.0.0.0:53", "127.0.0.1:53"] {
            let bound = lab.inside("dns", || UdpSocket::bind(address).map(drop));
            assert!(bound.is_ok(), "{address}: {bound:?}");
        }
        let _server = lab.inside("dns", || UdpSocket::bind("0.0.0.0:53"));
        assert_eq!(
            lab.docker("exec dns nslookup dns").code,
            0,
            "the embedded resolver still answers"
        );
    }

    #[test]
    fn two_engines_live_side_by_side() {
        let (one, two) = (Lab::new(), Lab::new());
        for lab in [&one, &two] {
            lab.server("web", "-p 8080:80");
        }
        for lab in [&one, &two] {
            assert_eq!(
                lab.outside
                    .sh("curl -gsf --retry 9 --retry-all-errors --max-time 60 http://10.99.0.1:8080/passwd")
                    .code,
                0
            );
        }
    }

    #[test]
    fn a_published_service_is_served_again_after_the_container_restarts() {
        let lab = Lab::new();
        lab.docker(&format!("run -d --name web -p 8080:80 {IMAGE} {SERVE}"))
            .ok();
        lab.docker("restart -t 0 web").ok();
        let get = "curl -s --http0.9 --max-time 2 http://10.99.0.1:8080/";
        eventually("it is served", || lab.outside.sh(get).code == 0);
    }
}
