//! Compiles the topology into the tables of iptables.
//!
//! iptables has no maps, so each network, address and port is a rule, and a packet's cost grows with them: the price of seeing
//! everything in one listing. The road is that of [`hakone_policy::compile`]: guard in `raw`, quotas in `mangle`, translation in
//! `nat`, judgement in `filter`. In FORWARD the administrator's chain comes first and Docker's way second: members of one
//! network, isolation between networks, then what enters (through `DOCKER`, where administrators write too) and what leaves.

use std::{collections::BTreeSet, net::IpAddr};

use hakone_base::{IfName, PublishedPort, Subnet};
use hakone_policy::{
    Bridge, Contents, HostAccess, Icc, Ipv6Rules, Link, Metadata, PORT_STEM, TUNNELS, Telling,
    Topology, ruleset::IpFamily,
};
use ipnet::IpNet;

use crate::{ADMINISTRATORS, Chain, Match, Place, Rule, States, Table, Tables, Target, tell};

use Match::{Destination, Input, NotOutput, Output, Protocol, Source, State, ToPort};
use Target::{Accept, Drop, Goto, Jump, Masquerade, Return};

pub(crate) const DOCKER: &str = "DOCKER";
pub(crate) const FORWARD: &str = "DOCKER-FORWARD";
pub(crate) const STAGE_1: &str = "DOCKER-ISOLATION-STAGE-1";
pub(crate) const STAGE_2: &str = "DOCKER-ISOLATION-STAGE-2";
pub(crate) const GUARD: &str = "HAKONE-GUARD";
pub(crate) const HONEST: &str = "HAKONE-HONEST";
pub(crate) const QUOTA: &str = "HAKONE-QUOTA";
pub(crate) const INPUT: &str = "HAKONE-INPUT";
pub(crate) const TO_HOST: &str = "HAKONE-TO-HOST";
pub(crate) const METADATA: &str = "HAKONE-METADATA";
pub(crate) const MEMBERS: &str = "HAKONE-MEMBERS";
pub(crate) const HARDENED: &str = "HAKONE-HARDENED";

/// Protocols that the host speaks with containers: ICMP, IGMP, TCP, UDP, ICMPv6, SCTP.
const HOST_PROTOCOLS: [u8; 6] = [1, 2, 6, 17, 58, 132];
const UDP: u8 = 17;
const TCP: u8 = 6;

/// Derives the rules of the whole host from what is wanted; the same topology gives the same value.
#[must_use]
pub fn compile(topology: &Topology) -> Tables {
    let contents = Contents::of(topology);
    let tables = |ipv6| Compiler::new(topology, &contents, ipv6).tables();
    let tables = Tables {
        v4: tables(false),
        v6: match topology.options.ipv6 {
            Ipv6Rules::Loaded => tables(true),
            Ipv6Rules::None => Vec::new(),
        },
    };
    match topology.options.telling {
        Telling::Silent => tables,
        Telling::Told => tell::told(tables),
    }
}

/// One family's view of what is wanted.
struct Compiler<'a> {
    topology: &'a Topology,
    contents: &'a Contents,
    ipv6: bool,
    /// In the order of their names.
    bridges: Vec<&'a Bridge>,
}

impl<'a> Compiler<'a> {
    fn new(topology: &'a Topology, contents: &'a Contents, ipv6: bool) -> Self {
        let mut bridges: Vec<&Bridge> = topology.bridges.iter().collect();
        bridges.sort_by_key(|bridge| &bridge.name);
        Self {
            topology,
            contents,
            ipv6,
            bridges,
        }
    }

