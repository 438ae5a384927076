//! Compiles the table of family `bridge`: what a container may send at all, whatever it claims and whomever it means.
//!
//! Before a frame enters its bridge, its port says whose it must be: the Ethernet address, the sender of ARP, the source of
//! IPv4 and IPv6, the target of an advertisement are the endpoint's own, and nothing but ARP, IPv4 and IPv6 passes. Chains
//! are constants, a packet costs two lookups with one container or a thousand, and what a chain does not allow it drops.
//! `intent/frame.rs` says the same as promises.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
};

use hakone_base::IfName;

use crate::{
    compile::{TABLE, base, chain, dropping, name, rule, within},
    ruleset::{
        Action, Chain, ChainKind, Elements, Expression, Family, Field, Hook, IpFamily, Key, Rule,
        Set, Table, Type, Value,
    },
    topology::{Bridge, Endpoint, Multicast, Topology},
};

use IpFamily::{V4, V6};

/// How the names of our ports begin. One that no network knows is one whose container is gone, and is closed.
pub const PORT_STEM: &str = "hk";

/// Before `br_netfilter` (0), which would take the frame for a routed packet.
const EARLY: i32 = -300;
/// After what a port may send at all, and still before `br_netfilter`.
const LATER: i32 = EARLY + 1;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
pub(crate) const IGMP: u8 = 2;
const ICMP6: u8 = 58;
/// IPv6 headers that may hide what follows them: hop by hop, routing, fragment, options, mobility.
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
/// ICMPv6 types: neighbour solicitation and advertisement.
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// ICMPv6 types that any host may send: echo.
const HARMLESS: [u8; 2] = [128, 129];
/// ICMPv6 types of errors, which a host may send of packets that were meant for it.
const ERRORS6: [u8; 4] = [1, 2, 3, 4];
/// The same of ICMP: unreachable, slow down, too old, not understood.
const ERRORS: [u8; 4] = [3, 4, 11, 12];
/// ICMPv6 types that a fragment must not carry: listener queries and all of neighbour discovery (RFC 6980), and errors, which are
/// never as long (RFC 4443).
const NEVER_TORN: [u8; 10] = [1, 2, 3, 4, 130, 133, 134, 135, 136, 137];
/// ICMPv6 types of listener reports.
const REPORTS: [u8; 3] = [131, 132, 143];

/// Derives the table.
pub(crate) fn table(topology: &Topology, judged: &BTreeSet<IfName>) -> Table {
    let mut sets = sets(topology);
    sets.push(routers(topology, judged));
    let mut chains = chains();
    // Most hosts have no policy, and a chain that finds nothing costs each frame all the same.
    if !judged.is_empty() {
        let later = base(ChainKind::Filter, Hook::Prerouting, LATER);
        chains.push(chain("through_host", later, through_host()));
    }
    Table {
        family: Family::Bridge,
        name: TABLE.into(),
        sets,
        groups: BTreeMap::new(),
        chains,
    }
}

fn chains() -> Vec<Chain> {
    vec![
        chain("multicast_ip", None, multicast()),
        chain("error_ip", None, error_ip()),
        chain("icmp_ip", None, icmp_ip()),
        chain("begin_ip", None, begin_ip()),
        chain("group_ip", None, group_ip()),
        chain("plain_ip", None, plain_ip()),
        chain("own_ip", None, own_ip()),
        chain("from_ip", None, from_ip()),
        chain("discovery", None, discovery()),
        chain("options", None, options()),
        chain("begin_ip6", None, begin_ip6()),
        chain("fragment", None, fragment()),
        chain("own_ip6", None, own_ip6()),
        chain("nobody", None, nobody()),
        chain("from_ip6", None, from_ip6()),
        chain("from_arp", None, from_arp()),
        chain("pinned", None, pinned()),
        chain("enter", filter(Hook::Prerouting), enter()),
        chain("enter_host", filter(Hook::Input), enter_host()),
    ]
}

fn filter(hook: Hook) -> Option<crate::ruleset::Base> {
    base(ChainKind::Filter, hook, EARLY)
}

