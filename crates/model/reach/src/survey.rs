//! Asks the model of every pair.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use hakone_base::{ContainerId, ExposedPort, IfName, Protocol};
use hakone_network_policy::{Direction, PortRange};
use hakone_policy::{
    Bridge, Delivery, Endpoint, Flow, HostAccess, Origin, Packet, Route, Transport, Verdict,
};
use serde::{Deserialize, Serialize};

use crate::{
    Kind, Place, Ports, World,
    outside::{self, Part},
    ports::nameless,
    span::{Span, told_apart},
};

/// A machine far away: an address of those that stand for others in documents.
pub(crate) const FAR: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 99)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0x99)),
];

/// Who reaches whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Every place; reaches name them by number.
    pub places: Vec<Place>,
    /// Every pair that could speak at all, reached or not.
    pub reaches: Vec<Reach>,
}

/// What one place reaches of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// The number of the place that begins.
    pub from: usize,
    /// The number of the place that is asked.
    pub to: usize,
    /// By which protocol.
    pub family: Family,
    /// The ports reached by the place's own address.
    pub ports: Ports,
    /// The ports reached by the host's published ones.
    #[serde(default)]
    pub published: BTreeSet<ExposedPort>,
    /// The address by which it was asked for.
    pub address: IpAddr,
    /// The part of the outside that is meant, as a policy names it: `10.0.0.0/8`, `*.example.org`; without one, what no policy names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
}

/// A protocol of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// A place with the endpoints of the container that it is.
enum Spot<'a> {
    Container(Vec<(&'a Bridge, &'a Endpoint)>),
    Host,
    Outside,
}

/// Asks of every pair of places.
#[must_use]
pub fn survey(world: &World) -> Survey {
    let world = &*outside::with_names(world);
    let (places, spots): (Vec<_>, Vec<_>) = spots(world).into_iter().unzip();
    let mut reaches = Vec::new();
    for (from, source) in spots.iter().enumerate() {
        for (to, target) in spots.iter().enumerate().filter(|(to, _)| *to != from) {
            for family in [Family::Ipv4, Family::Ipv6] {
                reaches.extend(Asked { world, family }.reach((from, source), (to, target)));
            }
        }
    }
    Survey { places, reaches }
}

fn spots(world: &World) -> Vec<(Place, Spot<'_>)> {
    let mut containers: BTreeMap<&ContainerId, Vec<(&Bridge, &Endpoint)>> = BTreeMap::new();
    for bridge in &world.topology.bridges {
        for endpoint in &bridge.endpoints {
            let on = containers.entry(&endpoint.container).or_default();
            on.push((bridge, endpoint));
        }
    }
    let mut all: Vec<_> = containers
        .into_iter()
        .map(|(id, on)| container(world, id, on))
        .collect();
    all.sort_by(|(a, _), (b, _)| (&a.networks, &a.name).cmp(&(&b.networks, &b.name)));
    all.push((Place::of(Kind::Host, "host"), Spot::Host));
    all.push((Place::of(Kind::Outside, "outside"), Spot::Outside));
    all
}

fn container<'a>(
    world: &World,
    id: &ContainerId,
    on: Vec<(&'a Bridge, &'a Endpoint)>,
) -> (Place, Spot<'a>) {
    let name = world
        .residents
        .get(id)
        .map_or(id.short(), |resident| &resident.name);
    let network = |bridge: &Bridge| {
        let known = world.networks.get(&bridge.network);
        known
            .cloned()
            .unwrap_or_else(|| bridge.network.short().to_owned())
    };
    let mut networks: Vec<String> = on.iter().map(|(bridge, _)| network(bridge)).collect();
    networks.sort();
    let place = Place {
        id: id.to_string(),
        networks,
        ..Place::of(Kind::Container, name)
    };
    (place, Spot::Container(on))
}

/// A question about one family.
struct Asked<'a> {
    world: &'a World,
    family: Family,
}