    fn tables(&self) -> Vec<Table> {
        let first = |name, to: &[Target]| {
            let jump = |to: &Target| rule([], to.clone());
            chain(name, Place::First, to.iter().map(jump).collect())
        };
        let own = |name, rules| chain(name, Place::Alone, rules);
        let last = |name, rules| chain(name, Place::Last, rules);
        let raw = vec![
            first("PREROUTING", &[Jump(GUARD)]),
            own(GUARD, self.guard()),
            own(HONEST, self.honest()),
        ];
        let mangle = vec![
            first("PREROUTING", &[Jump(QUOTA)]),
            own(QUOTA, self.quotas()),
        ];
        let nat = vec![
            last("PREROUTING", vec![rule([Match::ToHost], Jump(DOCKER))]),
            last("OUTPUT", vec![self.publish_to_host()]),
            last("POSTROUTING", self.masquerade()),
            last(DOCKER, self.publish()),
        ];
        let filter = vec![
            first("INPUT", &[Jump(INPUT)]),
            first("FORWARD", &[Jump(FORWARD)]),
            last(ADMINISTRATORS, Vec::new()),
            last(FORWARD, self.forward()),
            last(STAGE_1, self.isolation()),
            last(STAGE_2, self.isolation_of_destinations()),
            last(DOCKER, self.entering()),
            own(INPUT, self.input()),
            own(TO_HOST, self.to_host()),
            own(METADATA, self.metadata()),
            own(MEMBERS, self.members()),
            own(HARDENED, self.hardened()),
        ];
        let table = |(name, chains)| Table { name, chains };
        let all = [
            ("raw", raw),
            ("mangle", mangle),
            ("filter", filter),
            ("nat", nat),
        ];
        all.map(table).into()
    }

    /// What no packet from outside the host may claim or ask for; before connection tracking, so that it costs no entry there.
    fn guard(&self) -> Vec<Rule> {
        let (lo, stem) = (constant("lo"), constant(PORT_STEM));
        let loopback = || self.loopback();
        let mut rules = vec![
            rule([Input(lo)], Return),
            rule([Match::InputStem(stem)], Drop),
            rule([Destination(loopback())], Drop),
            rule([Source(loopback())], Drop),
        ];
        for bridge in &self.bridges {
            let own = self.sources(bridge);
            let honest = |prefix| rule([from(bridge), Source(prefix)], Goto(HONEST));
            rules.extend(own.map(honest));
            rules.push(rule([from(bridge)], Drop));
        }
        let stolen = self.contents.subnets.iter().copied();
        let stolen = stolen.filter(|prefix| prefix.is_ipv6() == self.ipv6);
        rules.extend(stolen.map(|prefix| rule([Source(prefix)], Drop)));
        rules.push(rule([], Jump(HONEST)));
        rules
    }

    /// A gateway is there for its own network and the host.
    fn honest(&self) -> Vec<Rule> {
        let gateways = || {
            self.contents
                .gateways
                .iter()
                .filter(|(_, own)| self.is_like(own))
        };
        let claims = gateways().map(|(_, own)| rule([Source(only(*own))], Drop));
        let own = gateways()
            .map(|(bridge, own)| rule([Destination(only(*own)), Input(bridge.clone())], Return));
        let foreign = gateways().map(|(_, own)| rule([Destination(only(*own))], Drop));
        claims.chain(own).chain(foreign).collect()
    }

    /// One container must not fill the table of flows that all share.
    fn quotas(&self) -> Vec<Rule> {
        let crowded = || {
            let bits = if self.ipv6 { 128 } else { 32 };
            Match::Crowded(self.topology.options.flows.0, bits)
        };
        let quota = |bridge: &Bridge| rule([from(bridge), State(States::New), crowded()], Drop);
        self.each(quota)
    }

    /// Loopback is served by the daemon's listeners.
    fn publish_to_host(&self) -> Rule {
        let elsewhere = Match::NotDestination(self.loopback());
        rule([elsewhere, Match::ToHost], Jump(DOCKER))
    }