/// IPv4 under its own addresses is most of what comes, and needs no second look; else the port decides who judges. Ports
/// that are not ours pass: an administrator may have plugged in others.
fn enter() -> Vec<Rule> {
    let ports = Expression::Look(vec![Field::InputInterface], name("ports"));
    vec![
        rule("", [own_source(V4), goto("own_ip")]),
        rule("", [ports]),
        dropping("port without a container", [is_stem()]),
    ]
}

/// Where a policy selects a member, members reach each other through the host alone: it knows flows, a bridge does not. Each IP
/// packet is led there, whomever its frame is for: a broadcast frame with a neighbour's address inside is believed, too. What
/// finds neighbours stays in the bridge, as ARP does. No port changes and no neighbour is forgotten when this comes or goes.
fn through_host() -> Vec<Rule> {
    let finds = |kind| {
        rule(
            "finds neighbours",
            [
                is_next(ICMP6),
                is_icmp6(kind),
                Expression::Do(Action::Accept),
            ],
        )
    };
    let lead = |bytes: [u8; 2]| {
        let is = Expression::Is(Field::EtherType, Value::Raw(bytes.into()));
        let to = Expression::Lead(vec![Field::InputInterface], name("routers"));
        rule("policies judge", [is, to])
    };
    vec![
        lead([0x08, 0x00]),
        finds(SOLICITATION),
        finds(ADVERTISEMENT),
        lead([0x86, 0xdd]),
    ]
}

/// From the ports of networks with policies to the host's address there.
fn routers(topology: &Topology, judged: &BTreeSet<IfName>) -> Set {
    let bridges = topology.bridges.iter();
    let bridges = bridges.filter(|bridge| judged.contains(&bridge.name));
    let ports = bridges.flat_map(|bridge| {
        let ports = bridge.endpoints.iter().map(|endpoint| &endpoint.port);
        ports.map(|port| (vec![Value::IfName(port.clone())], bridge.mac))
    });
    let elements = Elements::Ethers(ports.collect());
    set("routers", vec![Type::IfName], elements)
}

/// Addresses that bridges keep for themselves reach the host as if there were no bridge, past `enter`.
fn enter_host() -> Vec<Rule> {
    let group = Value::Raw(vec![0x01, 0x80, 0xc2, 0, 0]);
    let reserved = Expression::Is(Field::EtherGroup, group);
    vec![dropping("for bridges alone", [reserved, is_stem()])]
}

/// Nothing else: no tag, no 802.3, no PPPoE, no protocol that nobody has thought of.
fn pinned() -> Vec<Rule> {
    let kind = |bytes: [u8; 2], chain| {
        let is = Expression::Is(Field::EtherType, Value::Raw(bytes.into()));
        rule("", [is, goto(chain)])
    };
    vec![
        kind([0x08, 0x00], "from_ip"),
        kind([0x86, 0xdd], "from_ip6"),
        kind([0x08, 0x06], "from_arp"),
        dropping("neither IP nor ARP", []),
    ]
}

/// Both Ethernet addresses of an ARP packet and its IPv4 address are the sender's own.
fn from_arp() -> Vec<Rule> {
    let format = Value::Raw(vec![0, 1, 8, 0, 6, 4]);
    let sender = |ether| {
        let key = vec![Field::InputInterface, ether, Field::ArpSource];
        Expression::In(key, name("senders_ip"))
    };
    let own = [
        Expression::Is(Field::ArpFormat, format),
        sender(Field::EtherSource),
        sender(Field::ArpEther),
        Expression::Do(Action::Accept),
    ];
    vec![rule("its own", own), dropping("forged ARP", [])]
}

fn from_ip() -> Vec<Rule> {
    vec![
        rule("", [own_source(V4), goto("own_ip")]),
        dropping("forged source", []),
    ]
}

