//! Compiles the topology into the host's whole rule set.
//!
//! Chains and rules are constants; all that varies stands in sets and maps. So a packet's cost does not grow with
//! networks, containers or ports, and starting a container changes a few elements and no rule. The road of a packet:
//! `guard` (forged and misdirected packets, before they touch connection tracking), `publish`, then `input` or `forward`, both with
//! `policies` in front, then `leave`. What of chains does vary are the groups of policies ([`crate::groups`]). Before all of it, [`crate::pin`] holds frames to their ports. We accept nothing on behalf of other tables: a drop in `DOCKER-USER` or a FORWARD policy still counts.

use crate::{
    FlowQuota,
    elements::Contents,
    groups, neighbours,
    ruleset::{
        Action, Base, Chain, ChainKind, Expression, Family, Field, Hook, IpFamily, Name, Rule,
        Ruleset, Set, State, Table, Value,
    },
    tell,
    topology::{Ipv6Rules, Telling, Topology},
};

use IpFamily::{V4, V6};

/// The name of our tables, one in each family.
pub const TABLE: &str = "hakone";
/// The chain that leads to the groups of policies.
pub(crate) const POLICIES: &str = "policies";

/// Before connection tracking (-200), so that what is dropped costs no entry there.
pub(crate) const RAW: i32 = -300;
/// Where the kernel expects destinations to be translated.
const DESTINATION_NAT: i32 = -100;
/// Where filters usually stand.
const FILTER: i32 = 0;
/// Where the kernel expects sources to be translated.
const SOURCE_NAT: i32 = 100;

/// IANA numbers of ICMP and ICMPv6.
const ICMP: [u8; 2] = [1, 58];

/// Derives the rules of the whole host from what is wanted; the same topology gives the same value.
#[must_use]
pub fn compile(topology: &Topology) -> Ruleset {
    let policies = groups::compile(topology);
    let mut sets = Contents::of(topology).into_sets();
    sets.extend(crate::elements::of_policies(&policies));
    let mut chains = chains(topology.options.flows);
    if policies.judged.is_empty() {
        forget_policies(&mut chains);
    }
    let routed = Table {
        family: Family::Inet,
        name: TABLE.into(),
        sets,
        groups: policies.groups,
        chains: match topology.options.ipv6 {
            Ipv6Rules::Loaded => chains,
            Ipv6Rules::None => past_ipv6(chains),
        },
    };
    let ruleset = Ruleset {
        tables: vec![routed, crate::pin::table(topology, &policies.judged)],
    };
    match topology.options.telling {
        Telling::Silent => ruleset,
        Telling::Told => tell::told(ruleset),
    }
}

/// Derives the part of the rules that iptables cannot say: whose frames each port lets in.
#[must_use]
pub fn compile_frames(topology: &Topology) -> Ruleset {
    let policies = groups::compile(topology);
    let frames = crate::pin::table(topology, &policies.judged);
    let ruleset = Ruleset {
        tables: vec![beside_iptables(topology, policies), frames],
    };
    match topology.options.telling {
        Telling::Silent => ruleset,
        Telling::Told => tell::told(ruleset),
    }
}

/// What of routed packets other rules cannot say: who asks for too many neighbours, and what policies mean.
fn beside_iptables(topology: &Topology, policies: groups::Compiled) -> Table {
    let asked = |set: &Set| {
        let stems = ["own_gateways_ip", "peers_ip", "links_ip", "bridges"];
        let asks = stems.iter().any(|stem| set.name.as_str().starts_with(stem));
        asks || set.dynamic.is_some() && !set.name.as_str().starts_with("flows_ip")
    };
    let mut sets = Contents::of(topology).into_sets();
    sets.retain(asked);
    sets.extend(crate::elements::of_policies(&policies));
    let filter = |hook| base(ChainKind::Filter, hook, FILTER);
    let needed = Expression::Do(Action::Jump(name("discovery_to_host")));
    let judged = within(Field::InputInterface, "judged");
    let chains = vec![
        chain("discovery_to_host", None, discovery_to_host()),
        chain(POLICIES, None, self::policies()),
        chain(
            "input",
            filter(Hook::Input),
            vec![rule("", [judged, needed]), judged_by_policies()],
        ),
        chain("output", filter(Hook::Output), output()),
        neighbours::rules(),
        chain("forward", filter(Hook::Forward), forward_beside_iptables()),
    ];
    Table {
        family: Family::Inet,
        name: TABLE.into(),
        sets,
        groups: policies.groups,
        chains: match topology.options.ipv6 {
            Ipv6Rules::Loaded => chains,
            Ipv6Rules::None => past_ipv6(chains),
        },
    }
}

