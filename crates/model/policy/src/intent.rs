//! Says from first principles what should become of a packet: promise by promise, with no rule in sight.
//!
//! Shares nothing with [`crate::compile`] but the topology, so that a mistake in one shows against the other. Whoever changes
//! what is promised changes this file first.

mod frame;

use std::net::IpAddr;

use hakone_base::{PublishedPort, Subnet};

use crate::{
    packet::{Delivery, Flow, Host, Origin, Packet, Route, SourceSeen, Verdict},
    ruleset::State,
    topology::{Bridge, DirectRouting, Endpoint, Icc, Topology},
};

/// IANA numbers of ICMP and ICMPv6.
const ICMP: [u8; 2] = [1, 58];

/// Where a packet comes from or goes to.
#[derive(Clone, Copy)]
enum Place<'a> {
    Host,
    Network(&'a Bridge),
    Outside,
}

/// A packet after the translations that its destination undergoes.
struct Aimed {
    destination: IpAddr,
    port: Option<u16>,
    published: bool,
}

impl Topology {
    /// Says what should become of a packet.
    #[must_use]
    pub fn verdict(&self, host: &Host, packet: &Packet) -> Verdict {
        let from = match &packet.origin {
            Origin::Host => Place::Host,
            Origin::Interface(name) => {
                let bridge = self.bridges.iter().find(|bridge| bridge.name == *name);
                bridge.map_or(Place::Outside, Place::Network)
            }
        };
        if !self.is_honest(from, packet) || !self.may_name(from, packet.destination) {
            return Verdict::Dropped;
        }
        let aimed = self.aim(host, packet);
        let route = host.route(aimed.destination);
        let to = match &route {
            Route::Local => Place::Host,
            Route::Through(name) => {
                let bridge = self.bridges.iter().find(|bridge| bridge.name == *name);
                bridge.map_or(Place::Outside, Place::Network)
            }
        };
        if !self.may_pass(from, to, packet, &aimed) {
            return Verdict::Dropped;
        }
        Verdict::Delivered(Delivery {
            to: route,
            destination: aimed.destination,
            port: aimed.port,
            source: source_seen(from, to, packet, &aimed),
        })
    }

    /// A source address is used by whom it belongs to, and where.
    fn is_honest(&self, from: Place<'_>, packet: &Packet) -> bool {
        let source = packet.source;
        match from {
            Place::Host => true,
            Place::Network(bridge) => {
                !source.is_loopback() && !self.is_gateway(source) && is_members(bridge, source)
            }
            Place::Outside => {
                let stolen = |bridge: &Bridge| is_among(&bridge.subnets, source);
                let strange = source.is_loopback() || self.is_gateway(source);
                !strange && !self.bridges.iter().any(stolen)
            }
        }
    }

    /// Loopback is the host's own, and a gateway is there for its own network and the host.
    fn may_name(&self, from: Place<'_>, destination: IpAddr) -> bool {
        let own = |bridge: &Bridge| bridge.gateways.contains(&destination);
        let foreign = self.is_gateway(destination);
        match from {
            Place::Host => true,
            Place::Network(bridge) => !destination.is_loopback() && (!foreign || own(bridge)),
            Place::Outside => !destination.is_loopback() && !foreign,
        }
    }

    fn is_gateway(&self, address: IpAddr) -> bool {
        let gateway = |bridge: &Bridge| bridge.gateways.contains(&address);
        !is_link_local(address) && self.bridges.iter().any(gateway)
    }

    /// A first packet to a published port is led to its container, later ones where their flow went.
    fn aim(&self, host: &Host, packet: &Packet) -> Aimed {
        let (destination, port) = (packet.destination, packet.transport.port);
        let unchanged = |destination, published| Aimed {
            destination,
            port,
            published,
        };
        match &packet.flow {
            Flow::Invalid => unchanged(destination, false),
            Flow::Known {
                restored,
                published,
                ..
            } => unchanged(restored.unwrap_or(destination), *published),
            Flow::New => match self.published_at(host, packet) {
                None => unchanged(destination, false),
                Some((address, port)) => Aimed {
                    destination: address,
                    port: Some(port.target.port.get()),
                    published: true,
                },
            },
        }
    }

