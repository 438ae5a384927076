//! Random topologies and packets that hit interesting places, for the property tests.
#![expect(clippy::unwrap_used, reason = "constants of tests")]

pub(crate) mod frames;
pub(crate) mod policies;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hakone_base::{
    ContainerId, EndpointId, ExposedPort, IfName, MacAddr, NetworkId, Protocol, PublishedPort,
};
use hakone_policy::{
    Access, Bridge, Bridged, DirectRouting, Endpoint, Flow, GatewayMode, Host, HostAccess, Icc,
    Ipv6Rules, Link, Metadata, Multicast, Options, Origin, Packet, Telling, Topology, Transport,
    ruleset::State,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// How many bridges a topology may have; packets also name the one after.
const BRIDGES: u8 = 3;

pub(crate) fn host_addresses() -> [IpAddr; 3] {
    ["192.0.2.1", "2001:db8::1", "fe80::77"].map(|text| text.parse().unwrap())
}

pub(crate) fn host(topology: &Topology) -> Host {
    Host::new(topology, &host_addresses(), "eth0".parse().unwrap())
}

pub(crate) fn any_bridged() -> impl Strategy<Value = Bridged> {
    select(vec![Bridged::Free, Bridged::Filtered])
}

pub(crate) fn bridge_name(index: u8) -> IfName {
    format!("br-{index}").parse().unwrap()
}

pub(crate) fn port_name(bridge: u8, member: u8) -> IfName {
    format!("hk{bridge}{member}").parse().unwrap()
}

pub(crate) fn mac(bridge: u8, member: u8) -> MacAddr {
    MacAddr::new([2, 0x42, 172, 18 + bridge, 0, member])
}

pub(crate) fn v4(bridge: u8, member: u8) -> IpAddr {
    Ipv4Addr::new(172, 18 + bridge, 0, member).into()
}

pub(crate) fn v6(bridge: u8, member: u8) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0, 0, bridge.into(), 0, 0, 0, member.into()).into()
}

pub(crate) fn any_topology() -> impl Strategy<Value = Topology> {
    let bridges: Vec<_> = (0..BRIDGES).map(any_bridge).collect();
    let direct = select(vec![DirectRouting::Denied, DirectRouting::Allowed]);
    let direct = (direct, any_ipv6_rules());
    let count = 0..=usize::from(BRIDGES);
    let all = (bridges, count, direct, policies::any_policies());
    (all, policies::any_resolved()).prop_map(|(all, resolved)| {
        let (mut bridges, count, (direct_routing, ipv6), policies) = all;
        bridges.truncate(count);
        Topology {
            bridges,
            options: Options {
                direct_routing,
                ipv6,
                // Told or not must make no difference to any packet.
                telling: match count % 2 {
                    0 => Telling::Told,
                    _ => Telling::Silent,
                },
                ..Options::default()
            },
            resolvers: vec!["169.254.0.2".parse().unwrap()],
            policies,
            resolved,
        }
    })
}

fn any_ipv6_rules() -> impl Strategy<Value = Ipv6Rules> {
    prop_oneof![4 => Just(Ipv6Rules::Loaded), 1 => Just(Ipv6Rules::None)]
}

fn any_bridge(index: u8) -> impl Strategy<Value = Bridge> {
    let endpoints: Vec<_> = (2..5).map(|member| any_endpoint(index, member)).collect();
    let icc = select(vec![Icc::Allowed, Icc::Denied]);
    let ipv6 = prop::bool::weighted(0.6);
    let internal = prop::bool::weighted(0.25);
    let multicast = select(vec![Multicast::Denied, Multicast::Allowed]);
    let switches = (
        icc,
        multicast,
        any::<bool>(),
        any_defence(),
        vec(any_link(index), 0..3),
        any_access(),
    );
    (endpoints, 0..=3_usize, switches, ipv6, internal).prop_map(
        move |(mut endpoints, count, switches, ipv6, internal)| {
            let (icc, multicast, masquerade, (metadata, host_access), links, access) = switches;
            endpoints.truncate(count);
            let mut bridge = Bridge {
                network: NetworkId::from_bytes([index; 32]),
                name: bridge_name(index),
                mac: mac(index, 1),
                subnets: vec![format!("172.{}.0.0/16", 18 + index).parse().unwrap()],
                gateways: vec![v4(index, 1)],
                internal,
                icc,
                multicast,
                metadata,
                host_access,
                masquerade,
                access,
                endpoints,
                links,
            };
            match ipv6 {
                true => {
                    bridge
                        .subnets
                        .push(format!("fd00:0:0:{index}::/64").parse().unwrap());
                    bridge.gateways.push(v6(index, 1));
                }
                false => bridge.endpoints.iter_mut().for_each(drop_ipv6),
            }
            bridge
        },
    )
}

fn any_defence() -> impl Strategy<Value = (Metadata, HostAccess)> {
    let ports = ["80/tcp", "22/tcp", "8000/udp"].map(|port| port.parse().unwrap());
    let access = prop_oneof![
        2 => Just(HostAccess::All),
        1 => vec(select(ports.to_vec()), 0..3).prop_map(HostAccess::Ports),
    ];
    (select(vec![Metadata::Denied, Metadata::Allowed]), access)
}

fn any_link(bridge: u8) -> impl Strategy<Value = Link> {
    let ports = ["80/tcp", "81/udp"].map(|port| port.parse().unwrap());
    (2..5_u8, 2..5_u8, any::<bool>(), select(ports.to_vec())).prop_map(
        move |(client, server, ipv6, port)| {
            let address = |member| match ipv6 {
                false => v4(bridge, member),
                true => v6(bridge, member),
            };
            Link {
                client: address(client),
                server: address(server),
                port,
            }
        },
    )
}

