//! The contents of the sets and maps: all that varies from one topology to the next.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
};

use hakone_base::{ExposedPort, IfName, Protocol, PublishedPort, Subnet};
use ipnet::IpNet;

use crate::{
    groups::Compiled,
    neighbours,
    ruleset::{Action, DYNAMIC_SIZE, Elements, IpFamily, Key, Ruleset, Set, Target, Type, Value},
    topology::{
        Bridge, DirectRouting, Endpoint, GatewayMode, HostAccess, Icc, Link, Metadata, Topology,
    },
};

use IpFamily::{V4, V6};

/// The prefix of addresses that are valid on one link only.
const LINK_LOCAL: &str = "fe80::/10";

/// The set of bridges that policies judge.
const JUDGED: &str = "judged";

/// What a topology comes to for rules of any back end: every set and map, still mixed of both address families where that reads
/// better. Targets are the containers' ends of published ports.
#[derive(Debug, Default)]
pub struct Contents {
    bridges: BTreeSet<IfName>,
    /// Bridges whose members leave under the host's address.
    pub masqueraded: BTreeSet<(IpFamily, IfName)>,
    /// Bridges whose members are reached at every port (`nat-unprotected`).
    pub unprotected: BTreeSet<(IpFamily, IfName)>,
    /// Bridges whose members are reached at their published ports without translation.
    pub routed: BTreeSet<(IpFamily, IfName)>,
    /// Interfaces that reach ports of a bridge's members directly: interface, bridge, address, protocol, port.
    pub trusted: BTreeSet<(IfName, IfName, IpAddr, u8, u16)>,
    members: BTreeMap<Key, Action>,
    exits: BTreeMap<Key, Action>,
    entries: BTreeMap<Key, Action>,
    to_host: BTreeMap<Key, Action>,
    /// The subnets of all bridges.
    pub subnets: BTreeSet<Subnet>,
    /// Which sources may come by a bridge.
    pub sources: BTreeMap<IfName, BTreeSet<Subnet>>,
    /// The host's addresses on bridges.
    pub gateways: BTreeSet<(IfName, IpAddr)>,
    /// Who is reached by a bridge: its members and all that are sent there.
    pub receivers: BTreeSet<(IfName, IpAddr)>,
    /// Bridges whose members talk to each other.
    talking: BTreeSet<IfName>,
    metadata: BTreeSet<IfName>,
    hardened: BTreeSet<IfName>,
    host_ports: BTreeSet<(IfName, ExposedPort)>,
    links: BTreeSet<(IfName, Link)>,
    /// Resolvers of the host at addresses of metadata services.
    pub resolvers: BTreeSet<IpAddr>,
    /// Where ports lead that are published at one address: by address, protocol and port.
    pub bound: BTreeMap<(IpAddr, u8, u16), Target>,
    /// Where ports lead that are published at every address of a family: by protocol and port.
    pub unbound: BTreeMap<(IpFamily, u8, u16), Target>,
    /// Ports that are reached at their members' addresses from outside: bridge, address, protocol, port.
    pub direct: BTreeSet<(IfName, IpAddr, u8, u16)>,
}

impl Contents {
    /// Collects in the order of names, so that of two claims to one port the same always wins.
    #[must_use]
    pub fn of(topology: &Topology) -> Self {
        let mut contents = Self {
            resolvers: topology.resolvers.iter().copied().collect(),
            ..Self::default()
        };
        let mut bridges: Vec<&Bridge> = topology.bridges.iter().collect();
        bridges.sort_by_key(|bridge| &bridge.name);
        for bridge in bridges {
            contents.add_bridge(bridge);
            let mut endpoints: Vec<&Endpoint> = bridge.endpoints.iter().collect();
            endpoints.sort_by_key(|endpoint| &endpoint.id);
            for endpoint in endpoints {
                contents.add_endpoint(bridge, endpoint, topology.options.direct_routing);
            }
        }
        contents
    }

