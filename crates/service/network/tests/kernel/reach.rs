//! Who reaches whom, with real packets.

use crate::lab::{LAN, OUTSIDE, ask, is_cut_off, on_own_host, pool, serve};
use hakone_network::NetworkMode;

#[test]
fn members_of_a_network_reach_each_other_and_nobody_elses() {
    on_own_host(|lab| {
        lab.network("red", |_| {});
        lab.network("blue", |_| {});
        let (a, b, c) = (
            lab.run("a", &["red"]),
            lab.run("b", &["red"]),
            lab.run("c", &["blue"]),
        );
        b.echo(80);
        c.echo(80);
        assert_eq!(ask(&a.netns, b.at(80)), Some(a.address().to_string()));
        assert!(is_cut_off(&a.netns, c.at(80)));
        assert!(ask(lab.host(), b.at(80)).is_some());
    });
}

#[test]
fn the_outside_sees_the_hosts_address_and_reaches_nothing_unpublished() {
    on_own_host(|lab| {
        let a = lab.run("a", &[]);
        a.echo(80);
        serve(&lab.outside, format!("{OUTSIDE}:80").parse().unwrap());
        assert_eq!(
            ask(&a.netns, format!("{OUTSIDE}:80").parse().unwrap()),
            Some(LAN.to_owned())
        );
        lab.route_from_outside();
        assert!(is_cut_off(&lab.outside, a.at(80)));
    });
}

#[test]
fn icc_off_cuts_members_off_from_each_other_alone() {
    on_own_host(|lab| {
        lab.network("quiet", |spec| spec.bridge.icc = false);
        let (a, b) = (lab.run("a", &["quiet"]), lab.run("b", &["quiet"]));
        b.echo(80);
        assert!(is_cut_off(&a.netns, b.at(80)));
        assert!(ask(lab.host(), b.at(80)).is_some());
    });
}

#[test]
fn an_internal_network_has_no_way_out_and_no_default_route() {
    on_own_host(|lab| {
        lab.network("inner", |spec| spec.internal = true);
        let (a, b) = (lab.run("a", &["inner"]), lab.run("b", &["inner"]));
        b.echo(80);
        serve(&lab.outside, format!("{OUTSIDE}:80").parse().unwrap());
        assert!(ask(&a.netns, b.at(80)).is_some());
        assert!(is_cut_off(
            &a.netns,
            format!("{OUTSIDE}:80").parse().unwrap()
        ));
        assert_eq!(a.report.endpoints[0].ipv4.unwrap().gateway, None);
    });
}

#[test]
fn ipv6_members_reach_each_other() {
    on_own_host(|lab| {
        lab.network("six", |spec| {
            spec.ipv6 = true;
            spec.pools = vec![pool("10.66.0.0/24"), pool("fd00:66::/64")];
        });
        let (a, b) = (lab.run("a", &["six"]), lab.run("b", &["six"]));
        b.echo_v6(80);
        let to = b.report.endpoints[0].ipv6.unwrap().address;
        let seen = ask(&a.netns, (to, 80).into());
        assert_eq!(
            seen,
            Some(a.report.endpoints[0].ipv6.unwrap().address.to_string())
        );
    });
}

#[test]
fn a_container_on_two_networks_routes_by_the_first_and_forwards_nothing() {
    on_own_host(|lab| {
        lab.network("alpha", |_| {});
        lab.network("beta", |_| {});
        let both = lab.run("m", &["beta", "alpha"]);
        let interfaces: Vec<_> = both
            .report
            .endpoints
            .iter()
            .map(|e| {
                (
                    e.network_name.as_str(),
                    e.interface.as_ref().unwrap().as_str(),
                )
            })
            .collect();
        assert_eq!(interfaces, [("alpha", "eth0"), ("beta", "eth1")]);
        let forward = || std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
        assert_eq!(both.netns.on(forward).unwrap(), "0\n");
        serve(&lab.outside, format!("{OUTSIDE}:80").parse().unwrap());
        assert!(ask(&both.netns, format!("{OUTSIDE}:80").parse().unwrap()).is_some());
    });
}

#[test]
fn a_container_without_network_has_a_loopback_only() {
    on_own_host(|lab| {
        let mut request = crate::lab::request("a", &[]);
        request.mode = NetworkMode::None;
        let alone = lab.try_run(request).unwrap();
        let devices = alone
            .netns
            .on(|| std::fs::read_to_string("/proc/thread-self/net/dev").unwrap())
            .unwrap();
        assert!(devices.contains("lo:") && !devices.contains("eth0:"));
        alone.echo(80);
        assert!(ask(&alone.netns, "127.0.0.1:80".parse().unwrap()).is_some());
    });
}