fn any_access() -> impl Strategy<Value = Access> {
    let mode = || {
        prop_oneof![
            3 => Just(GatewayMode::Nat),
            1 => Just(GatewayMode::NatUnprotected),
            1 => Just(GatewayMode::Routed),
        ]
    };
    let trusted = vec(select(vec!["eth0", "wg0"]), 0..2);
    (mode(), mode(), trusted).prop_map(|(v4, v6, trusted)| Access {
        v4,
        v6,
        trusted: trusted
            .into_iter()
            .map(|name| name.parse().unwrap())
            .collect(),
    })
}

fn drop_ipv6(endpoint: &mut Endpoint) {
    endpoint.addresses.retain(IpAddr::is_ipv4);
}

fn any_endpoint(bridge: u8, member: u8) -> impl Strategy<Value = Endpoint> {
    let identity = policies::any_identity(bridge, member);
    let published = vec(any_published(), 0..3);
    let all = (published, prop::bool::weighted(0.2), identity);
    all.prop_map(move |(published, extra, identity)| {
        let mut addresses = vec![v4(bridge, member), v6(bridge, member)];
        if extra {
            addresses.push(IpAddr::from([169, 254, bridge, member]));
        }
        Endpoint {
            id: EndpointId::from_bytes([bridge * 16 + member; 32]),
            container: ContainerId::from_bytes([bridge * 16 + member; 32]),
            identity,
            port: port_name(bridge, member),
            mac: mac(bridge, member),
            addresses,
            published,
        }
    })
}

fn any_published() -> impl Strategy<Value = PublishedPort> {
    let hosts = [
        "0.0.0.0",
        "::",
        "192.0.2.1",
        "2001:db8::1",
        "127.0.0.1",
        "::1",
        "172.18.0.1",
    ];
    let hosts: Vec<IpAddr> = hosts.iter().map(|text| text.parse().unwrap()).collect();
    let protocols = vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    (select(hosts), 8000..8003_u16, select(protocols), 80..82_u16).prop_map(
        |(host_address, host_port, protocol, port)| PublishedPort {
            host_address,
            host_port: host_port.try_into().unwrap(),
            target: ExposedPort {
                port: port.try_into().unwrap(),
                protocol,
            },
        },
    )
}

pub(crate) fn any_packet() -> impl Strategy<Value = Packet> {
    (any_origin(), any::<bool>(), any_transport()).prop_flat_map(|(origin, ipv6, transport)| {
        let addresses = interesting(ipv6);
        let ends = (select(addresses.clone()), select(addresses.clone()));
        let flags = (prop::bool::weighted(0.1), prop::bool::weighted(0.1));
        let flow = (any_flow(addresses), flags);
        (Just(origin), ends, Just(transport), flow).prop_map(
            |(origin, (source, destination), transport, (flow, (crowded, scanning)))| Packet {
                origin,
                source,
                destination,
                transport,
                flow,
                crowded,
                scanning,
            },
        )
    })
}

fn any_origin() -> impl Strategy<Value = Origin> {
    let bridge = (0..=BRIDGES).prop_map(|index| Origin::Interface(bridge_name(index)));
    let others = ["eth0", "eth1", "hk02"].map(|name| Origin::Interface(name.parse().unwrap()));
    prop_oneof![3 => bridge, 2 => select(others.to_vec()), 1 => Just(Origin::Host)]
}

fn any_transport() -> impl Strategy<Value = Transport> {
    let ports = select(vec![80, 81, 8000, 8001, 8002, 22, 53, 4789, 8472, 6081]);
    let ported =
        (select(vec![6, 17, 132]), ports).prop_map(|(p, port)| Transport::to_port(p, port));
    let portless = select(vec![1, 2, 4, 58, 47]).prop_map(|protocol| Transport {
        protocol,
        port: None,
    });
    prop_oneof![5 => ported, 1 => portless]
}

fn any_flow(addresses: Vec<IpAddr>) -> impl Strategy<Value = Flow> {
    let states = select(vec![State::Established, State::Related, State::Untracked]);
    let known = (states, any::<bool>(), option::of(select(addresses))).prop_map(
        |(state, published, restored)| Flow::Known {
            state,
            published,
            restored,
        },
    );
    prop_oneof![4 => Just(Flow::New), 2 => known, 1 => Just(Flow::Invalid)]
}

/// Members, gateways, unassigned and unknown addresses, the host's, loopback, link-local, the far world.
fn interesting(ipv6: bool) -> Vec<IpAddr> {
    let member = |bridge| (1..6).map(move |member| (bridge, member));
    let members = (0..=BRIDGES).flat_map(member);
    let others = [
        "127.0.0.1",
        "127.8.8.8",
        "198.51.100.9",
        "172.18.255.255",
        "224.0.0.251",
        "169.254.0.2",
        "169.254.169.254",
        "0.0.0.0",
    ];
    let others6 = [
        "::1",
        "::",
        "2001:db8:9::9",
        "fe80::5",
        "fe80::77",
        "ff02::1",
        "fd00:ec2::254",
    ];
    let mut all: Vec<IpAddr> = match ipv6 {
        false => members.map(|(bridge, member)| v4(bridge, member)).collect(),
        true => members.map(|(bridge, member)| v6(bridge, member)).collect(),
    };
    all.extend(host_addresses());
    all.extend(
        others
            .iter()
            .chain(&others6)
            .map(|text| text.parse::<IpAddr>().unwrap()),
    );
    all.retain(|address| address.is_ipv6() == ipv6);
    all
}