    fn add_bridge(&mut self, bridge: &Bridge) {
        let name = || Value::IfName(bridge.name.clone());
        self.bridges.insert(bridge.name.clone());
        let members = match bridge.icc {
            Icc::Allowed => {
                self.talking.insert(bridge.name.clone());
                Action::Goto("among_members".into())
            }
            Icc::Denied => Action::Goto("linked".into()),
        };
        self.members.insert(vec![name(), name()], members);
        let (exit, entry) = match bridge.internal {
            true => (Action::Drop, Action::Drop),
            false => (
                Action::Jump("leaving".into()),
                Action::Goto("entering".into()),
            ),
        };
        self.exits.insert(vec![name()], exit);
        self.entries.insert(vec![name()], entry);
        let to_host = self.judge_of_host_traffic(bridge);
        self.to_host.insert(vec![name()], to_host);
        if bridge.metadata == Metadata::Allowed {
            self.metadata.insert(bridge.name.clone());
        }
        for link in &bridge.links {
            self.links.insert((bridge.name.clone(), *link));
        }
        if !bridge.internal {
            self.add_mode(bridge, V4, bridge.access.v4);
            self.add_mode(bridge, V6, bridge.access.v6);
        }
        self.add_addresses(bridge);
    }

    /// What a bridge reaches of the host. A hardened one is noted too: published ports are for the outside then.
    fn judge_of_host_traffic(&mut self, bridge: &Bridge) -> Action {
        let chain = match (&bridge.host_access, bridge.internal) {
            (_, true) => "internal_to_host",
            (HostAccess::All, false) => "open_to_host",
            (HostAccess::Ports(ports), false) => {
                self.hardened.insert(bridge.name.clone());
                let ports = ports.iter().copied();
                self.host_ports
                    .extend(ports.map(|port| (bridge.name.clone(), port)));
                "hardened_to_host"
            }
        };
        Action::Goto(chain.into())
    }

    fn add_mode(&mut self, bridge: &Bridge, family: IpFamily, mode: GatewayMode) {
        let entry = || (family, bridge.name.clone());
        match mode {
            GatewayMode::Nat => {}
            GatewayMode::NatUnprotected => {
                self.unprotected.insert(entry());
            }
            GatewayMode::Routed => {
                self.routed.insert(entry());
                return;
            }
        }
        if bridge.masquerade {
            self.masqueraded.insert(entry());
        }
    }

    fn add_addresses(&mut self, bridge: &Bridge) {
        self.subnets.extend(&bridge.subnets);
        let broadcast = bridge.subnets.iter().filter(|subnet| !subnet.is_ipv6());
        let broadcast = broadcast.map(|subnet| (bridge.name.clone(), subnet.net().broadcast()));
        self.receivers.extend(broadcast);
        let sources = self.sources.entry(bridge.name.clone()).or_default();
        sources.extend(&bridge.subnets);
        if bridge.subnets.iter().any(Subnet::is_ipv6) {
            sources.extend(link_sources());
        }
        let gateways = bridge
            .gateways
            .iter()
            .filter(|gateway| !is_link_local(**gateway));
        self.gateways
            .extend(gateways.map(|gateway| (bridge.name.clone(), *gateway)));
    }

    fn add_endpoint(&mut self, bridge: &Bridge, endpoint: &Endpoint, direct: DirectRouting) {
        let own = endpoint
            .addresses
            .iter()
            .map(|own| Subnet::new(IpNet::from(*own)));
        let sources = self.sources.entry(bridge.name.clone()).or_default();
        sources.extend(own);
        let own = endpoint.addresses.iter();
        self.receivers
            .extend(own.map(|own| (bridge.name.clone(), *own)));
        if bridge.internal {
            return;
        }
        for port in &endpoint.published {
            self.publish(bridge, endpoint, port, direct);
        }
    }

    fn publish(
        &mut self,
        bridge: &Bridge,
        endpoint: &Endpoint,
        port: &PublishedPort,
        direct: DirectRouting,
    ) {
        let Some(address) = endpoint.address_like(port.host_address) else {
            return;
        };
        let (protocol, number) = (port.target.protocol.number(), port.target.port.get());
        let target = Target {
            address,
            port: number,
        };
        let (host, host_port) = (port.host_address, port.host_port.get());
        if host.is_loopback() {
            return;
        }
        let routed = bridge.access.of(address) == GatewayMode::Routed;
        let name = || bridge.name.clone();
        if routed || direct == DirectRouting::Allowed {
            self.direct.insert((name(), address, protocol, number));
        }
        let trusted = bridge.access.trusted.iter();
        self.trusted
            .extend(trusted.map(|from| (from.clone(), name(), address, protocol, number)));
        if routed {
            return;
        }
        match host.is_unspecified() {
            true => {
                let key = (IpFamily::of(host), protocol, host_port);
                self.unbound.entry(key).or_insert(target)
            }
            false => self
                .bound
                .entry((host, protocol, host_port))
                .or_insert(target),
        };
    }