    /// A port bound to one address goes before one bound to all.
    fn publish(&self) -> Vec<Rule> {
        let listened = [self.loopback()].into_iter().chain(self.link_local());
        let listened = listened.map(|prefix| rule([Destination(prefix)], Return));
        let bound = self.contents.bound.iter();
        let bound = bound.filter(|((host, ..), _)| self.is_like(host));
        let bound = bound.map(|((host, protocol, port), target)| {
            let to = [Destination(only(*host)), ToPort(*protocol, *port)];
            rule(to, Target::Lead((*target).into()))
        });
        let unbound = self.contents.unbound.iter();
        let unbound = unbound.filter(|((of, ..), _)| *of == self.family());
        let unbound = unbound.map(|((_, protocol, port), target)| {
            rule([ToPort(*protocol, *port)], Target::Lead((*target).into()))
        });
        listened.chain(bound).chain(unbound).collect()
    }

    /// By source, for iptables knows no input here; nobody else uses these sources, says the guard, but the host its own. What
    /// was published is translated for members too: the answers must come back through the host.
    fn masquerade(&self) -> Vec<Rule> {
        let mut rules = Vec::new();
        for bridge in &self.bridges {
            let masqueraded = self.is_in(&self.contents.masqueraded, bridge);
            let routable = self.sources(bridge).filter(|prefix| is_routable(*prefix));
            for source in routable {
                rules.push(rule(
                    [Source(source), to(bridge), Match::Published(true)],
                    Masquerade,
                ));
                let mut out = vec![Source(source), past(bridge), Match::FromElsewhere];
                out.extend((!masqueraded).then_some(Match::Published(true)));
                rules.push(rule(out, Masquerade));
            }
        }
        rules
    }

    /// Docker's order: members of one network, other networks, what enters, what leaves.
    fn forward(&self) -> Vec<Rule> {
        let mut rules = Vec::new();
        for bridge in &self.bridges {
            rules.extend(among_members(bridge));
        }
        rules.push(rule([], Jump(STAGE_1)));
        for bridge in self.open_bridges() {
            rules.push(rule([from(bridge), State(States::Invalid)], Drop));
            rules.push(rule(
                [Destination(self.metadata_prefix()), from(bridge)],
                Jump(METADATA),
            ));
            if self.is_in(&self.contents.masqueraded, bridge) {
                rules.extend(TUNNELS.map(|port| to_overlay(bridge, port)));
            }
            if is_hardened(bridge) {
                rules.push(rule([from(bridge)], Jump(HARDENED)));
            }
        }
        for bridge in self.open_bridges() {
            rules.extend(self.inwards(bridge));
        }
        rules.extend(
            self.open_bridges()
                .map(|bridge| rule([from(bridge)], Accept)),
        );
        rules
    }

    /// Into a network comes what was published and what members asked for; `DOCKER` holds the published ports, and what
    /// administrators say about them.
    fn inwards(&self, bridge: &Bridge) -> Vec<Rule> {
        let mut rules = vec![
            rule([to(bridge), State(States::Known)], Accept),
            rule([to(bridge)], Jump(DOCKER)),
            rule([to(bridge), Match::Published(true)], Accept),
        ];
        if self.is_in(&self.contents.unprotected, bridge) {
            rules.push(rule([to(bridge)], Accept));
        }
        if self.is_in(&self.contents.routed, bridge) {
            let icmp = if self.ipv6 { 58 } else { 1 };
            rules.push(rule([to(bridge), Protocol(icmp)], Accept));
        }
        rules.push(rule([to(bridge)], Drop));
        rules
    }

    /// What comes from a network and does not stay there is looked at twice; nothing passes an internal one's border.
    fn isolation(&self) -> Vec<Rule> {
        let border = |bridge: &&Bridge| match bridge.internal {
            false => vec![rule([from(bridge), past(bridge)], Jump(STAGE_2))],
            true => vec![
                rule([from(bridge), past(bridge)], Drop),
                rule([Match::NotInput(bridge.name.clone()), to(bridge)], Drop),
            ],
        };
        self.bridges.iter().flat_map(border).collect()
    }