/// Members of one network know each other.
fn forward_beside_iptables() -> Vec<Rule> {
    let from_network = within(Field::InputInterface, "bridges");
    vec![
        judged_by_policies(),
        to_peer(V4, "peers_ip"),
        to_peer(V6, "peers_ip6"),
        to_link(V4, "links_ip"),
        to_link(V6, "links_ip6"),
        neighbours::to_rules([Expression::Begins, from_network]),
    ]
}

fn to_peer(family: IpFamily, set: &'static str) -> Rule {
    let ends = [Field::InputInterface, Field::OutputInterface];
    let key = [&ends[..], &[Field::Destination(family)]].concat();
    let there = Expression::In(key, name(set));
    rule("a member", [there, Expression::Do(Action::Accept)])
}

/// Most hosts have no policy, and asking what none says costs each flow, and each packet of the host, all the same. The first
/// policy brings the rules that ask.
fn forget_policies(chains: &mut Vec<Chain>) {
    let asks = |one: &Expression| match one {
        Expression::Do(Action::Jump(chain)) => chain.as_str() == POLICIES,
        Expression::In(_, set) => set.as_str() == "judged",
        _ => false,
    };
    chains.retain(|chain| ![POLICIES, "output"].contains(&chain.name.as_str()));
    for chain in chains {
        chain
            .rules
            .retain(|rule| !rule.expressions.iter().any(asks));
    }
}

/// Lets IPv6 pass where packets enter.
pub(crate) fn past_ipv6(mut chains: Vec<Chain>) -> Vec<Chain> {
    for chain in chains.iter_mut().filter(|chain| chain.base.is_some()) {
        let pass = [Expression::IpFamily(V6), Expression::Do(Action::Accept)];
        chain.rules.insert(0, rule("IPv6 is not ours", pass));
    }
    chains
}

/// Called chains come before their callers, so that the list reads and loads from top to bottom.
fn chains(quota: FlowQuota) -> Vec<Chain> {
    use Hook::{Forward, Input, Output, Postrouting, Prerouting};
    let filter = |hook, priority| base(ChainKind::Filter, hook, priority);
    let nat = |hook, priority| base(ChainKind::Nat, hook, priority);
    vec![
        chain("sources", None, sources()),
        chain("guard", filter(Prerouting, RAW), guard()),
        chain("count_flow", None, quotas(quota)),
        chain("to_published", None, to_published()),
        chain("publish", nat(Prerouting, DESTINATION_NAT), publish()),
        chain("publish_to_host", nat(Output, DESTINATION_NAT), publish()),
        chain("metadata_service", None, metadata_service()),
        chain("discovery_to_host", None, discovery_to_host()),
        chain("internal_to_host", None, internal_to_host()),
        chain("hardened_to_host", None, hardened_to_host()),
        chain("open_to_host", None, open_to_host()),
        chain(POLICIES, None, policies()),
        chain("input", filter(Input, FILTER), input()),
        chain("output", filter(Output, FILTER), output()),
        neighbours::rules(),
        chain("to_overlay", None, to_overlay()),
        chain("leaving", None, leaving()),
        chain("entering", None, entering()),
        chain("among_members", None, among_members()),
        chain("linked", None, linked()),
        chain("beginning", None, vec![count_flow(), to_policies()]),
        chain("forward", filter(Forward, FILTER), forward()),
        chain("leave", nat(Postrouting, SOURCE_NAT), masquerade()),
    ]
}

