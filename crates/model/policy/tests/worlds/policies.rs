//! Random identities and policies over few words, so that they often concern each other.

use std::{collections::BTreeMap, net::IpAddr};

use hakone_base::{ContainerId, Protocol, Subnet};
use hakone_network_policy::{
    Block, Facts, Identity, Labels, Mode, PROJECT, Peer, Peers, Policy, PolicyKey, PortRange,
    Ports, Requirement, Rule, Selector, Subject,
};
use hakone_policy::{Moment, Resolved};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// Networks are namespaces, and one project spans them.
const NAMESPACES: [&str; 4] = ["n0", "n1", "n2", "shop"];
const KEYS: [&str; 3] = ["app", "tier", "dev.hakone.network"];
const VALUES: [&str; 4] = ["a", "b", "n0", "n1"];

pub(crate) fn any_identity(bridge: u8, member: u8) -> impl Strategy<Value = Identity> {
    let own = option::of(select(vec!["a", "b"]));
    (own.clone(), own, prop::bool::weighted(0.3)).prop_map(move |(app, tier, project)| {
        let pairs = [("app", app), ("tier", tier)];
        let pairs = pairs
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        let project = project.then_some((PROJECT, "shop"));
        let labels: Labels = pairs
            .chain(project)
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Identity::of(Facts {
            container: &ContainerId::from_bytes([bridge * 16 + member; 32]),
            name: &format!("c{bridge}{member}"),
            labels: &labels,
            network: &format!("n{bridge}"),
            network_labels: &[("tier".to_owned(), "a".to_owned())].into(),
        })
    })
}

/// Makes the identity of a container without labels.
pub(crate) fn plain_identity(number: u8, network: &str) -> Identity {
    Identity::of(Facts {
        container: &ContainerId::from_bytes([number; 32]),
        name: &format!("c{number}"),
        labels: &Labels::new(),
        network,
        network_labels: &Labels::new(),
    })
}

pub(crate) fn any_policies() -> impl Strategy<Value = Vec<Policy>> {
    prop_oneof![
        1 => Just(Vec::new()),
        4 => vec(any_policy(), 1..5).prop_map(|mut policies| {
            for (number, policy) in policies.iter_mut().enumerate() {
                policy.key.name = format!("p{number}");
            }
            policies
        }),
    ]
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let subject = prop_oneof![
        5 => any_selector().prop_map(Subject::Selected),
        1 => (0..3_u8, 2..5_u8).prop_map(|(bridge, member)| {
            Subject::Container(ContainerId::from_bytes([bridge * 16 + member; 32]))
        }),
    ];
    let rules = || option::weighted(0.6, vec(any_rule(), 0..4));
    let mode = prop_oneof![3 => Just(Mode::Enforce), 1 => Just(Mode::Audit)];
    let whom = (select(NAMESPACES.to_vec()), subject, mode);
    (whom, rules(), rules()).prop_map(|((namespace, subject, mode), ingress, egress)| Policy {
        mode,
        key: PolicyKey {
            namespace: namespace.to_owned(),
            name: String::new(),
        },
        subject,
        ingress,
        egress,
    })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let peers = prop_oneof![
        1 => Just(Peers::All),
        4 => vec(any_peer(), 1..4).prop_map(Peers::These),
    ];
    let ports = prop_oneof![
        1 => Just(Ports::All),
        3 => vec(any_range(), 1..4).prop_map(Ports::These),
    ];
    (peers, ports).prop_map(|(peers, ports)| Rule { peers, ports })
}

fn any_peer() -> impl Strategy<Value = Peer> {
    let endpoints = (option::of(any_selector()), any_selector());
    let endpoints = endpoints.prop_map(|(namespaces, endpoints)| Peer::Endpoints {
        namespaces,
        endpoints,
    });
    let names = ["*.example.org", "api.example.org", "api.example.com"];
    let names = select(names.map(|name| Peer::Name(name.parse().unwrap())).to_vec());
    prop_oneof![3 => endpoints, 2 => any_block().prop_map(Peer::Block), 1 => names]
}

/// What containers were given for names, each address once.
pub(crate) fn any_resolved() -> impl Strategy<Value = Vec<Resolved>> {
    let names = [
        "api.example.org",
        "a.b.example.org",
        "api.example.com",
        "example.org",
    ];
    let addresses: Vec<IpAddr> = ["198.51.100.9", "2001:db8:9::9", "172.18.0.3"]
        .map(|text| text.parse().unwrap())
        .to_vec();
    let one = (
        (0..3_u8, 2..5_u8),
        select(addresses),
        vec(select(names.to_vec()), 1..3),
        option::weighted(0.8, 1..100_u64),
    );
    vec(one, 0..6).prop_map(|all| {
        let mut resolved: BTreeMap<_, Resolved> = BTreeMap::new();
        for ((bridge, member), address, names, until) in all {
            let container = ContainerId::from_bytes([bridge * 16 + member; 32]);
            let one = Resolved {
                container: container.clone(),
                address,
                names: names.into_iter().map(str::to_owned).collect(),
                until: until.map(Moment),
            };
            resolved.insert((container, address), one);
        }
        resolved.into_values().collect()
    })
}

/// Prefixes around the addresses of the worlds, with holes inside.
fn any_block() -> impl Strategy<Value = Block> {
    let blocks: [(&str, &[&str]); 9] = [
        (
            "0.0.0.0/0",
            &["172.18.0.0/16", "172.19.0.2/32", "10.0.0.0/8"],
        ),
        ("172.18.0.0/15", &["172.18.0.2/31", "172.19.0.0/16"]),
        ("172.18.0.3/32", &[]),
        ("192.0.2.0/24", &["192.0.2.1/32"]),
        ("198.51.100.0/24", &[]),
        ("::/0", &["fd00::/16", "2001:db8::/32"]),
        ("fd00::/62", &["fd00:0:0:1::/64", "fd00::2/127"]),
        ("fe80::/10", &[]),
        ("2001:db8::/32", &["2001:db8:9::/48"]),
    ];
    select(blocks.to_vec()).prop_flat_map(|(cidr, holes)| {
        let cidr: Subnet = cidr.parse().unwrap();
        let holes: Vec<Subnet> = holes.iter().map(|text| text.parse().unwrap()).collect();
        let most = holes.len();
        prop::sample::subsequence(holes, 0..=most).prop_map(move |except| Block { cidr, except })
    })
}

fn any_range() -> impl Strategy<Value = PortRange> {
    let protocols = vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    let ports = vec![
        (80, 80),
        (81, 81),
        (80, 81),
        (22, 8001),
        (8001, 9000),
        (53, 53),
        (0, 65535),
        (65535, 65535),
    ];
    (select(protocols), select(ports)).prop_map(|(protocol, (first, last))| PortRange {
        protocol,
        first,
        last,
    })
}

fn any_selector() -> impl Strategy<Value = Selector> {
    vec(any_requirement(), 0..3).prop_map(Selector::new)
}

fn any_requirement() -> impl Strategy<Value = Requirement> {
    let values = vec(select(VALUES.to_vec()), 1..3);
    let key = select(KEYS.to_vec()).prop_map(str::to_owned);
    (0..4_u8, key, values).prop_map(|(kind, key, values)| {
        let values = values.into_iter().map(str::to_owned).collect();
        match kind {
            0 => Requirement::NotIn(key, values),
            1 => Requirement::Exists(key),
            2 => Requirement::DoesNotExist(key),
            _ => Requirement::In(key, values),
        }
    })
}