    /// From one network into another leads a published port alone, and into a hardened one nothing.
    fn isolation_of_destinations(&self) -> Vec<Rule> {
        let into = |bridge: &Bridge| match is_hardened(bridge) {
            true => rule([to(bridge)], Drop),
            false => rule([to(bridge), Match::Published(false)], Drop),
        };
        self.each(into)
    }

    /// Links and published ports, as Docker shows them. The way back of a link is for answers.
    fn entering(&self) -> Vec<Rule> {
        let mut rules = Vec::new();
        for bridge in &self.bridges {
            let links: BTreeSet<&Link> = bridge.links.iter().collect();
            let links = links.into_iter().filter(|link| self.is_like(&link.server));
            let quiet = bridge.icc == Icc::Denied;
            rules.extend(links.filter(|_| quiet).flat_map(|link| pair(bridge, link)));
        }
        for bridge in self.open_bridges() {
            rules.extend(self.published(bridge));
        }
        let direct = self
            .contents
            .direct
            .iter()
            .filter(|(_, to, ..)| self.is_like(to));
        rules.extend(direct.map(|(bridge, to, protocol, port)| {
            let matches = [
                Destination(only(*to)),
                Match::NotInput(bridge.clone()),
                Output(bridge.clone()),
                ToPort(*protocol, *port),
            ];
            rule(matches, Accept)
        }));
        let trusted = self.contents.trusted.iter();
        let trusted = trusted.filter(|(_, _, to, ..)| self.is_like(to));
        rules.extend(trusted.map(|(by, bridge, to, protocol, port)| {
            let ends = [
                Destination(only(*to)),
                Input(by.clone()),
                Output(bridge.clone()),
            ];
            rule(ends.into_iter().chain([ToPort(*protocol, *port)]), Accept)
        }));
        rules
    }

    fn published(&self, bridge: &Bridge) -> BTreeSet<Rule> {
        let ports = bridge.endpoints.iter().flat_map(|endpoint| {
            let ports = endpoint.published.iter();
            ports.filter_map(|port| Some((port, endpoint.address_like(port.host_address)?)))
        });
        let translated =
            ports.filter(|(port, to)| self.is_like(to) && !port.host_address.is_loopback());
        let accept = |(port, address): (&PublishedPort, IpAddr)| {
            let target = ToPort(port.target.protocol.number(), port.target.port.get());
            let ends = [
                Destination(only(address)),
                Match::NotInput(bridge.name.clone()),
            ];
            let flow = [to(bridge), target, Match::Published(true)];
            rule(ends.into_iter().chain(flow), Accept)
        };
        translated.map(accept).collect()
    }

    /// What members reach of the host.
    fn input(&self) -> Vec<Rule> {
        let mut rules = vec![rule([State(States::Known)], Return)];
        for bridge in &self.bridges {
            if !bridge.internal && bridge.host_access == HostAccess::All {
                rules.push(rule([from(bridge)], Goto(TO_HOST)));
                continue;
            }
            rules.extend(self.discovery(bridge));
            rules.extend(self.opened(bridge));
            rules.push(rule([from(bridge)], Drop));
        }
        rules
    }

    /// What any network needs of its gateway: ping and neighbour discovery.
    fn discovery(&self, bridge: &Bridge) -> Vec<Rule> {
        let ping = if self.ipv6 { 58 } else { 1 };
        let on_link = ["fe80::/10", "ff02::/16"].into_iter().filter(|_| self.ipv6);
        let gateways = self
            .gateways(bridge)
            .chain(on_link.filter_map(|text| text.parse().ok()));
        let answer = |prefix| rule([Destination(prefix), from(bridge), Protocol(ping)], Return);
        gateways.map(answer).collect()
    }

