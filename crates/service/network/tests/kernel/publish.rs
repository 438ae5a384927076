//! Published ports: from outside, from the host, over loopback.

use std::net::{TcpListener, UdpSocket};

use crate::lab::{LAN, OUTSIDE, ask, is_cut_off, links, on_own_host};
use hakone_netns::write_sysctl;
use hakone_network::{PortBinding, SandboxRequest};

fn publishing(name: &str, ports: &[(&str, Option<u16>)]) -> SandboxRequest {
    let mut request = crate::lab::request(name, &[]);
    for (target, host) in ports {
        let target = target.parse().unwrap();
        request.exposed.push(target);
        request.bindings.push(PortBinding {
            target,
            host_address: None,
            host_ports: host
                .map(|port| port.try_into().unwrap())
                .map(|port| port..=port),
        });
    }
    request
}

#[test]
fn the_outside_reaches_a_published_port_and_shows_its_own_address() {
    on_own_host(|lab| {
        let web = lab
            .try_run(publishing("web", &[("80/tcp", Some(8080))]))
            .unwrap();
        web.echo(80);
        let seen = ask(&lab.outside, format!("{LAN}:8080").parse().unwrap());
        assert_eq!(seen.as_deref(), Some(OUTSIDE));
    });
}

#[test]
fn the_host_reaches_it_over_loopback_and_its_own_address() {
    on_own_host(|lab| {
        let web = lab
            .try_run(publishing("web", &[("80/tcp", Some(8080))]))
            .unwrap();
        web.echo(80);
        for address in ["127.0.0.1:8080", "[::1]:8080", &format!("{LAN}:8080")] {
            assert!(
                ask(lab.host(), address.parse().unwrap()).is_some(),
                "{address}"
            );
        }
    });
}

#[test]
fn another_container_and_the_container_itself_reach_it() {
    on_own_host(|lab| {
        lab.network("other", |_| {});
        let web = lab
            .try_run(publishing("web", &[("80/tcp", Some(8080))]))
            .unwrap();
        web.echo(80);
        let elsewhere = lab.run("probe", &["other"]);
        let published = format!("{LAN}:8080").parse().unwrap();
        let neighbour = lab.run("near", &[]);
        let gateway = web.report.endpoints[0].ipv4.unwrap().gateway;
        let gateway = gateway.map(|address| address.to_string());
        // Bridged and translated at once, a frame shows no input interface to the rule that hides its source.
        for bridged in ["1", "0"] {
            write_sysctl("net/bridge/bridge-nf-call-iptables", bridged).unwrap();
            for asking in [&elsewhere, &neighbour, &web] {
                let seen = ask(&asking.netns, published);
                assert_eq!(seen, gateway, "bridge-nf-call-iptables={bridged}");
            }
        }
    });
}

#[test]
fn udp_answers_over_loopback_come_from_the_address_that_was_asked() {
    on_own_host(|lab| {
        let dns = lab
            .try_run(publishing("dns", &[("53/udp", Some(5353))]))
            .unwrap();
        let server = dns
            .netns
            .on(|| UdpSocket::bind("0.0.0.0:53").unwrap())
            .unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((length, from)) = server.recv_from(&mut buffer) {
                server.send_to(&buffer[..length], from).unwrap();
            }
        });
        for (netns, to) in [
            (lab.host(), "127.0.0.1:5353"),
            (&lab.outside, "192.0.2.1:5353"),
        ] {
            let client = netns.on(|| UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
            client
                .set_read_timeout(Some(std::time::Duration::from_secs(60)))
                .unwrap();
            client.connect(to).unwrap();
            // Once: not even the first datagram after the wiring may be lost.
            client.send(b"hello").unwrap();
            let answer = client.recv(&mut [0; 64]);
            assert_eq!(answer.ok(), Some(5), "{to}");
        }
    });
}

#[test]
fn a_port_of_another_container_is_refused_before_anything_starts() {
    on_own_host(|lab| {
        let _first = lab
            .try_run(publishing("one", &[("80/tcp", Some(9999))]))
            .unwrap();
        let before = links().len();
        let error = lab
            .try_run(publishing("two", &[("80/tcp", Some(9999))]))
            .err()
            .unwrap()
            .to_string();
        assert!(
            error
                .starts_with("driver failed programming external connectivity on endpoint two-c ("),
            "{error}"
        );
        assert!(
            error.ends_with("Bind for 0.0.0.0:9999 failed: port is already allocated"),
            "{error}"
        );
        assert_eq!(links().len(), before);
    });
}

#[test]
fn a_port_of_a_host_service_is_refused() {
    on_own_host(|lab| {
        let _service = TcpListener::bind("0.0.0.0:9998").unwrap();
        let error = lab
            .try_run(publishing("web", &[("80/tcp", Some(9998))]))
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.ends_with("listen tcp4 0.0.0.0:9998: bind: address already in use"),
            "{error}"
        );
    });
}

#[test]
fn a_released_port_is_free_at_once_and_leads_nowhere() {
    on_own_host(|lab| {
        let web = lab
            .try_run(publishing("web", &[("80/tcp", Some(8080))]))
            .unwrap();
        web.echo(80);
        lab.runtime.block_on(lab.service.release(&web.id)).unwrap();
        drop(web);
        assert!(is_cut_off(
            &lab.outside,
            format!("{LAN}:8080").parse().unwrap()
        ));
        lab.try_run(publishing("web", &[("80/tcp", Some(8080))]))
            .unwrap();
    });
}

#[test]
fn ephemeral_ports_are_the_same_for_both_families() {
    on_own_host(|lab| {
        let web = lab.try_run(publishing("web", &[("80/tcp", None)])).unwrap();
        let ports: Vec<u16> = web
            .report
            .published
            .iter()
            .map(|port| port.host_port.get())
            .collect();
        assert_eq!(ports, [ports[0]; 2]);
        assert!(ports[0] >= 32768);
    });
}

#[test]
fn a_half_closed_connection_over_loopback_keeps_its_other_half() {
    use std::io::{Read as _, Write as _};
    on_own_host(|lab| {
        let web = lab
            .try_run(publishing("web", &[("80/tcp", Some(8080))]))
            .unwrap();
        let listener = web
            .netns
            .on(|| TcpListener::bind("0.0.0.0:80").unwrap())
            .unwrap();
        let server = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut text = String::new();
            client.read_to_string(&mut text).unwrap();
            client.write_all(text.to_uppercase().as_bytes()).unwrap();
        });
        let mut client = std::net::TcpStream::connect("127.0.0.1:8080").unwrap();
        client.write_all(b"hello").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        server.join().unwrap();
        assert_eq!(text, "HELLO");
    });
}