/// Options let a sender choose its packet's way (source routing). Nobody needs them but who reports multicast groups. TCP's header
/// says nothing to judge.
fn own_ip() -> Vec<Rule> {
    let length = |byte| Expression::Is(Field::HeaderLength, Value::Raw(vec![byte]));
    let alert = Expression::Is(Field::FirstOption, Value::Raw(vec![0x94, 4, 0, 0]));
    vec![
        rule("TCP", [length(0x45), is_protocol(TCP), goto("group_ip")]),
        rule("no options", [length(0x45), goto("plain_ip")]),
        rule("router alert", [length(0x46), alert, goto("plain_ip")]),
        dropping("options", []),
    ]
}

/// Only a first fragment has a transport header; what lies there in a later one is anything.
fn plain_ip() -> Vec<Rule> {
    let begins = is_zero(Field::FragmentOffset);
    let begin = Expression::Do(Action::Jump(name("begin_ip")));
    vec![rule("", [begins, begin]), rule("", [goto("group_ip")])]
}

fn group_ip() -> Vec<Rule> {
    vec![rule("", [is_group(), goto("multicast_ip")])]
}

/// Every packet is asked this: the field alone, for it is known by now that it is IPv4.
fn is_group() -> Expression {
    Expression::Is(Field::DestinationClass, Value::Raw(vec![0xe0]))
}

/// An error is believed by its content alone: by who sent the packet that it repeats, and by connection tracking, which lets it through to
/// other networks as related to that packet's flow. So it must be about a packet that was meant for who sends it.
fn error_ip() -> Vec<Rule> {
    let own = [own_report(V4), goto("group_ip")];
    vec![rule("", own), dropping("an error of another's packet", [])]
}

fn begin_ip() -> Vec<Rule> {
    let query = Expression::Is(Field::IgmpType, Value::Raw(vec![0x11]));
    let asked = "the bridge alone asks who listens";
    vec![
        no_lease_server(67),
        rule("", [is_protocol(ICMP), goto("icmp_ip")]),
        dropping(asked, [is_protocol(IGMP), query]),
    ]
}

fn icmp_ip() -> Vec<Rule> {
    let kind = |kind| Expression::Is(Field::IcmpType, Value::Raw(vec![kind]));
    let router = |code| dropping("routers alone say where to go", [kind(code)]);
    let mut rules = vec![router(5), router(9)];
    rules.extend(ERRORS.map(|code| rule("", [kind(code), goto("error_ip")])));
    rules
}

fn multicast() -> Vec<Rule> {
    let allowed = within(Field::InputInterface, "multicasters");
    vec![
        rule("", [allowed, Expression::Do(Action::Accept)]),
        dropping("multicast is off", []),
    ]
}

fn from_ip6() -> Vec<Rule> {
    let unspecified = Value::Address(Ipv6Addr::UNSPECIFIED.into());
    let unspecified = Expression::Is(Field::Source(V6), unspecified);
    vec![
        rule("", [own_source(V6), goto("own_ip6")]),
        rule("", [unspecified, goto("nobody")]),
        dropping("forged source", []),
    ]
}

/// Without an address one asks whether an own one is free, and nothing else.
fn nobody() -> Vec<Rule> {
    let expressions = [
        is_next(ICMP6),
        is_icmp6(SOLICITATION),
        own_target(),
        Expression::Do(Action::Accept),
    ];
    vec![
        rule("is it free", expressions),
        dropping("forged source", []),
    ]
}

fn own_ip6() -> Vec<Rule> {
    let hidden = |header| dropping("hides what follows", [is_next(header)]);
    vec![
        rule("", [is_next(ICMP6), goto("discovery")]),
        rule("", [is_next(HOP_BY_HOP), goto("options")]),
        rule("", [is_next(FRAGMENT), goto("fragment")]),
        hidden(ROUTING),
        hidden(OPTIONS),
        hidden(MOBILITY),
        no_lease_server(547),
        rule("", [is_within(V6, "ff00::/8"), goto("multicast_ip")]),
    ]
}