    /// Of its own gateway a hardened network reaches the ports that were opened.
    fn opened(&self, bridge: &Bridge) -> Vec<Rule> {
        let HostAccess::Ports(ports) = &bridge.host_access else {
            return Vec::new();
        };
        let ports: BTreeSet<_> = ports.iter().filter(|_| !bridge.internal).collect();
        let opened = |gateway| {
            ports.iter().map(move |port| {
                let port = ToPort(port.protocol.number(), port.port.get());
                rule([Destination(gateway), from(bridge), port], Return)
            })
        };
        self.gateways(bridge).flat_map(opened).collect()
    }

    /// Docker's way: the host's services are reached, but by no tunnel, and no overlay network is written into.
    fn to_host(&self) -> Vec<Rule> {
        let mut rules = vec![rule([Destination(self.metadata_prefix())], Jump(METADATA))];
        rules.extend(TUNNELS.map(|port| rule([ToPort(UDP, port)], Drop)));
        rules.extend(HOST_PROTOCOLS.map(|number| rule([Protocol(number)], Return)));
        rules.push(rule([], Drop));
        rules
    }

    /// A cloud's resolver may answer, its secrets stay unread.
    fn metadata(&self) -> Vec<Rule> {
        let open = self
            .bridges
            .iter()
            .filter(|one| one.metadata == Metadata::Allowed);
        let mut rules: Vec<Rule> = open.map(|bridge| rule([from(bridge)], Return)).collect();
        let resolvers = self
            .contents
            .resolvers
            .iter()
            .filter(|own| self.is_like(own));
        rules.extend(resolvers.flat_map(|resolver| {
            let answer = |over| rule([Destination(only(*resolver)), ToPort(over, 53)], Return);
            [TCP, UDP].map(answer)
        }));
        rules.push(rule([], Drop));
        rules
    }

    /// To whom is there: a question about an address that nobody has would take a place in the host's neighbour table.
    fn members(&self) -> Vec<Rule> {
        let there = self
            .contents
            .receivers
            .iter()
            .filter(|(_, own)| self.is_like(own));
        let there = there
            .map(|(bridge, own)| rule([Destination(only(*own)), Output(bridge.clone())], Accept));
        let subnets = self.contents.subnets.iter().copied();
        let subnets = subnets.filter(|prefix| prefix.is_ipv6() == self.ipv6);
        let nobody = subnets.map(|prefix| rule([Destination(prefix)], Drop));
        there.chain(nobody).chain([rule([], Accept)]).collect()
    }

    /// A hardened network reaches no other.
    fn hardened(&self) -> Vec<Rule> {
        self.each(|bridge| rule([to(bridge)], Drop))
    }

    fn each(&self, one: impl Fn(&Bridge) -> Rule) -> Vec<Rule> {
        self.bridges.iter().map(|bridge| one(bridge)).collect()
    }

    /// The bridges across whose borders packets pass.
    fn open_bridges(&self) -> impl Iterator<Item = &'a Bridge> + '_ {
        self.bridges
            .iter()
            .copied()
            .filter(|bridge| !bridge.internal)
    }

    /// The prefixes that members may send from, each once.
    fn sources(&self, bridge: &Bridge) -> impl Iterator<Item = Subnet> {
        let all = self.contents.sources.get(&bridge.name);
        let all = all.into_iter().flatten();
        let of_family = all
            .clone()
            .copied()
            .filter(|prefix| prefix.is_ipv6() == self.ipv6);
        of_family.filter(move |inner| {
            let inside = |outer: &Subnet| outer != inner && outer.net().contains(&inner.net());
            !all.clone().any(inside)
        })
    }

    fn gateways(&self, bridge: &Bridge) -> impl Iterator<Item = Subnet> {
        let name = bridge.name.clone();
        let gateways = self.contents.gateways.iter();
        let own = gateways.filter(move |(of, own)| *of == name && self.is_like(own));
        own.map(|(_, own)| only(*own))
    }

