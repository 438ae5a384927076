//! Who must consent to a flow, found by address: for flows that connection tracking knows, for proxies, and for people who ask.
//!
//! The rule set judges packets. What goes on beside it is judged here, by the same policies: a flow that was let through before a
//! policy came, a connection that the daemon carries itself.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use hakone_base::{ContainerId, DomainPattern, Protocol};
use hakone_network_policy::{
    Direction, Flow, Identity, Judgement, Mode, Party, Peer, Peers, Policy, judge,
};

use crate::topology::Topology;

/// Both ends of a flow, translations followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// Who began.
    pub source: IpAddr,
    /// Whom it reaches.
    pub destination: IpAddr,
    /// The IANA number of the protocol.
    pub protocol: u8,
    /// The receiver's port; `None` for a protocol without.
    pub port: Option<u16>,
}

/// Who is there, and the policies that select them.
#[derive(Debug, Default)]
pub struct Consent {
    people: HashMap<IpAddr, Person>,
}

#[derive(Debug)]
struct Person {
    identity: Identity,
    policies: Vec<Policy>,
    /// The names for which its container was given an address of another machine.
    given: HashMap<IpAddr, Vec<String>>,
}

impl Consent {
    /// Finds everybody of a topology.
    #[must_use]
    pub fn of(topology: &Topology) -> Self {
        if topology.policies.is_empty() {
            return Self::default();
        }
        let mut people = HashMap::new();
        let given = given(topology);
        let endpoints = topology.bridges.iter().flat_map(|bridge| &bridge.endpoints);
        for endpoint in endpoints {
            let selecting = topology
                .policies
                .iter()
                .filter(|policy| policy.selects(&endpoint.identity));
            let policies: Vec<Policy> = selecting.cloned().collect();
            for address in endpoint.every_address() {
                let person = Person {
                    identity: endpoint.identity.clone(),
                    policies: policies.clone(),
                    given: given.get(&endpoint.container).cloned().unwrap_or_default(),
                };
                people.insert(address, person);
            }
        }
        Self { people }
    }

    /// Reports whether no policy selects anybody: then every flow has everybody's consent.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.people
            .values()
            .all(|person| person.policies.is_empty())
    }

    /// Reports whether both ends consent to a flow that somebody other than the host began.
    #[must_use]
    pub fn allows(&self, ends: &Ends) -> bool {
        let [egress, ingress] = self.judge(ends);
        egress.is_allowed() && ingress.is_allowed()
    }

    /// Reports whether policies would let a container of these addresses ask one of the resolvers itself. A question leaves the
    /// host on its behalf, and data leaves in questions (attack `dns_tunnel`).
    #[must_use]
    pub fn lets_ask(&self, own: &[IpAddr], resolvers: &[IpAddr]) -> bool {
        self.is_given() || resolvers.iter().any(|one| self.lets_ask_one(own, *one))
    }

    /// Gives the names of other machines that policies open to a container of these addresses, and whether egress is closed but for
    /// what they open.
    #[must_use]
    pub fn names(&self, own: &[IpAddr]) -> (BTreeSet<DomainPattern>, bool) {
        let people = own.iter().filter_map(|address| self.people.get(address));
        let policies = people.flat_map(|person| &person.policies);
        let policies: Vec<&Policy> = policies.collect();
        let enforced = |one: &&&Policy| one.egress.is_some() && one.mode == Mode::Enforce;
        let is_closed = policies.iter().any(|one| enforced(&one));
        // Where an enforced policy closes, audited ones have no say.
        let deciding = policies.iter().filter(|one| !is_closed || enforced(one));
        let names = deciding.flat_map(|policy| policy.names());
        (names.cloned().collect(), is_closed)
    }

    /// Reports whether a flow leads to another machine at a port that the sender's policies open by some name.
    #[must_use]
    pub fn may_be_named(&self, ends: &Ends) -> bool {
        let Some(sender) = self.people.get(&ends.source) else {
            return false;
        };
        let rules = sender
            .policies
            .iter()
            .flat_map(|policy| policy.egress.iter().flatten());
        let mut by_name = rules.filter(|rule| match &rule.peers {
            Peers::All => false,
            Peers::These(peers) => peers.iter().any(|peer| matches!(peer, Peer::Name(_))),
        });
        let open = by_name.any(|rule| rule.ports.contain(ends.protocol, ends.port));
        open && !self.people.contains_key(&ends.destination)
    }

    /// A container asks by its addresses like the resolver's, and by all where it has none: the host asks for it.
    fn lets_ask_one(&self, own: &[IpAddr], resolver: IpAddr) -> bool {
        let asks = |source: &IpAddr| {
            let [egress, _] = self.judge(&Ends {
                source: *source,
                destination: resolver,
                protocol: Protocol::Udp.number(),
                port: Some(53),
            });
            egress.is_allowed()
        };
        let is_like = |own: &&IpAddr| own.is_ipv6() == resolver.is_ipv6();
        let any_like = own.iter().any(|own| is_like(&own));
        let mut asking = own.iter().filter(|own| !any_like || is_like(own));
        asking.all(asks)
    }

    /// Says what the sender's and the receiver's policies make of a flow.
    #[must_use]
    pub fn judge(&self, ends: &Ends) -> [Judgement<'_>; 2] {
        let (sender, receiver) = (
            self.people.get(&ends.source),
            self.people.get(&ends.destination),
        );
        let names = sender.and_then(|sender| sender.given.get(&ends.destination));
        let flow = Flow {
            from: party(ends.source, sender),
            to: Party {
                names: names.map_or(&[], Vec::as_slice),
                ..party(ends.destination, receiver)
            },
            protocol: ends.protocol,
            port: ends.port,
        };
        [
            consent(sender, Direction::Egress, &flow),
            consent(receiver, Direction::Ingress, &flow),
        ]
    }
}

fn party(address: IpAddr, person: Option<&Person>) -> Party<'_> {
    Party {
        address,
        identity: person.map(|person| &person.identity),
        names: &[],
    }
}

fn consent<'a>(person: Option<&'a Person>, direction: Direction, flow: &Flow<'_>) -> Judgement<'a> {
    match person {
        Some(person) => judge(&person.policies, direction, flow),
        None => Judgement::Open,
    }
}

/// Gives what containers were given for names, also what is over: flows that began before go on.
fn given(topology: &Topology) -> HashMap<&ContainerId, HashMap<IpAddr, Vec<String>>> {
    let mut given: HashMap<_, HashMap<_, _>> = HashMap::new();
    for one in &topology.resolved {
        let own = given.entry(&one.container).or_default();
        own.insert(one.address, one.names.clone());
    }
    given
}
