//! Says from first principles what policies make of a packet: who stands at both ends, and what [`judge`] says of the flow.

use std::net::IpAddr;

use hakone_base::IfName;
use hakone_network_policy::{Direction, Flow, Identity, Party, Policy, judge};

use super::{Aimed, Place, is_link_local};
use crate::{
    packet::{Host, Packet, Route},
    ruleset::State,
    topology::{Bridge, Endpoint, Topology},
};

impl Topology {
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
        let state = packet.flow.state();
        let known = matches!(state, State::Established | State::Related);
        let own = matches!(from, Place::Host) && host.is_local(packet.source);
        if known || own || self.is_needed(from, to, packet, aimed) {
            return true;
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
        let consents = |direction, end: Option<&Endpoint>| {
            end.is_none_or(|endpoint| self.consents(direction, endpoint, packet, aimed))
        };
        consents(Direction::Egress, sender) && consents(Direction::Ingress, receiver)
    }

    /// An address may belong to an endpoint of any network; that of the subject is known by its place.
    fn consents(
        &self,
        direction: Direction,
        subject: &Endpoint,
        packet: &Packet,
        aimed: &Aimed,
    ) -> bool {
        let peer = match direction {
            Direction::Egress => aimed.destination,
            Direction::Ingress => packet.source,
        };
        let known = self.identities(peer).map(Some);
        let mut peers: Vec<Option<&Identity>> = known.collect();
        peers.push(None);
        peers.into_iter().any(|identity| {
            let own = Party {
                address: packet.source,
                identity: Some(&subject.identity),
            };
            let other = Party {
                address: peer,
                identity,
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
            judge(self.policies.iter(), direction, &flow).is_allowed()
        })
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
