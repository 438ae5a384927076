//! Says from first principles what policies make of a packet: who stands at both ends, and what [`judge`] says of the flow.

use std::net::IpAddr;

use hakone_base::IfName;
use hakone_network_policy::{Direction, Flow, Identity, Judgement, Party, Policy, judge};

use super::{Aimed, Place, is_link_local};
use crate::{
    packet::{Host, Packet, Route},
    ruleset::State,
    topology::{Bridge, Endpoint, Topology},
};

/// What the policies of one end make of a packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Say {
    Refused,
    Told,
    Passes,
}

impl Topology {
    /// Reports whether policies that are only audited would refuse a packet that reaches them: of its sender, and of its receiver.
    #[must_use]
    pub fn audits(&self, host: &Host, packet: &Packet) -> [bool; 2] {
        let (from, to, aimed) = self.way(host, packet);
        self.policies_say((from, to), host, packet, &aimed)
            .map(|say| say == Say::Told)
    }

    /// Reports whether some policy selects a member of the network: its members then reach each other through the host alone.
    pub(super) fn is_judged(&self, bridge: &Bridge) -> bool {
        let selected = |endpoint: &Endpoint| {
            let closes = |policy: &&Policy| policy.ingress.is_some() || policy.egress.is_some();
            let mut closing = self.policies.iter().filter(closes);
            closing.any(|policy| policy.selects(&endpoint.identity))
        };
        bridge.endpoints.iter().any(selected)
    }

    /// Reports whether the sender's policies let a packet out and the receiver's let it in. Who begins needs their consent, who
    /// answers does not; the host reaches everybody, and everybody its own gateway's ping.
    pub(super) fn policies_allow(
        &self,
        (from, to): (Place<'_>, Place<'_>),
        host: &Host,
        packet: &Packet,
        aimed: &Aimed,
    ) -> bool {
        let says = self.policies_say((from, to), host, packet, aimed);
        !says.contains(&Say::Refused)
    }

    fn policies_say(
        &self,
        (from, to): (Place<'_>, Place<'_>),
        host: &Host,
        packet: &Packet,
        aimed: &Aimed,
    ) -> [Say; 2] {
        let state = packet.flow.state();
        let known = matches!(state, State::Established | State::Related);
        let own = matches!(from, Place::Host) && host.is_local(packet.source);
        if known || own || self.is_needed(from, to, packet, aimed) {
            return [Say::Passes; 2];
        }
        let sender = place_of(from, packet.source);
        // The host speaks for itself under its own addresses; under another it speaks for a client, and is judged where it
        // sends to, before its own ports are led elsewhere.
        let sent_to = match (from, host.route(packet.destination)) {
            (Place::Host, Route::Through(name)) => self.network_behind(&name),
            (Place::Host, Route::Local) => Place::Host,
            (Place::Network(_) | Place::Outside, _) => to,
        };
        let receiver = place_of(sent_to, aimed.destination);
        let say = |direction, end: Option<&Endpoint>| {
            let say = end.map(|endpoint| self.say_of(direction, endpoint, packet, aimed));
            say.unwrap_or(Say::Passes)
        };
        [
            say(Direction::Egress, sender),
            say(Direction::Ingress, receiver),
        ]
    }

    /// An address may belong to an endpoint of any network; that of the subject is known by its place.
    fn say_of(
        &self,
        direction: Direction,
        subject: &Endpoint,
        packet: &Packet,
        aimed: &Aimed,
    ) -> Say {
        let peer = match direction {
            Direction::Egress => aimed.destination,
            Direction::Ingress => packet.source,
        };
        let names = match direction {
            Direction::Egress => self.names_of(subject, peer),
            Direction::Ingress => Vec::new(),
        };
        let known = self.identities(peer).map(Some);
        let mut peers: Vec<Option<&Identity>> = known.collect();
        peers.push(None);
        let says = peers.into_iter().map(|identity| {
            let own = Party {
                address: packet.source,
                identity: Some(&subject.identity),
                names: &[],
            };
            let other = Party {
                address: peer,
                identity,
                names: &names,
            };
            let (from, to) = match direction {
                Direction::Egress => (own, other),
                Direction::Ingress => (other, own),
            };
            let flow = Flow {
                from,
                to,
                protocol: packet.transport.protocol,
                port: aimed.port,
            };
            match judge(self.policies.iter(), direction, &flow) {
                Judgement::Open | Judgement::Allowed(..) => Say::Passes,
                Judgement::Audited(_) => Say::Told,
                Judgement::Denied(_) => Say::Refused,
            }
        });
        says.max().unwrap_or(Say::Passes)
    }

    /// Gives the names under which an endpoint's container may begin flows to an address now.
    fn names_of(&self, subject: &Endpoint, peer: IpAddr) -> Vec<String> {
        let mut given = self.resolved.iter();
        let mine = given.find(|one| one.container == subject.container && one.address == peer);
        let mine = mine.filter(|one| one.until.is_some());
        mine.map_or_else(Vec::new, |one| one.names.clone())
    }

    fn network_behind(&self, name: &IfName) -> Place<'_> {
        let mut bridges = self.bridges.iter();
        let bridge = bridges.find(|bridge| bridge.name == *name);
        bridge.map_or(Place::Outside, Place::Network)
    }

    fn identities(&self, address: IpAddr) -> impl Iterator<Item = &Identity> {
        let endpoints = self.bridges.iter().flat_map(|bridge| &bridge.endpoints);
        let owners = endpoints.filter(move |endpoint| has(endpoint, address));
        owners.map(|endpoint| &endpoint.identity)
    }

    /// What a network needs of its gateway: ping, and what finds neighbours.
    fn is_needed(&self, from: Place<'_>, to: Place<'_>, packet: &Packet, aimed: &Aimed) -> bool {
        let (Place::Network(bridge), Place::Host) = (from, to) else {
            return false;
        };
        let destination = aimed.destination;
        let gateway = bridge.gateways.contains(&destination) && !is_link_local(destination);
        let on_link = matches!(destination, IpAddr::V6(address)
            if address.is_unicast_link_local() || address.segments()[0] == 0xff02);
        let ping = match destination {
            IpAddr::V4(_) => packet.transport.protocol == 1,
            IpAddr::V6(_) => packet.transport.protocol == 58,
        };
        self.is_judged(bridge) && ping && (gateway || on_link)
    }
}

fn place_of(place: Place<'_>, address: IpAddr) -> Option<&Endpoint> {
    match place {
        Place::Host | Place::Outside => None,
        Place::Network(bridge) => {
            let mut endpoints = bridge.endpoints.iter();
            endpoints.find(|endpoint| has(endpoint, address))
        }
    }
}

fn has(endpoint: &Endpoint, address: IpAddr) -> bool {
    let on_link = IpAddr::V6(endpoint.mac.link_local());
    let own = &endpoint.addresses;
    own.contains(&address) || (address == on_link && own.iter().any(IpAddr::is_ipv6))
}