/// ICMPv6: ask for anybody, answer for oneself, be no router.
fn discovery() -> Vec<Rule> {
    let accept = || Expression::Do(Action::Accept);
    let harmless = || within(Field::Icmp6Type, "harmless");
    let multicast = || is_within(V6, "ff00::/8");
    let is_icmp = || is_protocol(ICMP6);
    let allowed = within(Field::InputInterface, "multicasters");
    vec![
        rule("asks", [is_icmp(), is_icmp6(SOLICITATION), accept()]),
        rule(
            "answers for itself",
            [is_icmp(), is_icmp6(ADVERTISEMENT), own_target(), accept()],
        ),
        rule("", [multicast(), allowed, is_icmp(), harmless(), accept()]),
        dropping("multicast is off", [multicast()]),
        rule("", [is_icmp(), harmless(), accept()]),
        rule(
            "an error of its own packets",
            [
                is_icmp(),
                within(Field::Icmp6Type, "errors"),
                own_report(V6),
                accept(),
            ],
        ),
        dropping("a router's or another's to say", []),
    ]
}

/// Hop-by-hop options: where multicast is on, to report what one listens to.
fn options() -> Vec<Rule> {
    let is_report = |kind| {
        let head = Value::Raw(vec![ICMP6, 0]);
        [
            Expression::Is(Field::InnerHead, head),
            Expression::Is(Field::InnerType, Value::Raw(vec![kind])),
        ]
    };
    let wanted = |kind| {
        let [head, inner] = is_report(kind);
        let multicaster = within(Field::InputInterface, "multicasters");
        let expressions = [multicaster, head, inner, Expression::Do(Action::Accept)];
        rule("reports what it listens to", expressions)
    };
    // Every kernel reports its own groups at any time: nothing that anybody needs to be told.
    let idle = |kind| {
        let [head, inner] = is_report(kind);
        rule(
            "reports to nobody",
            [head, inner, Expression::Do(Action::Drop)],
        )
    };
    let mut rules: Vec<Rule> = REPORTS.map(wanted).into();
    rules.extend(REPORTS.map(idle));
    rules.push(dropping("hides what follows", []));
    rules
}

/// Fragments: neither of neighbour discovery nor of further headers, behind which that could hide.
fn fragment() -> Vec<Rule> {
    let hidden = |header| {
        let inner = Expression::Is(Field::InnerHeader, Value::Raw(vec![header]));
        dropping("hides what follows", [inner])
    };
    let headers = [HOP_BY_HOP, ROUTING, FRAGMENT, OPTIONS, MOBILITY];
    let mut rules: Vec<Rule> = headers.map(hidden).into();
    let begin = Expression::Do(Action::Jump(name("begin_ip6")));
    rules.push(rule("", [is_zero(Field::FragmentOffset6), begin]));
    let group = is_within(V6, "ff00::/8");
    rules.push(rule("", [group, goto("multicast_ip")]));
    rules
}

fn begin_ip6() -> Vec<Rule> {
    let torn = within(Field::Icmp6Type, "never_torn");
    vec![
        dropping("torn discovery", [is_protocol(ICMP6), torn]),
        no_lease_server(547),
    ]
}

fn is_zero(field: Field) -> Expression {
    Expression::Is(field, Value::Raw(vec![0, 0]))
}

/// Who answers a question for a lease hands out gateways and resolvers.
fn no_lease_server(port: u16) -> Rule {
    let from = Expression::Is(Field::SourcePort, Value::Port(port));
    dropping("no lease server here", [is_protocol(UDP), from])
}

fn own_source(family: IpFamily) -> Expression {
    let key = vec![
        Field::InputInterface,
        Field::EtherSource,
        Field::Source(family),
    ];
    let set = match family {
        V4 => "senders_ip",
        V6 => "senders_ip6",
    };
    Expression::In(key, name(set))
}

fn own_target() -> Expression {
    let key = vec![
        Field::InputInterface,
        Field::EtherSource,
        Field::NeighbourTarget,
    ];
    Expression::In(key, name("targets"))
}

fn own_report(family: IpFamily) -> Expression {
    let key = vec![
        Field::InputInterface,
        Field::EtherSource,
        Field::Reported(family),
    ];
    let set = match family {
        V4 => "targets_ip",
        V6 => "targets",
    };
    Expression::In(key, name(set))
}

