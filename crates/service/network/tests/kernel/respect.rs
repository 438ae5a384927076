//! Published ports that obey the host's INPUT rules: as a service of the host would, with the client's address kept.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use hakone_network::{Config, PublishFirewall, SandboxRequest};

use crate::{
    chains::sh,
    lab::{Container, LAN, Lab, OUTSIDE, ask, is_cut_off, on_own_host_with, request, serve, until},
};

/// Another address of the machine outside.
const STRANGER: &str = "192.0.2.77";

fn publishing(name: &str, network: &str) -> SandboxRequest {
    let port = |number: u16| number.try_into().unwrap();
    let mut asked = request(name, &[network]);
    for (target, host) in [("80/tcp", 8080), ("53/udp", 5353)] {
        asked.exposed.push(target.parse().unwrap());
        asked.bindings.push(hakone_network::PortBinding {
            target: target.parse().unwrap(),
            host_address: None,
            host_ports: Some(port(host)..=port(host)),
        });
    }
    asked
}

fn published() -> SocketAddr {
    format!("{LAN}:8080").parse().unwrap()
}

fn on_respecting_host(test: impl FnOnce(&mut Lab) + Send) {
    on_own_host_with(respect, test);
}

fn respect(config: &mut Config) {
    config.publish_firewall = PublishFirewall::Respect;
}

fn web(lab: &Lab, network: &str) -> Container {
    let web = lab.try_run(publishing("web", network)).unwrap();
    web.echo(80);
    web
}

/// Closes the host as ufw does: a policy of DROP, known flows accepted.
fn close() {
    sh("iptables -P INPUT DROP; iptables -A INPUT -i lo -j ACCEPT
        iptables -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT");
}

#[test]
fn a_port_that_the_host_closes_is_closed_and_one_that_it_opens_shows_the_client() {
    on_respecting_host(|lab| {
        let _web = web(lab, "bridge");
        assert_eq!(
            ask(&lab.outside, published()).as_deref(),
            Some(OUTSIDE),
            "no rule yet"
        );
        close();
        assert!(is_cut_off(&lab.outside, published()));
        sh("iptables -A INPUT -p tcp --dport 8080 -s 192.0.2.2 -j ACCEPT");
        assert_eq!(ask(&lab.outside, published()).as_deref(), Some(OUTSIDE));
        let stranger = || {
            sh(&format!(
                "ip addr add {STRANGER}/24 dev eth0; ip addr del {OUTSIDE}/24 dev eth0"
            ))
        };
        lab.outside.on(stranger).unwrap();
        assert!(is_cut_off(&lab.outside, published()), "another source");
        assert!(ask(lab.host(), "127.0.0.1:8080".parse().unwrap()).is_some());
        assert!(ask(lab.host(), published()).is_some());
    });
}

#[test]
fn without_respect_the_same_rules_do_not_close_it() {
    on_own_host_with(
        |_| {},
        |lab| {
            let _web = web(lab, "bridge");
            close();
            assert!(
                ask(&lab.outside, published()).is_some(),
                "the complaint about Docker"
            );
        },
    );
}

#[test]
fn datagrams_obey_too_and_show_the_client() {
    on_respecting_host(|lab| {
        let web = web(lab, "bridge");
        let server = web
            .netns
            .on(|| UdpSocket::bind("0.0.0.0:53").unwrap())
            .unwrap();
        server
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let client = lab
            .outside
            .on(|| UdpSocket::bind((OUTSIDE, 0)).unwrap())
            .unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        client.send_to(b"ask", (LAN, 5353)).unwrap();
        let mut buffer = [0; 16];
        let (_, from) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(from, client.local_addr().unwrap());
        server.send_to(b"answer", from).unwrap();
        let (length, by) = client.recv_from(&mut buffer).unwrap();
        assert_eq!((length, by.ip()), (6, LAN.parse::<IpAddr>().unwrap()));
        sh("iptables -I INPUT -i lan0 -p udp --dport 5353 -j DROP");
        server
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        client.send_to(b"again", (LAN, 5353)).unwrap();
        assert!(server.recv_from(&mut buffer).is_err());
    });
}

#[test]
fn a_network_may_ask_for_it_alone_and_crashes_and_flushes_do_not_end_it() {
    on_own_host_with(
        |_| {},
        |lab| {
            lab.network("careful", |spec| {
                spec.bridge.publish_firewall = PublishFirewall::Respect;
            });
            let web = web(lab, "careful");
            assert_eq!(ask(&lab.outside, published()).as_deref(), Some(OUTSIDE));
            sh("nft flush ruleset");
            until("a repair", || lab.service.repairs() > 0);
            assert_eq!(ask(&lab.outside, published()).as_deref(), Some(OUTSIDE));
            let held = web.held();
            lab.crash();
            let init = web.init();
            let restored = lab
                .service
                .restore(&web.id, init.number, web.report.clone(), held);
            lab.runtime.block_on(restored).unwrap();
            lab.runtime.block_on(lab.service.settle()).unwrap();
            assert_eq!(ask(&lab.outside, published()).as_deref(), Some(OUTSIDE));
            close();
            assert!(is_cut_off(&lab.outside, published()));
        },
    );
}

#[test]
fn containers_still_reach_the_outside_and_no_rule_of_routing_stays() {
    on_respecting_host(|lab| {
        let web = web(lab, "bridge");
        let outside: SocketAddr = format!("{OUTSIDE}:80").parse().unwrap();
        serve(&lab.outside, outside);
        assert_eq!(ask(&web.netns, outside).as_deref(), Some(LAN));
        assert!(sh("ip rule").contains("fwmark"));
        lab.network("careful", |_| {});
        lab.runtime.block_on(lab.service.purge()).unwrap();
        assert!(!sh("ip rule; ip -6 rule").contains("fwmark"));
        assert!(!sh("nft list ruleset").contains("hakone_divert"));
    });
}
