//! Both variants of the host's iptables take all of our rules, and list them as we print them; needs root.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::disallowed_methods, reason = "tests may call iptables")]

use std::{net::IpAddr, process::Command};

use hakone_base::{ContainerId, EndpointId, MacAddr, NetworkId, PublishedPort};
use hakone_iptables::{Chains, Forward, Variant};
use hakone_netns::Netns;
use hakone_network_policy::{Facts, Identity, Labels};
use hakone_policy::{
    Access, Bridge, Endpoint, GatewayMode, HostAccess, Icc, Link, Metadata, Multicast, Options,
    Telling, Topology,
};

const THEIRS: [Forward; 2] = [Forward::AsItIs; 2];

fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{line}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a test once for each variant, with its programs' suffix.
fn with_both(test: impl Fn(&Chains, &str) + Sync) {
    for (variant, suffix) in [(Variant::Nft, "-nft"), (Variant::Legacy, "-legacy")] {
        let run = |_: &Netns| test(&Chains::of(variant, true).unwrap(), suffix);
        Netns::create(run).unwrap();
    }
}

fn bridge(index: u8) -> Bridge {
    let parse = |text: String| text.parse::<IpAddr>().unwrap();
    let addresses = |member: u8| {
        let v6 = format!("fd00:{index}::{member}");
        vec![parse(format!("172.18.{index}.{member}")), parse(v6)]
    };
    let port = |host: &str, host_port: u16, target: &str| PublishedPort {
        host_address: host.parse().unwrap(),
        host_port: host_port.try_into().unwrap(),
        target: target.parse().unwrap(),
    };
    let number = u16::from(index);
    Bridge {
        network: NetworkId::from_bytes([index; 32]),
        name: format!("br-{index}").parse().unwrap(),
        mac: MacAddr::new([2, 0, 0, 0, index, 1]),
        subnets: vec![
            format!("172.18.{index}.0/24").parse().unwrap(),
            format!("fd00:{index}::/64").parse().unwrap(),
        ],
        gateways: addresses(1),
        internal: false,
        icc: Icc::Allowed,
        multicast: Multicast::Denied,
        metadata: Metadata::Denied,
        host_access: HostAccess::All,
        access: Access::default(),
        masquerade: true,
        endpoints: vec![Endpoint {
            id: EndpointId::from_bytes([index; 32]),
            container: ContainerId::from_bytes([index; 32]),
            identity: Identity::of(Facts {
                container: &ContainerId::from_bytes([index; 32]),
                name: "member",
                labels: &Labels::new(),
                network: "network",
                network_labels: &Labels::new(),
            }),
            port: format!("hk{index}").parse().unwrap(),
            mac: MacAddr::new([2, 0, 0, 0, 0, index]),
            addresses: addresses(2),
            published: vec![
                port("0.0.0.0", 8000 + number, "80/tcp"),
                port("::", 8000 + number, "80/tcp"),
                port("192.0.2.1", 5000 + number, "53/udp"),
                port("0.0.0.0", 6000 + number, "9/sctp"),
            ],
        }],
        links: Vec::new(),
    }
}

/// A network of each kind.
fn topology() -> Topology {
    let mut quiet = bridge(1);
    quiet.icc = Icc::Denied;
    quiet.links = ["80/tcp", "53/udp"]
        .map(|port| Link {
            client: "172.18.1.3".parse().unwrap(),
            server: "172.18.1.2".parse().unwrap(),
            port: port.parse().unwrap(),
        })
        .into();
    let mut inner = bridge(2);
    inner.internal = true;
    let mut hardened = bridge(3);
    hardened.host_access = HostAccess::Ports(vec!["53/udp".parse().unwrap()]);
    let mut routed = bridge(4);
    routed.access = Access {
        v4: GatewayMode::Routed,
        v6: GatewayMode::NatUnprotected,
        trusted: vec!["wg0".parse().unwrap()],
    };
    routed.metadata = Metadata::Allowed;
    Topology {
        bridges: vec![quiet, inner, hardened, routed, bridge(5)],
        options: Options::default(),
        resolvers: vec!["169.254.0.2".parse().unwrap()],
        policies: Vec::new(),
        resolved: Vec::new(),
    }
}

