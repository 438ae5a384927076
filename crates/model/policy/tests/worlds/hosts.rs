//! A few telling hosts, whose rules are kept as text.

use std::net::IpAddr;

use hakone_base::{ContainerId, EndpointId, ExposedPort, MacAddr, NetworkId, PublishedPort};
use hakone_network_policy::{Facts, Identity, Labels};
use hakone_policy::{
    Access, Bridge, DirectRouting, Endpoint, HostAccess, Icc, Link, Metadata, Multicast, Options,
    Telling, Topology,
};

fn bridge(index: u8, name: &str, subnets: &[&str], gateways: &[&str]) -> Bridge {
    Bridge {
        network: NetworkId::from_bytes([index; 32]),
        name: name.parse().unwrap(),
        mac: MacAddr::new([2, 0x42, 0, 0, 1, index]),
        subnets: subnets.iter().map(|text| text.parse().unwrap()).collect(),
        gateways: gateways.iter().map(|text| text.parse().unwrap()).collect(),
        internal: false,
        icc: Icc::Allowed,
        multicast: Multicast::Denied,
        metadata: Metadata::Denied,
        host_access: HostAccess::All,
        access: Access::default(),
        masquerade: true,
        endpoints: Vec::new(),
        links: Vec::new(),
    }
}

fn endpoint(index: u8, addresses: &[&str], published: &[(&str, u16, &str)]) -> Endpoint {
    let port = |(host, port, target): &(&str, u16, &str)| PublishedPort {
        host_address: host.parse::<IpAddr>().unwrap(),
        host_port: (*port).try_into().unwrap(),
        target: target.parse::<ExposedPort>().unwrap(),
    };
    Endpoint {
        id: EndpointId::from_bytes([index; 32]),
        container: ContainerId::from_bytes([index; 32]),
        identity: Identity::of(Facts {
            container: &ContainerId::from_bytes([index; 32]),
            name: &format!("c{index}"),
            labels: &Labels::new(),
            network: "shop",
            network_labels: &Labels::new(),
        }),
        port: format!("hk{index}").parse().unwrap(),
        mac: MacAddr::new([2, 0x42, 0, 0, 0, index]),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        published: published.iter().map(port).collect(),
    }
}

fn of(bridges: Vec<Bridge>) -> Topology {
    Topology {
        bridges,
        options: Options::default(),
        resolvers: Vec::new(),
        policies: Vec::new(),
        resolved: Vec::new(),
    }
}

fn two_networks() -> Topology {
    let mut web = bridge(
        1,
        "br-web",
        &["172.18.0.0/16", "fd00:18::/64"],
        &["172.18.0.1", "fd00:18::1"],
    );
    web.endpoints = vec![
        endpoint(
            2,
            &["172.18.0.2", "fd00:18::2"],
            &[("0.0.0.0", 8080, "80/tcp"), ("::", 8080, "80/tcp")],
        ),
        endpoint(
            3,
            &["172.18.0.3"],
            &[("127.0.0.1", 5432, "5432/tcp"), ("192.0.2.1", 53, "53/udp")],
        ),
    ];
    of(vec![
        web,
        bridge(4, "hakone0", &["172.17.0.0/16"], &["172.17.0.1"]),
    ])
}

fn quiet_internal_and_routed() -> Topology {
    let mut quiet = bridge(1, "br-quiet", &["172.18.0.0/16"], &["172.18.0.1"]);
    quiet.icc = Icc::Denied;
    quiet.host_access = HostAccess::Ports(vec!["8080/tcp".parse().unwrap()]);
    quiet.links = vec![Link {
        client: "172.18.0.2".parse().unwrap(),
        server: "172.18.0.3".parse().unwrap(),
        port: "5432/tcp".parse().unwrap(),
    }];
    let mut inner = bridge(
        2,
        "br-inner",
        &["172.19.0.0/16", "fd00:19::/64"],
        &["172.19.0.1", "fd00:19::1"],
    );
    inner.internal = true;
    inner.endpoints = vec![endpoint(
        5,
        &["172.19.0.2"],
        &[("0.0.0.0", 9000, "9000/tcp")],
    )];
    let mut routed = bridge(3, "br-routed", &["2001:db8:7::/64"], &["2001:db8:7::1"]);
    routed.masquerade = false;
    routed.multicast = Multicast::Allowed;
    routed.metadata = Metadata::Allowed;
    routed.endpoints = vec![endpoint(
        6,
        &["2001:db8:7::2", "2001:db8:99::2"],
        &[("::", 443, "443/tcp")],
    )];
    let mut topology = of(vec![quiet, inner, routed]);
    topology.options.direct_routing = DirectRouting::Allowed;
    topology
}

fn two_networks_told() -> Topology {
    let mut topology = two_networks();
    topology.options.telling = Telling::Told;
    topology
}

/// The documents of the page that explains policies, on the first network.
fn with_policies() -> Topology {
    let mut topology = two_networks();
    let documents = include_str!("../snapshots/policies.yaml");
    let parsed = hakone_network_policy::parse(documents).unwrap();
    topology.policies = parsed.into_iter().map(|(_, policy)| policy).collect();
    topology
}

pub(crate) fn hosts() -> [(&'static str, Topology); 5] {
    [
        ("with_policies", with_policies()),
        ("no_network", Topology::default()),
        ("two_networks", two_networks()),
        ("two_networks_told", two_networks_told()),
        ("quiet_internal_and_routed", quiet_internal_and_routed()),
    ]
}
