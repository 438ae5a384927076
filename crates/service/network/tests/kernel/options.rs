//! The daemon's network options act as Docker's do.

use std::net::{IpAddr, SocketAddr};

use hakone_base::NetworkId;
use hakone_network::{Error, GatewayMode, SandboxRequest};

use crate::lab::{LAN, Lab, OUTSIDE, ask, is_cut_off, links, on_own_host_with, request, serve};

fn publishing(name: &str, network: &str) -> SandboxRequest {
    let port = |number: u16| number.try_into().unwrap();
    let mut asked = request(name, &[network]);
    asked.exposed = vec!["80/tcp".parse().unwrap()];
    asked.bindings = vec![hakone_network::PortBinding {
        target: "80/tcp".parse().unwrap(),
        host_address: None,
        host_ports: Some(port(8080)..=port(8080)),
    }];
    asked
}

fn bridge_of(id: &NetworkId) -> String {
    format!("br-{}", id.short())
}

#[test]
fn direct_routing_opens_published_ports_alone() {
    let check = |allowed: bool, lab: &Lab| {
        lab.network("red", |_| {});
        let web = lab.try_run(publishing("web", "red")).unwrap();
        web.echo(80);
        web.echo(81);
        lab.route_from_outside();
        match allowed {
            true => assert!(ask(&lab.outside, web.at(80)).is_some()),
            false => assert!(is_cut_off(&lab.outside, web.at(80))),
        }
        assert!(is_cut_off(&lab.outside, web.at(81)));
    };
    for allowed in [true, false] {
        on_own_host_with(
            |config| config.direct_routing = allowed,
            |lab| check(allowed, lab),
        );
    }
}

/// What the outside reaches of a member: the published port by the host, by its own address, and a port beside it.
fn access(lab: &Lab, mode: GatewayMode, trusted: &[&str], expected: [bool; 3]) {
    lab.network("modal", |spec| {
        spec.bridge.gateway_mode_v4 = mode;
        spec.bridge.trusted = trusted.iter().map(|name| name.parse().unwrap()).collect();
    });
    let web = lab.try_run(publishing("web", "modal")).unwrap();
    web.echo(80);
    web.echo(81);
    lab.route_from_outside();
    let published = format!("{LAN}:8080").parse().unwrap();
    for (to, reached) in [published, web.at(80), web.at(81)]
        .into_iter()
        .zip(expected)
    {
        match reached {
            true => assert_eq!(
                ask(&lab.outside, to).as_deref(),
                Some(OUTSIDE),
                "{mode:?} {to}"
            ),
            false => assert!(is_cut_off(&lab.outside, to), "{mode:?} {to}"),
        }
    }
    let loopback = ask(lab.host(), "127.0.0.1:8080".parse().unwrap());
    assert_eq!(loopback.is_some(), mode != GatewayMode::Routed);
    let outside: SocketAddr = format!("{OUTSIDE}:80").parse().unwrap();
    serve(&lab.outside, outside);
    let shown = match mode {
        GatewayMode::Routed => web.address().to_string(),
        _ => LAN.to_owned(),
    };
    assert_eq!(ask(&web.netns, outside), Some(shown));
}

#[test]
fn the_gateway_mode_decides_what_is_reached_by_which_address() {
    let cases = [
        (GatewayMode::Nat, &[][..], [true, false, false]),
        (GatewayMode::NatUnprotected, &[], [true, true, true]),
        (GatewayMode::Routed, &[], [false, true, false]),
        (GatewayMode::Nat, &["lan0"], [true, true, false]),
        (GatewayMode::Nat, &["lan9"], [true, false, false]),
    ];
    for (mode, trusted, expected) in cases {
        on_own_host_with(|_| {}, |lab| access(lab, mode, trusted, expected));
    }
}

#[test]
fn an_isolated_network_has_no_address_of_the_host() {
    on_own_host_with(
        |_| {},
        |lab| {
            let refused = lab.try_network("open", |spec| {
                spec.bridge.gateway_mode_v4 = GatewayMode::Isolated;
            });
            let text = "gateway mode 'isolated' can only be used for an internal network";
            assert_eq!(refused.unwrap_err().to_string(), text);
            let id = lab.network("alone", |spec| {
                spec.internal = true;
                spec.bridge.gateway_mode_v4 = GatewayMode::Isolated;
            });
            let shown = crate::chains::sh(&format!("ip -4 addr show dev {}", bridge_of(&id)));
            assert!(!shown.contains("inet"), "{shown}");
            let (a, b) = (lab.run("a", &["alone"]), lab.run("b", &["alone"]));
            b.echo(80);
            assert!(ask(&a.netns, b.at(80)).is_some());
            assert!(is_cut_off(lab.host(), b.at(80)));
        },
    );
}

#[test]
fn default_options_hold_for_new_networks_that_do_not_set_them() {
    let mtu = || {
        (
            "com.docker.network.driver.mtu".to_owned(),
            "1400".to_owned(),
        )
    };
    on_own_host_with(
        |config| {
            config.default_options = [("bridge".to_owned(), [mtu()].into())].into();
        },
        |lab| {
            let plain = lab.network("plain", |_| {});
            let own = lab.network("own", |spec| {
                spec.options = [(mtu().0, "1300".to_owned())].into();
                spec.bridge.mtu = Some(1300);
            });
            let mtu = |name: &str| {
                links()
                    .into_iter()
                    .find(|link| link.name == name)
                    .unwrap()
                    .mtu
            };
            assert_eq!(
                (mtu(&bridge_of(&plain)), mtu(&bridge_of(&own))),
                (1400, 1300)
            );
            assert_eq!(mtu("hakone0"), 1500);
        },
    );
}