#[test]
fn what_is_loaded_once_is_left_alone_the_second_time() {
    with_both(|chains, suffix| {
        let mut topology = topology();
        while !topology.bridges.is_empty() {
            let tables = hakone_iptables_model::compile(&topology);
            assert!(chains.load(&tables, THEIRS).unwrap(), "{suffix}");
            assert!(!chains.load(&tables, THEIRS).unwrap(), "{suffix}");
            topology.bridges.pop();
        }
    });
}

#[test]
fn what_stands_is_what_was_meant() {
    with_both(|chains, suffix| {
        let mut told = topology();
        told.options.telling = Telling::Told;
        let tables = hakone_iptables_model::compile(&told);
        chains.load(&tables, THEIRS).unwrap();
        let save = sh(&format!("iptables{suffix}-save; ip6tables{suffix}-save"));
        assert!(save.contains("NFLOG"), "{suffix}");
        let save = save.replace(" -p igmp ", " -p 2 ");
        let all = tables.v4.iter().chain(&tables.v6);
        for line in all
            .flat_map(|table| &table.chains)
            .flat_map(|chain| chain.lines())
        {
            assert!(
                save.lines().any(|stands| stands == line),
                "{suffix}: {line}\n{save}"
            );
        }
    });
}

#[test]
fn rules_begin_and_cease_to_tell_and_drop_all_the_while() {
    with_both(|chains, suffix| {
        let mut told = topology();
        told.options.telling = Telling::Told;
        let tables = [&told, &topology()].map(hakone_iptables_model::compile);
        for (tables, tells) in tables.iter().zip([true, false]) {
            assert!(chains.load(tables, THEIRS).unwrap(), "{suffix}");
            assert!(!chains.load(tables, THEIRS).unwrap(), "{suffix}");
            let save = sh(&format!("iptables{suffix}-save"));
            assert_eq!(save.contains("HAKONE-REFUSED-GUARD"), tells, "{save}");
        }
    });
}

#[test]
fn what_is_taken_away_leaves_the_tables_of_others_as_they_were() {
    with_both(|chains, suffix| {
        sh(&format!(
            "iptables{suffix} -A INPUT -s 10.9.9.9 -j DROP; iptables{suffix} -t nat -A POSTROUTING -s 10.8.0.0/16 -j ACCEPT"
        ));
        chains
            .load(&hakone_iptables_model::compile(&topology()), THEIRS)
            .unwrap();
        chains.unload().unwrap();
        assert!(!chains.unload().unwrap());
        let save = sh(&format!("iptables{suffix}-save | grep -e '^-A' -e '^:'"));
        let rules: Vec<&str> = save.lines().filter(|line| line.starts_with("-A")).collect();
        let kept = [
            "-A INPUT -s 10.9.9.9/32 -j DROP",
            "-A FORWARD -j DOCKER-USER",
            "-A POSTROUTING -s 10.8.0.0/16 -j ACCEPT",
        ];
        let mut rules: Vec<&str> = rules;
        rules.sort_unstable();
        let mut kept = Vec::from(kept);
        kept.sort_unstable();
        assert_eq!(rules, kept, "{suffix}");
        assert!(
            !save.contains("HAKONE") && !save.contains("ISOLATION"),
            "{save}"
        );
    });
}

#[test]
fn a_chain_that_somebody_flushed_is_filled_again_and_theirs_is_left() {
    with_both(|chains, suffix| {
        let tables = hakone_iptables_model::compile(&topology());
        chains.load(&tables, THEIRS).unwrap();
        let stands = || sh(&format!("iptables{suffix}-save | grep '^-A'"));
        let before = stands();
        for flush in [
            "-F",
            "-t nat -F",
            "-t raw -F HAKONE-GUARD",
            "-F DOCKER",
            "-D FORWARD 2",
        ] {
            sh(&format!("iptables{suffix} {flush}"));
            assert!(chains.load(&tables, THEIRS).unwrap(), "{suffix} {flush}");
            assert_eq!(stands(), before, "{suffix} {flush}");
        }
    });
}