    /// Lays the contents out as the sets that the chains look into.
    pub(crate) fn into_sets(self) -> Vec<Set> {
        let pair = vec![Type::IfName, Type::IfName];
        let mut sets = vec![
            names("bridges", &self.bridges),
            actions("members", pair, self.members.clone()),
            actions("exits", vec![Type::IfName], self.exits.clone()),
            actions("entries", vec![Type::IfName], self.entries.clone()),
            actions("to_host", vec![Type::IfName], self.to_host.clone()),
            names("metadata", &self.metadata),
            names("hardened", &self.hardened),
            self.host_ports(),
            host_protocols(),
        ];
        for family in [V4, V6] {
            sets.extend(self.mode_sets(family));
            sets.extend(self.address_sets(family));
            sets.extend(self.port_sets(family));
            sets.extend(self.member_sets(family));
        }
        sets.extend(neighbours::sets());
        sets
    }

    fn mode_sets(&self, family: IpFamily) -> [Set; 4] {
        let of = |names, bridges: &BTreeSet<(IpFamily, IfName)>| {
            let bridges = bridges.iter().filter(|(of, _)| *of == family);
            let bridges = bridges.map(|(_, name)| vec![Value::IfName(name.clone())]);
            keys(names, family, vec![Type::IfName], bridges)
        };
        let trusted = self.trusted.iter();
        let trusted = trusted.filter(|(_, _, to, ..)| IpFamily::of(*to) == family);
        let trusted = trusted.map(|(from, bridge, to, protocol, number)| {
            let interfaces = [from, bridge].map(|name| Value::IfName(name.clone()));
            let port = [
                Value::Address(*to),
                Value::Protocol(*protocol),
                Value::Port(*number),
            ];
            [&interfaces[..], &port].concat()
        });
        let address = Type::Address(family);
        let key = vec![
            Type::IfName,
            Type::IfName,
            address,
            Type::Protocol,
            Type::Port,
        ];
        [
            of(["masqueraded_ip", "masqueraded_ip6"], &self.masqueraded),
            of(["unprotected_ip", "unprotected_ip6"], &self.unprotected),
            of(["routed_ip", "routed_ip6"], &self.routed),
            keys(["trusted_ip", "trusted_ip6"], family, key, trusted),
        ]
    }

    fn address_sets(&self, family: IpFamily) -> [Set; 4] {
        let address = Type::Address(family);
        let prefix = |prefix: &Subnet| Value::Prefix(*prefix);
        let subnets = disjoint(&self.subnets, family).map(|subnet| vec![prefix(subnet)]);
        let sources = self.sources.iter().flat_map(|(name, prefixes)| {
            let name = Value::IfName(name.clone());
            disjoint(prefixes, family).map(move |each| vec![name.clone(), prefix(each)])
        });
        let gateways: Vec<_> = self
            .gateways
            .iter()
            .filter(|(_, a)| IpFamily::of(*a) == family)
            .collect();
        let all = gateways
            .iter()
            .map(|(_, address)| vec![Value::Address(*address)]);
        let own = gateways
            .iter()
            .map(|(name, address)| vec![Value::IfName(name.clone()), Value::Address(*address)]);
        let pair = || vec![Type::IfName, address];
        [
            keys(
                ["subnets_ip", "subnets_ip6"],
                family,
                vec![address],
                subnets,
            )
            .of_prefixes(),
            keys(["sources_ip", "sources_ip6"], family, pair(), sources).of_prefixes(),
            keys(["gateways_ip", "gateways_ip6"], family, vec![address], all),
            keys(["own_gateways_ip", "own_gateways_ip6"], family, pair(), own),
        ]
    }