    /// A port bound to one address goes before one bound to all; of two claims the first name wins.
    fn published_at(&self, host: &Host, packet: &Packet) -> Option<(IpAddr, &PublishedPort)> {
        let asked = packet.destination;
        if asked.is_loopback() || asked.is_unspecified() || is_link_local(asked) {
            return None;
        }
        let mut claims: Vec<_> = self
            .bridges
            .iter()
            .filter(|bridge| !bridge.internal)
            .collect();
        claims.sort_by_key(|bridge| &bridge.name);
        let mut claims: Vec<_> = claims.into_iter().flat_map(claims_of).collect();
        claims.retain(|(_, port)| is_asked(port, packet));
        let bound = claims.iter().find(|(_, port)| port.host_address == asked);
        let unbound = claims.iter().find(|(_, port)| {
            port.host_address.is_unspecified() && port.host_address.is_ipv6() == asked.is_ipv6()
        });
        bound.or(unbound.filter(|_| host.is_local(asked))).copied()
    }

    fn may_pass(&self, from: Place<'_>, to: Place<'_>, packet: &Packet, aimed: &Aimed) -> bool {
        let state = packet.flow.state();
        let known = matches!(state, State::Established | State::Related);
        match (from, to) {
            (Place::Host, _) | (Place::Outside, Place::Host | Place::Outside) => true,
            (Place::Network(bridge), Place::Host) => {
                !bridge.internal || known || ICMP.contains(&packet.transport.protocol)
            }
            (Place::Network(a), Place::Network(b)) if a.name == b.name => a.icc == Icc::Allowed,
            (Place::Network(bridge), Place::Outside) => !bridge.internal && state != State::Invalid,
            (Place::Network(a), Place::Network(b)) => {
                !a.internal && !b.internal && aimed.published && state != State::Invalid
            }
            (Place::Outside, Place::Network(bridge)) => {
                !bridge.internal
                    && (aimed.published || known || self.is_direct(bridge, packet, aimed))
            }
        }
    }

    /// With direct routing a published port answers on the container's own address too.
    fn is_direct(&self, bridge: &Bridge, packet: &Packet, aimed: &Aimed) -> bool {
        let reaches = |(address, port): (IpAddr, &PublishedPort)| {
            address == aimed.destination
                && port.target.protocol.number() == packet.transport.protocol
                && Some(port.target.port.get()) == aimed.port
        };
        self.options.direct_routing == DirectRouting::Allowed && claims_of(bridge).any(reaches)
    }
}

/// Each published port of a network with the container address it leads to; loopback is the daemon's business.
fn claims_of(bridge: &Bridge) -> impl Iterator<Item = (IpAddr, &PublishedPort)> {
    let mut endpoints: Vec<&Endpoint> = bridge.endpoints.iter().collect();
    endpoints.sort_by_key(|endpoint| &endpoint.id);
    endpoints.into_iter().flat_map(|endpoint| {
        let ports = endpoint
            .published
            .iter()
            .filter(|port| !port.host_address.is_loopback());
        ports.filter_map(|port| Some((endpoint.address_like(port.host_address)?, port)))
    })
}

fn is_asked(port: &PublishedPort, packet: &Packet) -> bool {
    port.target.protocol.number() == packet.transport.protocol
        && Some(port.host_port.get()) == packet.transport.port
}

/// A member uses an address of the network or of its own endpoint; on an IPv6 link also link-local and no address.
fn is_members(bridge: &Bridge, source: IpAddr) -> bool {
    let ipv6 = bridge.subnets.iter().any(Subnet::is_ipv6);
    let on_link = is_link_local(source) || (source.is_ipv6() && source.is_unspecified());
    let extra = |endpoint: &Endpoint| endpoint.addresses.contains(&source);
    is_among(&bridge.subnets, source) || bridge.endpoints.iter().any(extra) || (ipv6 && on_link)
}

fn is_among(subnets: &[Subnet], address: IpAddr) -> bool {
    subnets.iter().any(|subnet| subnet.contains(address))
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// The real source is seen, except outside of a masqueraded network and by published ports from a container: there the
/// reply must find its way back through the host. The same holds for whoever uses an address of the network he enters.
fn source_seen(from: Place<'_>, to: Place<'_>, packet: &Packet, aimed: &Aimed) -> SourceSeen {
    let masqueraded = match (from, to) {
        (Place::Network(_), Place::Network(_)) => aimed.published,
        (Place::Host | Place::Outside, Place::Network(bridge)) => {
            aimed.published && is_members(bridge, packet.source)
        }
        (Place::Network(bridge), Place::Outside) => bridge.masquerade,
        (Place::Host | Place::Outside, Place::Host | Place::Outside)
        | (Place::Network(_), Place::Host) => false,
    };
    match masqueraded && packet.flow == Flow::New {
        true => SourceSeen::Masqueraded,
        false => SourceSeen::Kept,
    }
}