/// Who may use which source address. Elsewhere than on its own bridge, a container's address is a forgery.
fn sources() -> Vec<Rule> {
    let own = |family, set| {
        let key = vec![Field::InputInterface, Field::Source(family)];
        rule(
            "the bridge's own",
            [
                Expression::In(key, name(set)),
                Expression::Do(Action::Return),
            ],
        )
    };
    let stolen = |family, set| dropping("stolen source", [within(Field::Source(family), set)]);
    vec![
        own(V4, "sources_ip"),
        own(V6, "sources_ip6"),
        bridge_asks(),
        dropping("forged source", [within(Field::InputInterface, "bridges")]),
        stolen(V4, "subnets_ip"),
        stolen(V6, "subnets_ip6"),
    ]
}

/// A bridge hears its own question about groups, from nobody's address, every two minutes: nothing that anybody needs to be told.
fn bridge_asks() -> Rule {
    rule(
        "the bridge's own question",
        [
            within(Field::InputInterface, "bridges"),
            is_within(Field::Source(V4), "0.0.0.0/32"),
            crate::pin::is_protocol(crate::pin::IGMP),
            Expression::Do(Action::Drop),
        ],
    )
}

/// What no packet from outside the host may claim or ask for.
fn guard() -> Vec<Rule> {
    // First, for it is most of what a bridge forwards, and what follows would find nothing in it.
    let mut rules = Vec::from([(V4, "receivers_ip"), (V6, "receivers_ip6")].map(between_members));
    rules.push(rule(
        "the host to itself",
        [is_interface("lo"), Expression::Do(Action::Accept)],
    ));
    // A frame that a bridge does not take to itself reaches IP by its port, past everything that knows the bridge.
    rules.push(dropping("past its bridge", [crate::pin::is_stem()]));
    for (family, loopback) in [(V4, "127.0.0.0/8"), (V6, "::1/128")] {
        for field in [Field::Destination(family), Field::Source(family)] {
            rules.push(dropping(
                "loopback stays inside",
                [is_within(field, loopback)],
            ));
        }
    }
    rules.push(rule("", [Expression::Do(Action::Jump(name("sources")))]));
    for (family, all, _) in GATEWAYS {
        rules.push(dropping(
            "claims to be the host",
            [within(Field::Source(family), all)],
        ));
    }
    for (family, all, own) in GATEWAYS {
        let key = vec![Field::InputInterface, Field::Destination(family)];
        let mine = [
            Expression::In(key, name(own)),
            Expression::Do(Action::Accept),
        ];
        rules.push(rule("own gateway", mine));
        rules.push(dropping(
            "gateway of another network",
            [within(Field::Destination(family), all)],
        ));
    }
    rules
}