#[test]
fn without_a_default_bridge_containers_that_name_no_network_have_a_loopback() {
    on_own_host_with(
        |config| config.has_default_bridge = false,
        |lab| {
            assert!(!links().iter().any(|link| link.name == "hakone0"));
            let lonely = lab.run("lonely", &["default"]);
            assert_eq!(lonely.report.endpoints[0].network_name, "none");
            let refused: Result<_, Error> = lab.try_run(request("asks", &["bridge"]));
            assert_eq!(
                refused.err().unwrap().to_string(),
                "network bridge not found"
            );
            lab.config.has_default_bridge = true;
            lab.crash();
            assert!(lab.service.resolve("bridge").is_ok());
            lab.config.has_default_bridge = false;
            lab.crash();
            assert!(lab.service.resolve("bridge").is_err());
        },
    );
}

#[test]
fn without_masquerading_the_outside_sees_the_container() {
    on_own_host_with(
        |config| config.masquerade = false,
        |lab| {
            let a = lab.run("a", &[]);
            lab.route_from_outside();
            let outside: SocketAddr = format!("{OUTSIDE}:80").parse().unwrap();
            serve(&lab.outside, outside);
            assert_eq!(ask(&a.netns, outside), Some(a.address().to_string()));
        },
    );
}

#[test]
fn the_bridge_has_the_address_mtu_and_range_that_it_was_given() {
    on_own_host_with(
        |config| {
            config.bip = Some("10.7.0.9/24".parse().unwrap());
            config.fixed_cidr = Some("10.7.0.64/28".parse().unwrap());
            config.mtu = Some(1400);
        },
        |lab| {
            let a = lab.run("a", &[]);
            let endpoint = &a.report.endpoints[0];
            assert_eq!(
                endpoint.ipv4.unwrap().gateway,
                Some("10.7.0.9".parse().unwrap())
            );
            assert_eq!(a.address(), "10.7.0.64".parse::<IpAddr>().unwrap());
            assert_eq!(
                links()
                    .iter()
                    .find(|link| link.name == "hakone0")
                    .unwrap()
                    .mtu,
                1400
            );
        },
    );
}

#[test]
fn published_ports_bind_the_address_that_the_daemon_was_given() {
    on_own_host_with(
        |config| config.publish_address = Some("127.0.0.1".parse().unwrap()),
        |lab| {
            let web = lab.try_run(publishing("web", "bridge")).unwrap();
            web.echo(80);
            assert!(ask(lab.host(), "127.0.0.1:8080".parse().unwrap()).is_some());
            assert!(is_cut_off(
                &lab.outside,
                format!("{LAN}:8080").parse().unwrap()
            ));
        },
    );
}

#[test]
fn members_of_the_default_bridge_are_apart_without_icc() {
    on_own_host_with(
        |config| config.icc = false,
        |lab| {
            let (a, b) = (lab.run("a", &[]), lab.run("b", &[]));
            b.echo(80);
            assert!(is_cut_off(&a.netns, b.at(80)));
            lab.network("red", |_| {});
            let (c, d) = (lab.run("c", &["red"]), lab.run("d", &["red"]));
            d.echo(80);
            assert!(
                ask(&c.netns, d.at(80)).is_some(),
                "of the default bridge alone"
            );
        },
    );
}

#[test]
fn subnets_come_from_the_daemons_pools() {
    on_own_host_with(
        |config| {
            config.pools = vec![hakone_network::PoolBase {
                base: "10.200.0.0/16".parse().unwrap(),
                size: 24,
            }];
        },
        |lab| {
            lab.network("red", |_| {});
            let a = lab.run("a", &["red"]);
            assert_eq!(a.address(), "10.200.1.2".parse::<IpAddr>().unwrap());
        },
    );
}

#[test]
fn without_rules_for_ipv6_its_packets_pass_untouched_and_ipv4_keeps_its_own() {
    let pool_v6 = || crate::lab::pool("fd00:7::/64");
    for loaded in [true, false] {
        on_own_host_with(
            |config| config.firewall_v6 = loaded,
            |lab| {
                lab.network("six", |spec| {
                    spec.ipv6 = true;
                    spec.pools = vec![pool_v6()];
                });
                lab.network("other", |_| {});
                let (a, other) = (lab.run("a", &["six"]), lab.run("b", &["other"]));
                a.echo(80);
                a.echo_v6(81);
                let v6 = a.report.endpoints[0].ipv6.unwrap().address;
                route_v6(lab);
                let to = SocketAddr::new(v6.into(), 81);
                match loaded {
                    true => assert!(is_cut_off(&lab.outside, to)),
                    false => assert!(ask(&lab.outside, to).is_some()),
                }
                assert!(is_cut_off(&other.netns, a.at(80)));
                let v6_tables = crate::chains::sh("ip6tables -S");
                assert_eq!(v6_tables.contains("DOCKER-USER"), loaded);
            },
        );
    }
}

/// Gives host and outside IPv6 addresses towards each other, and the outside a way to containers.
fn route_v6(lab: &Lab) {
    crate::chains::sh("ip -6 addr add 2001:db8::1/64 dev lan0 nodad");
    let inside = || {
        crate::chains::sh(
            "ip -6 addr add 2001:db8::2/64 dev eth0 nodad; ip -6 route add default via 2001:db8::1",
        )
    };
    lab.outside.on(inside).unwrap();
}