    /// Reports whether a set of the family's bridges holds one.
    fn is_in(&self, set: &BTreeSet<(IpFamily, IfName)>, bridge: &Bridge) -> bool {
        set.contains(&(self.family(), bridge.name.clone()))
    }

    const fn family(&self) -> IpFamily {
        match self.ipv6 {
            false => IpFamily::V4,
            true => IpFamily::V6,
        }
    }

    const fn is_like(&self, address: &IpAddr) -> bool {
        address.is_ipv6() == self.ipv6
    }

    fn loopback(&self) -> Subnet {
        prefix(if self.ipv6 { "::1/128" } else { "127.0.0.0/8" })
    }

    fn link_local(&self) -> Option<Subnet> {
        self.ipv6.then(|| prefix("fe80::/10"))
    }

    fn metadata_prefix(&self) -> Subnet {
        prefix(if self.ipv6 {
            "fd00:ec2::254/128"
        } else {
            "169.254.0.0/16"
        })
    }
}

/// Members of one network: all, or those that a link joins.
fn among_members(bridge: &Bridge) -> Vec<Rule> {
    let inside = || [from(bridge), to(bridge)];
    match bridge.icc {
        Icc::Allowed => vec![rule(inside(), Goto(MEMBERS))],
        Icc::Denied => vec![
            rule(inside().into_iter().chain([State(States::Known)]), Accept),
            rule(inside(), Jump(DOCKER)),
            rule(inside(), Drop),
        ],
    }
}

/// A link's two rules, as Docker has them.
fn pair(bridge: &Bridge, link: &Link) -> [Rule; 2] {
    let (protocol, port) = (link.port.protocol.number(), link.port.port.get());
    let (client, server) = (only(link.client), only(link.server));
    let inside = || [from(bridge), to(bridge)];
    let asks = [Source(client), Destination(server), ToPort(protocol, port)];
    let answers = [
        Source(server),
        Destination(client),
        Match::FromPort(protocol, port),
        State(States::Known),
    ];
    [
        rule(inside().into_iter().chain(asks), Accept),
        rule(inside().into_iter().chain(answers), Accept),
    ]
}

/// Another host of an overlay knows its peers by their address, and masquerading gives a container this host's.
fn to_overlay(bridge: &Bridge, port: u16) -> Rule {
    let begins = State(States::New);
    rule([from(bridge), ToPort(UDP, port), begins], Drop)
}

fn is_hardened(bridge: &Bridge) -> bool {
    !bridge.internal && matches!(bridge.host_access, HostAccess::Ports(_))
}

/// What is valid on one link alone leaves by no other, so nothing translates it.
fn is_routable(prefix: Subnet) -> bool {
    match prefix.address() {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => !address.is_unicast_link_local() && !address.is_unspecified(),
    }
}

fn from(bridge: &Bridge) -> Match {
    Input(bridge.name.clone())
}

fn to(bridge: &Bridge) -> Match {
    Output(bridge.name.clone())
}

fn past(bridge: &Bridge) -> Match {
    NotOutput(bridge.name.clone())
}

fn only(address: IpAddr) -> Subnet {
    Subnet::new(IpNet::from(address))
}

fn chain(name: &'static str, place: Place, rules: Vec<Rule>) -> Chain {
    Chain { name, place, rules }
}

fn rule(matches: impl IntoIterator<Item = Match>, target: Target) -> Rule {
    Rule {
        matches: matches.into_iter().collect(),
        target,
    }
}

#[expect(
    clippy::expect_used,
    reason = "constants of this file; a test compiles them all"
)]
fn prefix(text: &'static str) -> Subnet {
    text.parse().expect("a constant prefix")
}

#[expect(
    clippy::expect_used,
    reason = "constants of this file; a test compiles them all"
)]
fn constant(name: &'static str) -> IfName {
    name.parse().expect("a constant interface name")
}
