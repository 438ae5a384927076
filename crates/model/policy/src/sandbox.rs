//! The table that a container's own network namespace gets: where its resolver is, and how many neighbours it may ask for.
//!
//! The resolver is asked at port 53, but a container may want to bind that port on all addresses itself. So the resolver sits
//! on free ports, and these rules rewrite the port in what is asked and answered. Queries are rewritten before connection
//! tracking and answers after it, so that rules which the container loads itself see one consistent flow; answers reach the
//! container over its loopback, and only there are they looked for. All else that a container sends passes one base chain, whose
//! first rule lets it go. Who has `CAP_NET_ADMIN` in there can take the table away, as he can make interfaces of his own.

use std::{collections::BTreeMap, net::Ipv4Addr};

use hakone_base::Protocol;

use crate::{
    compile::{RAW, TABLE, base, chain, is_protocol, rule},
    neighbours,
    ruleset::{
        Chain, ChainKind, Expression, Family, Field, Hook, IpFamily, Rule, Ruleset, Table, Value,
    },
    topology::Ipv6Rules,
};

/// What is wanted of a sandbox's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// Where its resolver listens, when it has one.
    pub resolver: Option<Listener>,
    /// Which neighbours are counted; without, it may ask for any number.
    pub neighbours: Option<Ipv6Rules>,
}

/// A service on other ports than clients ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The service's address, a loopback one.
    pub address: Ipv4Addr,
    /// The port that clients ask.
    pub asked: u16,
    /// The port the service is bound to for TCP.
    pub tcp: u16,
    /// The port the service is bound to for UDP.
    pub udp: u16,
}

/// Derives the table; no rules when nothing is wanted.
#[must_use]
pub fn compile_sandbox(wanted: &Sandbox) -> Ruleset {
    let send = base(ChainKind::Filter, Hook::Output, RAW);
    let receive = base(ChainKind::Filter, Hook::Loopback, 0);
    let chains = [
        chain("send", send, sent(wanted)),
        chain("answers", receive, answers(wanted.resolver)),
    ];
    let chains: Vec<Chain> = chains.into_iter().filter(has_rules).collect();
    let table = Table {
        family: Family::Inet,
        name: TABLE.into(),
        sets: wanted
            .neighbours
            .map(|_| neighbours::sets_inside())
            .unwrap_or_default(),
        groups: BTreeMap::new(),
        chains,
    };
    let tables = [table].into_iter().filter(|table| !table.chains.is_empty());
    Ruleset {
        tables: tables.collect(),
    }
}

fn has_rules(chain: &Chain) -> bool {
    !chain.rules.is_empty()
}

/// What goes to known neighbours is most of all, and comes first.
fn sent(wanted: &Sandbox) -> Vec<Rule> {
    let known = wanted.neighbours.map(neighbours::known_inside);
    let queries = wanted.resolver.map(queries);
    let asking = wanted.neighbours.map(neighbours::asking_inside);
    [known, queries, asking]
        .into_iter()
        .flatten()
        .flatten()
        .collect()
}

fn queries(to: Listener) -> Vec<Rule> {
    let rewritten = |(protocol, bound)| {
        let ends = (Field::Destination(IpFamily::V4), Field::DestinationPort);
        rewritten(
            "asks the resolver",
            to.address,
            ends,
            protocol,
            (to.asked, bound),
        )
    };
    to.bound().map(rewritten).into()
}

fn answers(of: Option<Listener>) -> Vec<Rule> {
    let of_one = |of: Listener| {
        let ends = (Field::Source(IpFamily::V4), Field::SourcePort);
        let rewritten = |(protocol, bound)| {
            rewritten(
                "the resolver answers",
                of.address,
                ends,
                protocol,
                (bound, of.asked),
            )
        };
        of.bound().map(rewritten)
    };
    of.into_iter().flat_map(of_one).collect()
}

/// Gives a port of packets of one end another number.
fn rewritten(
    comment: &'static str,
    address: Ipv4Addr,
    (end, port): (Field, Field),
    protocol: Protocol,
    (from, to): (u16, u16),
) -> Rule {
    rule(
        comment,
        [
            Expression::Is(end, Value::Address(address.into())),
            is_protocol(protocol.number()),
            Expression::Is(port, Value::Port(from)),
            Expression::SetPort(protocol, port, to),
        ],
    )
}

impl Listener {
    const fn bound(self) -> [(Protocol, u16); 2] {
        [(Protocol::Udp, self.udp), (Protocol::Tcp, self.tcp)]
    }
}

#[cfg(test)]
mod tests {
    use crate::{Flow, Host, Origin, Packet, Topology, Transport, Verdict};

    use super::*;

    const WANTED: Sandbox = Sandbox {
        resolver: Some(Listener {
            address: Ipv4Addr::new(127, 0, 0, 11),
            asked: 53,
            tcp: 4001,
            udp: 4002,
        }),
        neighbours: Some(Ipv6Rules::Loaded),
    };

    /// Sends from inside while too many neighbours were asked for; gives the port where it arrives.
    fn send(wanted: &Sandbox, to: &str, transport: Transport) -> Option<u16> {
        let host = Host::new(&Topology::default(), &[], "eth0".parse().unwrap());
        let packet = Packet {
            origin: Origin::Host,
            source: "10.0.0.2".parse().unwrap(),
            destination: to.parse().unwrap(),
            transport,
            flow: Flow::New,
            crowded: false,
            scanning: true,
        };
        match compile_sandbox(wanted).verdict(&host, &packet) {
            Verdict::Delivered(delivery) => delivery.port,
            Verdict::Dropped => None,
        }
    }

    #[test]
    fn queries_reach_the_resolver_and_nothing_else_is_rewritten() {
        let (tcp, udp) = (
            |port| Transport::to_port(6, port),
            |port| Transport::to_port(17, port),
        );
        assert_eq!(send(&WANTED, "127.0.0.11", udp(53)), Some(4002));
        assert_eq!(send(&WANTED, "127.0.0.11", tcp(53)), Some(4001));
        assert_eq!(send(&WANTED, "127.0.0.11", tcp(54)), Some(54));
        assert_eq!(send(&WANTED, "127.0.0.1", udp(53)), Some(53));
    }

    #[test]
    fn neighbours_are_counted_where_rules_for_their_family_are_wanted() {
        let web = Transport::to_port(6, 80);
        let none = Sandbox {
            neighbours: None,
            ..WANTED
        };
        let v4 = Sandbox {
            neighbours: Some(Ipv6Rules::None),
            ..WANTED
        };
        for (wanted, arrives, arrives_v6) in [
            (WANTED, false, false),
            (v4, false, true),
            (none, true, true),
        ] {
            assert_eq!(
                send(&wanted, "10.0.0.9", web).is_some(),
                arrives,
                "{wanted:?}"
            );
            assert_eq!(
                send(&wanted, "fd00::9", web).is_some(),
                arrives_v6,
                "{wanted:?}"
            );
            assert_eq!(send(&wanted, "127.0.0.1", web), Some(80), "{wanted:?}");
        }
    }

    #[test]
    fn who_wants_nothing_gets_nothing() {
        let nothing = Sandbox {
            resolver: None,
            neighbours: None,
        };
        assert_eq!(compile_sandbox(&nothing), Ruleset::default());
    }
}