    fn host_ports(&self) -> Set {
        let ports = self.host_ports.iter();
        let ports = ports.map(|(bridge, port)| {
            let bridge = Value::IfName(bridge.clone());
            (
                vec![bridge, port.protocol.into(), Value::Port(port.port.get())],
                (),
            )
        });
        let key = vec![Type::IfName, Type::Protocol, Type::Port];
        set("host_ports", key, Elements::Keys(ports.collect()))
    }

    /// Who is there to receive, what links lead where, which resolvers answer, and the flows that are counted.
    fn member_sets(&self, family: IpFamily) -> [Set; 5] {
        let address = Type::Address(family);
        let is_like = |address: &IpAddr| IpFamily::of(*address) == family;
        let receivers = self.receivers.iter().filter(|(_, own)| is_like(own));
        let receivers = receivers
            .map(|(bridge, own)| vec![Value::IfName(bridge.clone()), Value::Address(*own)]);
        let links = self.links.iter().filter(|(_, link)| is_like(&link.server));
        let links = links.map(|(bridge, link)| {
            vec![
                Value::IfName(bridge.clone()),
                Value::Address(link.client),
                Value::Address(link.server),
                link.port.protocol.into(),
                Value::Port(link.port.port.get()),
            ]
        });
        let resolvers = self.resolvers.iter().filter(|own| is_like(own));
        let resolvers = resolvers.flat_map(|resolver| {
            [Protocol::Tcp, Protocol::Udp]
                .map(|over| vec![Value::Address(*resolver), over.into(), Value::Port(53)])
        });
        let service = [Type::Protocol, Type::Port];
        let link_key = [&[Type::IfName, address, address], &service[..]].concat();
        let resolver_key = [&[address], &service[..]].concat();
        let flows = keys(
            ["flows_ip", "flows_ip6"],
            family,
            vec![address],
            [].into_iter(),
        );
        [
            keys(
                ["receivers_ip", "receivers_ip6"],
                family,
                vec![Type::IfName, address],
                receivers,
            ),
            self.peers(family),
            keys(["links_ip", "links_ip6"], family, link_key, links),
            keys(
                ["resolvers_ip", "resolvers_ip6"],
                family,
                resolver_key,
                resolvers,
            ),
            Set {
                dynamic: Some(DYNAMIC_SIZE),
                ..flows
            },
        ]
    }

    /// Who may be spoken to by the other members, by the bridge on both sides.
    fn peers(&self, family: IpFamily) -> Set {
        let peers = self.receivers.iter();
        let peers = peers
            .filter(|(bridge, own)| IpFamily::of(*own) == family && self.talking.contains(bridge));
        let peers = peers.map(|(bridge, own)| {
            let bridge = || Value::IfName(bridge.clone());
            vec![bridge(), bridge(), Value::Address(*own)]
        });
        let key = vec![Type::IfName, Type::IfName, Type::Address(family)];
        keys(["peers_ip", "peers_ip6"], family, key, peers)
    }

    fn port_sets(&self, family: IpFamily) -> [Set; 3] {
        let address = Type::Address(family);
        let port = |protocol, port| [Value::Protocol(protocol), Value::Port(port)];
        let bound = self
            .bound
            .iter()
            .filter(|((host, ..), _)| IpFamily::of(*host) == family);
        let bound = bound.map(|((host, protocol, number), target)| {
            let host = [Value::Address(*host)];
            ([&host[..], &port(*protocol, *number)].concat(), *target)
        });
        let unbound = self.unbound.iter().filter(|((of, ..), _)| *of == family);
        let unbound = unbound
            .map(|((_, protocol, number), target)| (port(*protocol, *number).to_vec(), *target));
        let direct = self
            .direct
            .iter()
            .filter(|(_, to, ..)| IpFamily::of(*to) == family);
        let direct = direct.map(|(bridge, to, protocol, number)| {
            let to = [Value::IfName(bridge.clone()), Value::Address(*to)];
            [to, port(*protocol, *number)].concat()
        });
        let service = [Type::Protocol, Type::Port];
        let bound_key = [&[address], &service[..]].concat();
        let direct_key = [[Type::IfName, address], service].concat();
        [
            targets(["published_ip", "published_ip6"], family, bound_key, bound),
            targets(
                ["published_any_ip", "published_any_ip6"],
                family,
                service.to_vec(),
                unbound,
            ),
            keys(["direct_ip", "direct_ip6"], family, direct_key, direct),
        ]
    }
}