pub(crate) fn is_protocol(number: u8) -> Expression {
    Expression::Is(Field::Protocol, Value::Protocol(number))
}

fn is_next(header: u8) -> Expression {
    Expression::Is(Field::NextHeader, Value::Protocol(header))
}

fn is_icmp6(kind: u8) -> Expression {
    Expression::Is(Field::Icmp6Type, Value::Icmp6Type(kind))
}

fn is_within(family: IpFamily, prefix: &'static str) -> Expression {
    crate::compile::is_within(Field::Destination(family), prefix)
}

#[expect(clippy::expect_used, reason = "a constant; a test compiles it")]
pub(crate) fn is_stem() -> Expression {
    let stem: IfName = PORT_STEM.parse().expect("a constant stem");
    Expression::Is(Field::InputInterface, Value::Stem(stem))
}

fn goto(chain: &'static str) -> Expression {
    Expression::Do(Action::Goto(name(chain)))
}

/// What varies: a port's verdict and the addresses of its endpoint.
#[derive(Default)]
struct Contents {
    ports: BTreeMap<Key, Action>,
    multicasters: BTreeMap<Key, ()>,
    senders: BTreeMap<Key, ()>,
    senders6: BTreeMap<Key, ()>,
    targets4: BTreeMap<Key, ()>,
    targets: BTreeMap<Key, ()>,
}

fn sets(topology: &Topology) -> Vec<Set> {
    let mut contents = Contents::default();
    for bridge in &topology.bridges {
        for endpoint in &bridge.endpoints {
            contents.add(bridge, endpoint);
        }
    }
    let sender = |address| vec![Type::IfName, Type::Ether, address];
    let keys = |name, key, keys| set(name, key, Elements::Keys(keys));
    let constant = |types: &[u8]| {
        let keys = types.iter().map(|kind| (vec![Value::Icmp6Type(*kind)], ()));
        keys.collect()
    };
    vec![
        set(
            "ports",
            vec![Type::IfName],
            Elements::Actions(contents.ports),
        ),
        keys("multicasters", vec![Type::IfName], contents.multicasters),
        keys("senders_ip", sender(Type::Address(V4)), contents.senders),
        keys("senders_ip6", sender(Type::Address(V6)), contents.senders6),
        keys("targets_ip", sender(Type::Target(V4)), contents.targets4),
        keys("targets", sender(Type::Target(V6)), contents.targets),
        keys("harmless", vec![Type::Icmp6Type], constant(&HARMLESS)),
        keys("errors", vec![Type::Icmp6Type], constant(&ERRORS6)),
        keys("never_torn", vec![Type::Icmp6Type], constant(&NEVER_TORN)),
    ]
}

impl Contents {
    fn add(&mut self, bridge: &Bridge, endpoint: &Endpoint) {
        let port = Value::IfName(endpoint.port.clone());
        let pinned = Action::Goto(name("pinned"));
        self.ports.insert(vec![port.clone()], pinned);
        if bridge.multicast == Multicast::Allowed {
            self.multicasters.insert(vec![port.clone()], ());
        }
        let ether = Value::Ether(endpoint.mac);
        for address in senders(endpoint) {
            let key = |address| vec![port.clone(), ether.clone(), address];
            let (senders, targets) = match address {
                IpAddr::V4(_) => (&mut self.senders, &mut self.targets4),
                IpAddr::V6(_) => (&mut self.senders6, &mut self.targets),
            };
            senders.insert(key(Value::Address(address)), ());
            targets.insert(key(Value::Target(address)), ());
        }
    }
}

/// The addresses that an endpoint may send from: its own, and with IPv6 the one that its link gives it.
fn senders(endpoint: &Endpoint) -> BTreeSet<IpAddr> {
    let mut senders: BTreeSet<IpAddr> = endpoint.addresses.iter().copied().collect();
    if senders.iter().any(IpAddr::is_ipv6) {
        senders.insert(endpoint.mac.link_local().into());
    }
    senders
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