impl Asked<'_> {
    fn reach(
        &self,
        (from, source): (usize, &Spot<'_>),
        (to, target): (usize, &Spot<'_>),
    ) -> Vec<Reach> {
        let ways = self.ways(source);
        let addresses = self.addresses(source, target);
        if ways.is_empty() {
            return Vec::new();
        }
        let spans = self.spans(source, target);
        let of = |ways: &[(Origin, IpAddr)], address, part| {
            let mut ports = Ports::default();
            for way in ways {
                ports.merge(&self.ask(way, address, &spans));
            }
            Reach {
                from,
                to,
                family: self.family,
                ports,
                published: self.published(ways, target),
                address,
                part,
            }
        };
        let whole = addresses.iter().map(|address| of(&ways, *address, None));
        let parts = self.parts(source, target).into_iter();
        let parts = parts.flat_map(|Part { name, address }| {
            let (ways, addresses) = match target {
                Spot::Outside => (ways.clone(), vec![address]),
                Spot::Container(_) | Spot::Host => {
                    let from_there = (Origin::Interface(self.world.uplink.clone()), address);
                    (vec![from_there], addresses.clone())
                }
            };
            let one = |address: &IpAddr| of(&ways, *address, Some(name.clone()));
            addresses.iter().map(one).collect::<Vec<_>>()
        });
        whole.chain(parts).collect()
    }

    /// The parts of the outside that the rules between two places may tell apart.
    fn parts(&self, source: &Spot<'_>, target: &Spot<'_>) -> Vec<Part> {
        match (source, target) {
            (Spot::Container(on), Spot::Outside) => {
                outside::parts(self.world, on, Direction::Egress, self.family)
            }
            (Spot::Outside, Spot::Container(on)) => {
                outside::parts(self.world, on, Direction::Ingress, self.family)
            }
            _ => Vec::new(),
        }
    }

    /// The interfaces by which a place's packets come, with the address that they bear.
    fn ways(&self, source: &Spot<'_>) -> Vec<(Origin, IpAddr)> {
        match source {
            Spot::Container(on) => on
                .iter()
                .filter_map(|(bridge, endpoint)| {
                    let own = self.first(&endpoint.addresses)?;
                    Some((Origin::Interface(bridge.name.clone()), own))
                })
                .collect(),
            // To its containers, a host without any other address speaks from a bridge's.
            Spot::Host => {
                let bridges = self.world.topology.bridges.iter();
                let mut gateways = bridges.filter_map(|bridge| self.first(&bridge.gateways));
                let own = self.first(&self.world.addresses);
                let own = own.or_else(|| gateways.next());
                own.map(|own| (Origin::Host, own)).into_iter().collect()
            }
            Spot::Outside => vec![(Origin::Interface(self.world.uplink.clone()), self.far())],
        }
    }

    /// The addresses by which a place is asked for; a container asks for its host by its own gateways and the host's address.
    fn addresses(&self, source: &Spot<'_>, target: &Spot<'_>) -> Vec<IpAddr> {
        match (source, target) {
            (_, Spot::Container(on)) => {
                let all = on.iter();
                all.filter_map(|(_, endpoint)| self.first(&endpoint.addresses))
                    .collect()
            }
            (Spot::Container(on), Spot::Host) => {
                let gateways = on
                    .iter()
                    .filter_map(|(bridge, _)| self.first(&bridge.gateways));
                let own = self.first(&self.world.addresses);
                let all: BTreeSet<IpAddr> = gateways.chain(own).collect();
                all.into_iter().collect()
            }
            (Spot::Container(_), Spot::Outside) => vec![self.far()],
            // What the host and others do among themselves is not ours to say.
            (Spot::Host | Spot::Outside, Spot::Host | Spot::Outside) => Vec::new(),
        }
    }

    /// The spans of ports that the rules between two places may tell apart.
    fn spans(&self, source: &Spot<'_>, target: &Spot<'_>) -> Vec<Span> {
        let mut named: BTreeSet<Span> = self.named(target).into_iter().map(Span::from).collect();
        named.extend(self.judged(source, Direction::Egress));
        named.extend(self.judged(target, Direction::Ingress));
        let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
        let spans = protocols.map(|protocol| told_apart(&named, protocol));
        spans.into_iter().flatten().collect()
    }

    /// Ports that policies about a place name.
    fn judged(&self, place: &Spot<'_>, direction: Direction) -> BTreeSet<Span> {
        let Spot::Container(on) = place else {
            return BTreeSet::new();
        };
        let policies = self.world.topology.policies.iter().filter(|policy| {
            on.iter()
                .any(|(_, endpoint)| policy.selects(&endpoint.identity))
        });
        let rules = policies.filter_map(|policy| policy.rules(direction));
        let ranges = rules.flatten().flat_map(|rule| rule.ports.ranges());
        let span = |range: &PortRange| Span::between(range.protocol, range.first, range.last);
        ranges.filter_map(span).collect()
    }

    /// Ports that somebody named: exposed, published, linked, opened.
    fn named(&self, target: &Spot<'_>) -> BTreeSet<ExposedPort> {
        let mut named = BTreeSet::new();
        let bridges = &self.world.topology.bridges;
        match target {
            Spot::Container(on) => {
                for (bridge, endpoint) in on {
                    let resident = self.world.residents.get(&endpoint.container);
                    named.extend(resident.iter().flat_map(|resident| &resident.exposed));
                    named.extend(endpoint.published.iter().map(|port| port.target));
                    let links = bridge.links.iter();
                    let to_us = links.filter(|link| endpoint.addresses.contains(&link.server));
                    named.extend(to_us.map(|link| link.port));
                }
            }
            Spot::Host => {
                let ports = bridges
                    .iter()
                    .filter_map(|bridge| match &bridge.host_access {
                        HostAccess::Ports(ports) => Some(ports),
                        HostAccess::All => None,
                    });
                named.extend(ports.flatten());
            }
            Spot::Outside => {}
        }
        named
    }

    fn ask(&self, way: &(Origin, IpAddr), address: IpAddr, spans: &[Span]) -> Ports {
        let rest = |protocol| {
            nameless(spans, protocol).is_some_and(|port| self.arrives(way, address, port))
        };
        let (open, closed) = spans
            .iter()
            .partition(|span| self.arrives(way, address, span.example()));
        Ports {
            tcp: rest(Protocol::Tcp),
            udp: rest(Protocol::Udp),
            open,
            closed,
        }
    }

    fn arrives(
        &self,
        (origin, own): &(Origin, IpAddr),
        address: IpAddr,
        port: ExposedPort,
    ) -> bool {
        let delivered = self.deliver(origin, *own, address, port);
        delivered.is_some_and(|delivery| delivery.destination == address)
    }

    /// The container's ports that the host's published ones lead to.
    fn published(&self, ways: &[(Origin, IpAddr)], target: &Spot<'_>) -> BTreeSet<ExposedPort> {
        let Spot::Container(on) = target else {
            return BTreeSet::new();
        };
        let own = |address: IpAddr| {
            on.iter()
                .any(|(_, endpoint)| endpoint.addresses.contains(&address))
        };
        let published = on.iter().flat_map(|(_, endpoint)| &endpoint.published);
        let mut reached = BTreeSet::new();
        for port in published {
            let asked = ExposedPort {
                port: port.host_port,
                protocol: port.target.protocol,
            };
            let hosts = match port.host_address.is_unspecified() {
                true => self.first(&self.world.addresses),
                false => Some(port.host_address).filter(|address| self.is_ours(*address)),
            };
            let led = |(origin, from): &(Origin, IpAddr), host| {
                let delivery = self.deliver(origin, *from, host, asked);
                delivery.is_some_and(|delivery| own(delivery.destination))
            };
            if hosts.is_some_and(|host| ways.iter().any(|way| led(way, host))) {
                reached.insert(port.target);
            }
        }
        reached
    }

    fn deliver(
        &self,
        origin: &Origin,
        source: IpAddr,
        address: IpAddr,
        port: ExposedPort,
    ) -> Option<Delivery> {
        let packet = Packet {
            origin: origin.clone(),
            source,
            destination: address,
            transport: Transport::to_port(port.protocol.number(), port.port.get()),
            flow: Flow::New,
            crowded: false,
            scanning: false,
        };
        match self.world.topology.verdict(&self.world.host, &packet) {
            Verdict::Delivered(delivery) => Some(delivery).filter(|to| self.has_way(origin, to)),
            Verdict::Dropped => None,
        }
    }

    /// A packet that the host sends back out by its uplink reached nobody here.
    fn has_way(&self, origin: &Origin, delivery: &Delivery) -> bool {
        let back = |name: &IfName| matches!(origin, Origin::Interface(from) if from == name);
        match &delivery.to {
            Route::Local => true,
            Route::Through(name) => !(back(name) && *name == self.world.uplink),
        }
    }

    fn first(&self, addresses: &[IpAddr]) -> Option<IpAddr> {
        let ours = |address: &&IpAddr| self.is_ours(**address) && !address.is_loopback();
        let global =
            |address: &&IpAddr| !matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        addresses.iter().filter(ours).find(global).copied()
    }

    const fn is_ours(&self, address: IpAddr) -> bool {
        address.is_ipv6() == matches!(self.family, Family::Ipv6)
    }

    const fn far(&self) -> IpAddr {
        let [v4, v6] = FAR;
        match self.family {
            Family::Ipv4 => v4,
            Family::Ipv6 => v6,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Resident;
    use hakone_base::{EndpointId, MacAddr, NetworkId, Port, PublishedPort};
    use hakone_network_policy::{
        Block, Mode, Peer, Peers, Policy, PolicyKey, Ports as PolicyPorts, Rule, Subject,
    };
    use hakone_policy::{Access, Host, Icc, Metadata, Multicast, Options, Topology};

    fn bridge(number: u8, name: &str) -> Bridge {
        Bridge {
            network: NetworkId::from_bytes([number; 32]),
            mac: hakone_base::MacAddr::new([2, 0, 0, 0, 0, 1]),
            name: name.parse().unwrap(),
            subnets: vec![format!("172.{number}.0.0/16").parse().unwrap()],
            gateways: vec![IpAddr::from([172, number, 0, 1])],
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

    fn endpoint(bridge: u8, number: u8) -> Endpoint {
        Endpoint {
            id: EndpointId::from_bytes([number; 32]),
            container: ContainerId::from_bytes([number; 32]),
            identity: hakone_network_policy::Identity::of(hakone_network_policy::Facts {
                container: &ContainerId::from_bytes([number; 32]),
                name: "member",
                labels: &hakone_network_policy::Labels::new(),
                network: "network",
                network_labels: &hakone_network_policy::Labels::new(),
            }),
            port: format!("hk{number}").parse().unwrap(),
            mac: MacAddr::new([2, 0x42, 0, 0, 0, number]),
            addresses: vec![IpAddr::from([172, bridge, 0, number])],
            published: Vec::new(),
        }
    }

    /// `red` holds `web` (which publishes 80) and `db`; `blue`, internal, holds `vault`.
    pub(crate) fn world() -> World {
        let mut red = bridge(18, "br-red");
        red.endpoints = vec![endpoint(18, 2), endpoint(18, 3)];
        red.endpoints[0].published = vec![PublishedPort {
            host_address: "0.0.0.0".parse().unwrap(),
            host_port: Port::new(8080).unwrap(),
            target: "80/tcp".parse().unwrap(),
        }];
        let mut blue = bridge(19, "br-blue");
        blue.internal = true;
        blue.endpoints = vec![endpoint(19, 4)];
        let topology = Topology {
            bridges: vec![red, blue],
            options: Options::default(),
            resolvers: Vec::new(),
            policies: Vec::new(),
            resolved: Vec::new(),
        };
        let addresses = vec!["192.0.2.1".parse().unwrap()];
        let uplink: IfName = "eth0".parse().unwrap();
        let named = [
            (2, "web", "80/tcp"),
            (3, "db", "5432/tcp"),
            (4, "vault", "8200/tcp"),
        ];
        let residents = named.map(|(number, name, port)| {
            let resident = Resident {
                name: name.into(),
                exposed: vec![port.parse().unwrap()],
            };
            (ContainerId::from_bytes([number; 32]), resident)
        });
        World {
            host: Host::new(&topology, &addresses, uplink.clone()),
            topology,
            addresses,
            uplink,
            residents: residents.into(),
            networks: [(18, "red"), (19, "blue")]
                .map(|(number, name)| (NetworkId::from_bytes([number; 32]), name.to_owned()))
                .into(),
        }
    }

    pub(crate) fn between(survey: &Survey, from: &str, to: &str) -> String {
        let number = |name| {
            survey
                .places
                .iter()
                .position(|place| place.name == name)
                .unwrap()
        };
        let (from, to) = (number(from), number(to));
        let found = survey
            .reaches
            .iter()
            .filter(|reach| (reach.from, reach.to) == (from, to));
        let mut ports = Ports::default();
        let mut published = BTreeSet::new();
        for reach in found.filter(|reach| reach.part.is_none()) {
            ports.merge(&reach.ports);
            published.extend(reach.published.iter().map(ToString::to_string));
        }
        format!("{ports} {published:?}")
    }

    #[test]
    fn members_reach_each_other_and_nobody_reaches_another_network() {
        let survey = survey(&world());
        assert_eq!(between(&survey, "db", "web"), r#"all {"80/tcp"}"#);
        assert_eq!(between(&survey, "web", "vault"), "none {}");
        assert_eq!(between(&survey, "vault", "web"), "none {}");
    }

    #[test]
    fn the_outside_reaches_what_is_published_and_an_internal_network_nothing() {
        let survey = survey(&world());
        assert_eq!(between(&survey, "outside", "web"), r#"none {"80/tcp"}"#);
        assert_eq!(between(&survey, "outside", "db"), "none {}");
        assert_eq!(between(&survey, "db", "outside"), "all {}");
        assert_eq!(between(&survey, "vault", "outside"), "none {}");
        assert_eq!(between(&survey, "vault", "host"), "none {}");
        assert_eq!(between(&survey, "web", "host"), "all {}");
        assert_eq!(between(&survey, "host", "vault"), "all {}");
    }

    #[test]
    fn a_host_without_an_address_of_its_own_reaches_its_containers() {
        let mut world = world();
        world.addresses.clear();
        assert_eq!(between(&survey(&world), "host", "web"), "all {}");
    }

    fn range(first: u16, last: u16) -> PortRange {
        PortRange {
            protocol: Protocol::Tcp,
            first,
            last,
        }
    }

    fn rule(peers: Peers, range: PortRange) -> Vec<Rule> {
        let ports = PolicyPorts::These(vec![range]);
        vec![Rule { peers, ports }]
    }

    fn about(number: u8, ingress: Option<Vec<Rule>>, egress: Option<Vec<Rule>>) -> Policy {
        Policy {
            key: PolicyKey {
                namespace: "red".into(),
                name: format!("p{number}"),
            },
            mode: Mode::Enforce,
            subject: Subject::Container(ContainerId::from_bytes([number; 32])),
            ingress,
            egress,
        }
    }

    #[test]
    fn what_policies_open_shows_though_nobody_exposes_it() {
        let mut world = world();
        world.topology.policies = vec![
            about(2, Some(rule(Peers::All, range(9000, 9001))), None),
            about(3, None, Some(rule(Peers::All, range(1024, 65_535)))),
        ];
        let survey = survey(&world);
        assert_eq!(between(&survey, "db", "web"), "9000-9001/tcp {}");
        assert_eq!(between(&survey, "host", "web"), r#"all {"80/tcp"}"#);
        assert_eq!(between(&survey, "web", "db"), "all {}");
        assert_eq!(between(&survey, "db", "outside"), "tcp but 1-1023/tcp {}");
    }

    #[test]
    fn parts_of_the_outside_that_policies_name_are_asked_for_each() {
        let mut world = world();
        let block = |cidr: &str, except: &[&str]| {
            Peer::Block(Block {
                cidr: cidr.parse().unwrap(),
                except: except.iter().map(|text| text.parse().unwrap()).collect(),
            })
        };
        let name = Peer::Name("*.example.org".parse().unwrap());
        let named = rule(Peers::These(vec![name]), range(443, 443));
        let inside = block("10.0.0.0/8", &["10.1.0.0/16"]);
        let inside = rule(Peers::These(vec![inside]), range(22, 22));
        let near = Peers::These(vec![block("192.168.0.0/16", &[])]);
        world.topology.policies = vec![
            about(3, None, Some([named, inside].concat())),
            about(2, Some(rule(near, range(80, 80))), None),
        ];
        let list = crate::list(&survey(&world)).join("\n");
        let egress = "db\toutside\t443/tcp at *.example.org; 22/tcp at 10.0.0.0/8";
        assert!(list.contains(egress), "{list}");
        let ingress = "outside\tweb\t80/tcp published at 192.168.0.0/16";
        assert!(list.contains(ingress), "{list}");
    }

    #[test]
    fn a_link_opens_one_port_where_members_may_not_talk() {
        let mut world = world();
        let red = &mut world.topology.bridges[0];
        red.icc = Icc::Denied;
        red.links = vec![hakone_policy::Link {
            client: "172.18.0.2".parse().unwrap(),
            server: "172.18.0.3".parse().unwrap(),
            port: "5432/tcp".parse().unwrap(),
        }];
        let survey = survey(&world);
        assert_eq!(between(&survey, "web", "db"), "5432/tcp {}");
        assert!(between(&survey, "db", "web").starts_with("none"));
    }
}