/// Lays out where policies lead endpoints, and whose members talk through the host.
pub(crate) fn of_policies(policies: &Compiled) -> Vec<Set> {
    let mut sets = vec![names(JUDGED, &policies.judged)];
    for family in [V4, V6] {
        let key = || vec![Type::IfName, Type::Address(family)];
        let of = |map: &BTreeMap<IpFamily, BTreeMap<Key, Action>>| {
            map.get(&family).cloned().unwrap_or_default()
        };
        let egress = pick(["egress_ip", "egress_ip6"], family);
        let ingress = pick(["ingress_ip", "ingress_ip6"], family);
        sets.push(actions(egress, key(), of(&policies.egress)));
        sets.push(actions(ingress, key(), of(&policies.ingress)));
    }
    sets
}

impl Ruleset {
    /// Names the bridges whose members reach each other through the host, for policies judge them.
    #[must_use]
    pub fn judged(&self) -> BTreeSet<IfName> {
        let sets = self.tables.iter().flat_map(|table| &table.sets);
        let judged = sets.filter(|set| set.name.as_str() == JUDGED);
        let keys = judged.filter_map(|set| match &set.elements {
            Elements::Keys(keys) => Some(keys.keys().flatten()),
            _ => None,
        });
        let names = keys.flatten().filter_map(|value| match value {
            Value::IfName(name) => Some(name.clone()),
            _ => None,
        });
        names.collect()
    }
}

/// What a container may say to the host at all: ICMP, IGMP, TCP, UDP, ICMPv6, SCTP. Tunnels, above all, are not among it.
fn host_protocols() -> Set {
    let protocols = [1, 2, 6, 17, 58, 132].map(|number| (vec![Value::Protocol(number)], ()));
    let elements = Elements::Keys(protocols.into());
    set("host_protocols", vec![Type::Protocol], elements)
}

/// What any IPv6 host uses on its link: link-local addresses, and none at all while it looks for a free one.
fn link_sources() -> impl Iterator<Item = Subnet> {
    let nobody = Subnet::new(IpNet::from(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
    LINK_LOCAL.parse().ok().into_iter().chain([nobody])
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// Leaves out what lies inside another prefix: the kernel refuses intervals that overlap.
fn disjoint(prefixes: &BTreeSet<Subnet>, family: IpFamily) -> impl Iterator<Item = &Subnet> {
    let of_family = prefixes
        .iter()
        .filter(move |p| p.is_ipv6() == (family == V6));
    of_family.filter(|inner| {
        let inside = |outer: &&Subnet| outer != inner && outer.net().contains(&inner.net());
        !prefixes.iter().any(|outer| inside(&outer))
    })
}

fn names(name: &'static str, names: &BTreeSet<IfName>) -> Set {
    let elements = names
        .iter()
        .map(|name| (vec![Value::IfName(name.clone())], ()));
    set(name, vec![Type::IfName], Elements::Keys(elements.collect()))
}

fn actions(name: &'static str, key: Vec<Type>, actions: BTreeMap<Key, Action>) -> Set {
    set(name, key, Elements::Actions(actions))
}

fn keys(
    names: [&'static str; 2],
    family: IpFamily,
    key: Vec<Type>,
    keys: impl Iterator<Item = Key>,
) -> Set {
    let elements = keys.map(|key| (key, ())).collect();
    set(pick(names, family), key, Elements::Keys(elements))
}

fn targets(
    names: [&'static str; 2],
    family: IpFamily,
    key: Vec<Type>,
    targets: impl Iterator<Item = (Key, Target)>,
) -> Set {
    set(
        pick(names, family),
        key,
        Elements::Targets(family, targets.collect()),
    )
}

fn pick([v4, v6]: [&'static str; 2], family: IpFamily) -> &'static str {
    match family {
        V4 => v4,
        V6 => v6,
    }
}

fn set(name: &'static str, key: Vec<Type>, elements: Elements) -> Set {
    Set {
        name: name.into(),
        key,
        intervals: false,
        dynamic: None,
        timeout: None,
        elements,
    }
}

impl Set {
    fn of_prefixes(self) -> Self {
        Self {
            intervals: true,
            ..self
        }
    }
}