/// From one address of a network to another of the same: no forgery, no gateway, not the host's.
fn between_members((family, set): (IpFamily, &'static str)) -> Rule {
    let member = |field| Expression::In(vec![Field::InputInterface, field], name(set));
    let (from, to) = (Field::Source(family), Field::Destination(family));
    let accept = Expression::Do(Action::Accept);
    rule("between members", [member(from), member(to), accept])
}

const GATEWAYS: [(IpFamily, &str, &str); 2] = [
    (V4, "gateways_ip", "own_gateways_ip"),
    (V6, "gateways_ip6", "own_gateways_ip6"),
];

/// From a host's port to the container's. Loopback and link-local destinations are served by the daemon's listener: the
/// container could not answer them.
fn to_published() -> Vec<Rule> {
    let listener = |family, prefix| {
        let here = is_within(Field::Destination(family), prefix);
        rule(
            "the daemon listens there",
            [here, Expression::Do(Action::Return)],
        )
    };
    let bound = |family, map| {
        let key = vec![
            Field::Destination(family),
            Field::Protocol,
            Field::DestinationPort,
        ];
        let redirect = Expression::Redirect(family, key, name(map));
        let expressions = [
            Expression::IpFamily(family),
            Expression::LocalDestination,
            redirect,
        ];
        rule("bound to one address", expressions)
    };
    let unbound = |family, map| {
        let key = vec![Field::Protocol, Field::DestinationPort];
        let redirect = Expression::Redirect(family, key, name(map));
        let expressions = [
            Expression::IpFamily(family),
            Expression::LocalDestination,
            redirect,
        ];
        rule("bound to every address", expressions)
    };
    vec![
        listener(V4, "127.0.0.0/8"),
        listener(V6, "::1/128"),
        listener(V6, "fe80::/10"),
        bound(V4, "published_ip"),
        bound(V6, "published_ip6"),
        unbound(V4, "published_any_ip"),
        unbound(V6, "published_any_ip6"),
    ]
}

fn publish() -> Vec<Rule> {
    vec![rule(
        "",
        [Expression::Do(Action::Jump(name("to_published")))],
    )]
}

/// Where connection tracking has seen the packet: a forged one must not have touched anybody's flow.
fn count_flow() -> Rule {
    let count = Expression::Do(Action::Jump(name("count_flow")));
    rule("begins a flow", [Expression::Begins, count])
}

/// One container must not fill the table of flows that all share.
fn quotas(FlowQuota(quota): FlowQuota) -> Vec<Rule> {
    let rule = |family, set| {
        let crowded = Expression::Crowded(Field::Source(family), name(set), quota);
        dropping(
            "too many flows",
            [within(Field::InputInterface, "bridges"), crowded],
        )
    };
    vec![rule(V4, "flows_ip"), rule(V6, "flows_ip6")]
}

/// Link-local addresses beyond the network are those of a cloud: its resolver may answer, its secrets stay unread.
fn metadata_service() -> Vec<Rule> {
    let open = within(Field::InputInterface, "metadata");
    let resolver = |family, set| {
        let service = [Field::Protocol, Field::DestinationPort];
        let key = [&[Field::Destination(family)], &service[..]].concat();
        let back = Expression::Do(Action::Return);
        rule(
            "a resolver of the host",
            [Expression::In(key, name(set)), back],
        )
    };
    vec![
        rule("", [open, Expression::Do(Action::Return)]),
        resolver(V4, "resolvers_ip"),
        resolver(V6, "resolvers_ip6"),
        dropping("metadata service", []),
    ]
}

fn to_metadata_service() -> [Rule; 2] {
    let jump = |family, prefix| {
        let there = is_within(Field::Destination(family), prefix);
        rule(
            "",
            [
                there,
                Expression::Do(Action::Jump(name("metadata_service"))),
            ],
        )
    };
    [jump(V4, "169.254.0.0/16"), jump(V6, "fd00:ec2::254/128")]
}

/// What any network needs of its gateway: replies, ping, neighbour discovery. What remains goes back to be judged.
fn discovery_to_host() -> Vec<Rule> {
    let mut rules = vec![accept_known()];
    let gateways = [(V4, 1, "own_gateways_ip"), (V6, 58, "own_gateways_ip6")];
    rules.extend(gateways.map(|(family, number, set)| {
        let key = vec![Field::InputInterface, Field::Destination(family)];
        let own = Expression::In(key, name(set));
        rule(
            "ping",
            [own, is_protocol(number), Expression::Do(Action::Accept)],
        )
    }));
    rules.extend(["fe80::/10", "ff02::/16"].map(|prefix| {
        let on_link = is_within(Field::Destination(V6), prefix);
        let accept = Expression::Do(Action::Accept);
        rule("neighbour discovery", [on_link, is_protocol(58), accept])
    }));
    rules
}

fn internal_to_host() -> Vec<Rule> {
    let common = Expression::Do(Action::Jump(name("discovery_to_host")));
    vec![rule("", [common]), dropping("internal", [])]
}

/// Of its own gateway a hardened network reaches the ports that were opened, and of the host's other addresses nothing.
fn hardened_to_host() -> Vec<Rule> {
    let common = Expression::Do(Action::Jump(name("discovery_to_host")));
    let port = || {
        let key = [
            Field::InputInterface,
            Field::Protocol,
            Field::DestinationPort,
        ];
        Expression::In(key.into(), name("host_ports"))
    };
    let opened = |family, set| {
        let key = vec![Field::InputInterface, Field::Destination(family)];
        let own = Expression::In(key, name(set));
        rule("opened", [own, port(), Expression::Do(Action::Accept)])
    };
    vec![
        rule("", [common]),
        opened(V4, "own_gateways_ip"),
        opened(V6, "own_gateways_ip6"),
        dropping("hardened: dev.hakone.host-access opens ports", []),
    ]
}

/// Where hosts take frames of overlay networks from anybody: VXLAN (Docker's, and Linux's own choice, which Flannel and k3s have) and GENEVE.
pub const TUNNELS: [u16; 3] = [4789, 8472, 6081];

fn is_tunnel(port: u16) -> Expression {
    Expression::Is(Field::DestinationPort, Value::Port(port))
}

/// Another host of an overlay knows its peers by their address, and masquerading gives a container this host's.
fn to_overlay() -> Vec<Rule> {
    let translated = |family, set| {
        let from = move || within(Field::InputInterface, set);
        let comment = "frames of an overlay under the host's address";
        let tunnel = move |port| {
            let family = Expression::IpFamily(family);
            dropping(comment, [family, from(), is_tunnel(port)])
        };
        TUNNELS.map(tunnel)
    };
    let [four, six] = [
        translated(V4, "masqueraded_ip"),
        translated(V6, "masqueraded_ip6"),
    ];
    four.into_iter().chain(six).collect()
}

/// Docker's way: the host's services are reached, but by no tunnel, and no overlay network is written into.
fn open_to_host() -> Vec<Rule> {
    let known = within(Field::Protocol, "host_protocols");
    let tunnels =
        TUNNELS.map(|port| dropping("frames of an overlay", [is_protocol(17), is_tunnel(port)]));
    let [metadata, metadata6] = to_metadata_service();
    let mut rules = vec![accept_known(), metadata, metadata6];
    rules.extend(tunnels);
    rules.push(rule("", [known, Expression::Do(Action::Accept)]));
    rules.push(dropping("no protocol of the host's", []));
    rules
}

pub(crate) fn is_protocol(number: u8) -> Expression {
    Expression::Is(Field::Protocol, Value::Protocol(number))
}

/// What begins, or fits no flow, is judged by policies; both ends of a known flow were asked when it began.
fn judged_by_policies() -> Rule {
    rule(
        "",
        [not_known(), Expression::Do(Action::Jump(name(POLICIES)))],
    )
}

fn to_policies() -> Rule {
    rule("", [Expression::Do(Action::Jump(name(POLICIES)))])
}

const fn not_known() -> Expression {
    Expression::State(&[State::New, State::Invalid, State::Untracked])
}

/// What endpoints may say, by the policies that select them: first the sender's, then the receiver's. What passes here still has
/// to pass everything else: a policy opens no network.
fn policies() -> Vec<Rule> {
    let asked = |interface, address, map| {
        let key = vec![interface, address];
        rule("", [Expression::Look(key, name(map))])
    };
    let sender = |family, map| asked(Field::InputInterface, Field::Source(family), map);
    let receiver = |family, map| asked(Field::OutputInterface, Field::Destination(family), map);
    vec![
        sender(V4, "egress_ip"),
        sender(V6, "egress_ip6"),
        receiver(V4, "ingress_ip"),
        receiver(V6, "ingress_ip6"),
    ]
}

/// The map says of each bridge what it may reach of the host. What a network needs of its gateway, no policy denies.
fn input() -> Vec<Rule> {
    let judge = Expression::Look(vec![Field::InputInterface], name("to_host"));
    let judged = within(Field::InputInterface, "judged");
    let needed = Expression::Do(Action::Jump(name("discovery_to_host")));
    vec![
        count_flow(),
        rule("", [judged, needed]),
        judged_by_policies(),
        rule("", [judge]),
    ]
}

/// The host reaches each endpoint, whatever policies say; what its proxies send under a client's address, the client sends.
fn output() -> Vec<Rule> {
    let itself = [Expression::LocalSource, Expression::Do(Action::Accept)];
    vec![rule("the host itself", itself), judged_by_policies()]
}

/// Policies, then between two members, then out of a network, then into one. What concerns no bridge of ours passes.
///
/// A known flow between members that may talk is most of what comes: it passes with one question and one lookup.
fn forward() -> Vec<Rule> {
    let (from, to) = (Field::InputInterface, Field::OutputInterface);
    let beginning = Expression::Do(Action::Jump(name("beginning")));
    vec![
        rule("", [not_known(), beginning]),
        to_peer(V4, "peers_ip"),
        to_peer(V6, "peers_ip6"),
        rule(
            "members of one network",
            [Expression::Look(vec![from, to], name("members"))],
        ),
        rule(
            "out of a network",
            [Expression::Look(vec![from], name("exits"))],
        ),
        rule(
            "into a network",
            [Expression::Look(vec![to], name("entries"))],
        ),
    ]
}

/// What fits no flow would not be translated and would show private addresses outside.
fn leaving() -> Vec<Rule> {
    let [metadata, metadata6] = to_metadata_service();
    let to_network = [
        within(Field::InputInterface, "hardened"),
        within(Field::OutputInterface, "bridges"),
    ];
    let overlay = Expression::Do(Action::Jump(name("to_overlay")));
    vec![
        dropping("no known flow", [Expression::State(&[State::Invalid])]),
        metadata,
        metadata6,
        rule("", [is_protocol(17), Expression::Begins, overlay]),
        dropping("hardened", to_network),
        neighbours::to_rules([Expression::Begins]),
    ]
}

/// Whoever is there was let in before: a question about an address that nobody has would take a place in the host's
/// neighbour table. With `bridge-nf-call-iptables` this is the way of what the bridge forwards, too.
fn among_members() -> Vec<Rule> {
    let nobody = |family, set| dropping("nobody there", [within(Field::Destination(family), set)]);
    vec![
        nobody(V4, "subnets_ip"),
        nobody(V6, "subnets_ip6"),
        rule("everybody", [Expression::Do(Action::Accept)]),
    ]
}

/// Between members that may not talk, what a link opens, with its replies.
fn linked() -> Vec<Rule> {
    vec![
        accept_known(),
        to_link(V4, "links_ip"),
        to_link(V6, "links_ip6"),
        dropping("no icc", []),
    ]
}

fn to_link(family: IpFamily, set: &'static str) -> Rule {
    let ends = [
        Field::OutputInterface,
        Field::Source(family),
        Field::Destination(family),
    ];
    let key = [&ends[..], &[Field::Protocol, Field::DestinationPort]].concat();
    let link = Expression::In(key, name(set));
    rule("a link", [link, Expression::Do(Action::Accept)])
}

/// Into a network comes what was published, and from outside also what members asked for.
fn entering() -> Vec<Rule> {
    let direct = |family, set| {
        let fields = [Field::OutputInterface, Field::Destination(family)];
        let key = [fields, [Field::Protocol, Field::DestinationPort]].concat();
        let accept = [
            Expression::In(key, name(set)),
            Expression::Do(Action::Accept),
        ];
        rule("published, routed directly", accept)
    };
    let to_hardened = [
        within(Field::OutputInterface, "hardened"),
        within(Field::InputInterface, "bridges"),
    ];
    let mut rules = vec![
        dropping("hardened", to_hardened),
        rule(
            "published",
            [Expression::Published, Expression::Do(Action::Accept)],
        ),
        dropping(
            "between networks",
            [within(Field::InputInterface, "bridges")],
        ),
        accept_known(),
        direct(V4, "direct_ip"),
        direct(V6, "direct_ip6"),
    ];
    rules.extend(by_mode());
    rules.push(dropping("not published", []));
    rules
}

/// What the mode of a network's gateway opens besides.
fn by_mode() -> [Rule; 6] {
    let trusted = |family, set| {
        let interfaces = [Field::InputInterface, Field::OutputInterface];
        let port = [
            Field::Destination(family),
            Field::Protocol,
            Field::DestinationPort,
        ];
        let key = [&interfaces[..], &port].concat();
        let accept = [
            Expression::In(key, name(set)),
            Expression::Do(Action::Accept),
        ];
        rule("published, from a trusted interface", accept)
    };
    let unprotected = |family, set| {
        let into = within(Field::OutputInterface, set);
        let accept = [
            Expression::IpFamily(family),
            into,
            Expression::Do(Action::Accept),
        ];
        rule("every port is open", accept)
    };
    let routed = |family, set, icmp| {
        let into = within(Field::OutputInterface, set);
        let is_icmp = Expression::Is(Field::Protocol, Value::Protocol(icmp));
        let accept = [
            Expression::IpFamily(family),
            into,
            is_icmp,
            Expression::Do(Action::Accept),
        ];
        rule("routed", accept)
    };
    let [icmp, icmp6] = ICMP;
    [
        trusted(V4, "trusted_ip"),
        trusted(V6, "trusted_ip6"),
        unprotected(V4, "unprotected_ip"),
        unprotected(V6, "unprotected_ip6"),
        routed(V4, "routed_ip", icmp),
        routed(V6, "routed_ip6", icmp6),
    ]
}

/// By input interface and not by source, so that a forged source does not leave untranslated. Published flows between
/// containers are translated too: their replies must come back through the host. With `bridge-nf-call-iptables` a bridge
/// translates a flow between two of its ports by itself and shows no input interface here: the source tells it then.
fn masquerade() -> Vec<Rule> {
    let from = |set| within(Field::InputInterface, set);
    let into_bridge = || within(Field::OutputInterface, "bridges");
    let published = [
        into_bridge(),
        from("bridges"),
        Expression::Published,
        Expression::Masquerade,
    ];
    let back = |family, set| {
        let key = vec![Field::OutputInterface, Field::Source(family)];
        let own = Expression::In(key, name(set));
        rule(
            "published, from a member",
            [own, Expression::Published, Expression::Masquerade],
        )
    };
    let out = |family, set| {
        let expressions = [
            Expression::IpFamily(family),
            from(set),
            Expression::Masquerade,
        ];
        rule("out of a network", expressions)
    };
    vec![
        rule("published, from a container", published),
        back(V4, "sources_ip"),
        back(V6, "sources_ip6"),
        rule(
            "seen as it is",
            [into_bridge(), Expression::Do(Action::Accept)],
        ),
        out(V4, "masqueraded_ip"),
        out(V6, "masqueraded_ip6"),
    ]
}

fn accept_known() -> Rule {
    let known = Expression::State(&[State::Established, State::Related]);
    rule("known flows", [known, Expression::Do(Action::Accept)])
}

pub(crate) fn chain(chain: &'static str, base: Option<Base>, rules: Vec<Rule>) -> Chain {
    Chain {
        name: chain.into(),
        base,
        rules,
    }
}

pub(crate) fn base(kind: ChainKind, hook: Hook, priority: i32) -> Option<Base> {
    Some(Base {
        kind,
        hook,
        priority,
    })
}

pub(crate) fn rule<const N: usize>(comment: &'static str, expressions: [Expression; N]) -> Rule {
    Rule {
        expressions: expressions.into(),
        comment,
    }
}

/// Counts what it drops, so that an administrator sees which rule objects.
pub(crate) fn dropping<const N: usize>(comment: &'static str, matches: [Expression; N]) -> Rule {
    let mut expressions = Vec::from(matches);
    expressions.extend([Expression::Count, Expression::Do(Action::Drop)]);
    Rule {
        expressions,
        comment,
    }
}

pub(crate) fn name(name: &'static str) -> Name {
    name.into()
}

pub(crate) fn within(field: Field, set: &'static str) -> Expression {
    Expression::In(vec![field], name(set))
}

#[expect(
    clippy::expect_used,
    reason = "constants of this file; a test compiles them all"
)]
pub(crate) fn is_within(field: Field, prefix: &'static str) -> Expression {
    let prefix = prefix.parse().expect("a constant prefix");
    Expression::Is(field, Value::Prefix(prefix))
}

#[expect(
    clippy::expect_used,
    reason = "constants of this file; a test compiles them all"
)]
fn is_interface(interface: &'static str) -> Expression {
    let interface = interface.parse().expect("a constant interface name");
    Expression::Is(Field::InputInterface, Value::IfName(interface))
}
