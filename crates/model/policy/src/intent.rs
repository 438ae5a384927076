//! Says from first principles what should become of a packet: promise by promise, with no rule in sight.
//!
//! Shares nothing with [`crate::compile`] but the topology, so that a mistake in one shows against the other. Whoever changes
//! what is promised changes this file first.

mod frame;
mod policy;

use std::net::IpAddr;

use hakone_base::{ExposedPort, IfName, PublishedPort, Subnet};

use crate::{
    packet::{Delivery, Flow, Host, Origin, Packet, Route, SourceSeen, Verdict},
    ruleset::State,
    topology::{
        Bridge, DirectRouting, Endpoint, GatewayMode, HostAccess, Icc, Ipv6Rules, Metadata,
        Topology,
    },
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
        let (from, to, aimed) = self.way(host, packet);
        if packet.destination.is_ipv6() && self.options.ipv6 == Ipv6Rules::None {
            return untouched(host, packet);
        }
        let past_bridge = |name: &IfName| name.as_str().starts_with("hk");
        if matches!(&packet.origin, Origin::Interface(name) if past_bridge(name)) {
            return Verdict::Dropped;
        }
        if !self.is_honest(from, packet) || !self.may_name(from, packet.destination) {
            return Verdict::Dropped;
        }
        // One container's flows are its own affair, up to a number.
        let begins = packet.flow == Flow::New && matches!(from, Place::Network(_));
        if begins && packet.crowded {
            return Verdict::Dropped;
        }
        // One container's search for machines is its own affair, too; its own network's are known.
        let searches = begins && !matches!(to, Place::Host) && !is_same_network(from, to);
        if searches && packet.scanning {
            return Verdict::Dropped;
        }
        let allowed = self.policies_allow((from, to), host, packet, &aimed);
        if !allowed || !self.may_pass(from, to, packet, &aimed) {
            return Verdict::Dropped;
        }
        Verdict::Delivered(Delivery {
            to: host.route(aimed.destination),
            destination: aimed.destination,
            port: aimed.port,
            source: source_seen(from, to, packet, &aimed),
        })
    }

    /// Tells where a packet comes from, where it goes, and what it means there.
    fn way(&self, host: &Host, packet: &Packet) -> (Place<'_>, Place<'_>, Aimed) {
        let place = |name: &IfName| {
            let bridge = self.bridges.iter().find(|bridge| bridge.name == *name);
            bridge.map_or(Place::Outside, Place::Network)
        };
        let from = match &packet.origin {
            Origin::Host => Place::Host,
            Origin::Interface(name) => place(name),
        };
        let aimed = self.aim(host, packet);
        let to = match host.route(aimed.destination) {
            Route::Local => Place::Host,
            Route::Through(name) => place(&name),
        };
        (from, to, aimed)
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

    /// A port bound to one address goes before one bound to all, where the address is the host's; of two claims the first name
    /// wins.
    fn published_at(&self, host: &Host, packet: &Packet) -> Option<(IpAddr, &PublishedPort)> {
        let asked = packet.destination;
        let listened = asked.is_loopback() || asked.is_unspecified() || is_link_local(asked);
        if listened || !host.is_local(asked) {
            return None;
        }
        let mut claims: Vec<_> = self
            .bridges
            .iter()
            .filter(|bridge| !bridge.internal)
            .collect();
        claims.sort_by_key(|bridge| &bridge.name);
        let translated =
            |bridge: &&Bridge, address| bridge.access.of(address) != GatewayMode::Routed;
        let of_bridge = |bridge| claims_of(bridge).filter(move |(to, _)| translated(&bridge, *to));
        let mut claims: Vec<_> = claims.into_iter().flat_map(of_bridge).collect();
        claims.retain(|(_, port)| is_asked(port, packet));
        let bound = claims.iter().find(|(_, port)| port.host_address == asked);
        let unbound = claims.iter().find(|(_, port)| {
            port.host_address.is_unspecified() && port.host_address.is_ipv6() == asked.is_ipv6()
        });
        bound.or(unbound).copied()
    }

    fn may_pass(&self, from: Place<'_>, to: Place<'_>, packet: &Packet, aimed: &Aimed) -> bool {
        let state = packet.flow.state();
        let known = matches!(state, State::Established | State::Related);
        match (from, to) {
            (Place::Host, _) | (Place::Outside, Place::Host | Place::Outside) => true,
            (Place::Network(bridge), Place::Host) => {
                known || self.may_reach_host(bridge, packet, aimed)
            }
            (Place::Network(a), Place::Network(b)) if a.name == b.name => match a.icc {
                Icc::Allowed => is_somebody(a, aimed.destination),
                Icc::Denied => known || is_linked(a, packet, aimed),
            },
            (Place::Network(bridge), Place::Outside) => {
                !bridge.internal
                    && state != State::Invalid
                    && !is_overlay(bridge, packet, aimed)
                    && self.may_ask(bridge, packet, aimed)
            }
            (Place::Network(a), Place::Network(b)) => {
                let hardened = [a, b].map(is_hardened).contains(&true);
                !a.internal
                    && !b.internal
                    && !hardened
                    && aimed.published
                    && state != State::Invalid
                    && !is_overlay(a, packet, aimed)
                    && self.may_ask(a, packet, aimed)
            }
            (Place::Outside, Place::Network(bridge)) => {
                !bridge.internal
                    && (aimed.published || known || self.is_direct(bridge, packet, aimed))
            }
        }
    }

    /// An internal network pings its gateway; a hardened one also reaches the ports that were opened there; any other reaches
    /// what is no tunnel, no overlay and no metadata service.
    fn may_reach_host(&self, bridge: &Bridge, packet: &Packet, aimed: &Aimed) -> bool {
        let (destination, protocol) = (aimed.destination, packet.transport.protocol);
        let gateway = bridge.gateways.contains(&destination) && !is_link_local(destination);
        let ping = protocol == if destination.is_ipv6() { 58 } else { 1 };
        let discovery = matches!(destination, IpAddr::V6(on_link)
            if on_link.is_unicast_link_local() || on_link.segments()[0] == 0xff02);
        let common = ping && (gateway || discovery) && (protocol == 58 || gateway);
        match &bridge.host_access {
            _ if bridge.internal => common,
            HostAccess::Ports(ports) => {
                let opened = |port: &ExposedPort| {
                    port.protocol.number() == protocol && Some(port.port.get()) == aimed.port
                };
                common || (gateway && ports.iter().any(opened))
            }
            HostAccess::All => {
                [1, 2, 6, 17, 58, 132].contains(&protocol)
                    && !is_tunnel(packet, aimed)
                    && self.may_ask(bridge, packet, aimed)
            }
        }
    }

    /// What a cloud hands out under link-local addresses is the host's; its resolver answers all.
    fn may_ask(&self, bridge: &Bridge, packet: &Packet, aimed: &Aimed) -> bool {
        let secret = match aimed.destination {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254],
        };
        let question = [6, 17].contains(&packet.transport.protocol) && aimed.port == Some(53);
        let resolver = question && self.resolvers.contains(&aimed.destination);
        !secret || resolver || bridge.metadata == Metadata::Allowed
    }

    /// With direct routing a published port answers on the container's own address too.
    fn is_direct(&self, bridge: &Bridge, packet: &Packet, aimed: &Aimed) -> bool {
        let reaches = |(address, port): (IpAddr, &PublishedPort)| {
            address == aimed.destination
                && port.target.protocol.number() == packet.transport.protocol
                && Some(port.target.port.get()) == aimed.port
        };
        let mode = bridge.access.of(aimed.destination);
        let trusts = |name| bridge.access.trusted.contains(name);
        let trusted = matches!(&packet.origin, Origin::Interface(name) if trusts(name));
        let by_route = self.options.direct_routing == DirectRouting::Allowed || trusted;
        match mode {
            GatewayMode::NatUnprotected => true,
            GatewayMode::Routed => is_icmp(packet, aimed) || claims_of(bridge).any(reaches),
            GatewayMode::Nat => by_route && claims_of(bridge).any(reaches),
        }
    }
}

/// VXLAN's ports, Docker's and Linux's own, and GENEVE's.
fn is_tunnel(packet: &Packet, aimed: &Aimed) -> bool {
    packet.transport.protocol == 17 && matches!(aimed.port, Some(4789 | 6081 | 8472))
}

/// Under the host's address a container would be believed by the other hosts of an overlay.
fn is_overlay(bridge: &Bridge, packet: &Packet, aimed: &Aimed) -> bool {
    let begins = packet.flow == Flow::New;
    begins && is_tunnel(packet, aimed) && is_translated(bridge, packet.source)
}

fn is_translated(bridge: &Bridge, source: IpAddr) -> bool {
    bridge.masquerade && bridge.access.of(source) != GatewayMode::Routed
}

fn is_icmp(packet: &Packet, aimed: &Aimed) -> bool {
    let [v4, v6] = ICMP;
    packet.transport.protocol == if aimed.destination.is_ipv6() { v6 } else { v4 }
}

/// What a host without rules does; of a flow that was translated once, connection tracking still knows.
fn untouched(host: &Host, packet: &Packet) -> Verdict {
    let destination = match &packet.flow {
        Flow::Known { restored, .. } => restored.unwrap_or(packet.destination),
        Flow::New | Flow::Invalid => packet.destination,
    };
    Verdict::Delivered(Delivery {
        to: host.route(destination),
        destination,
        port: packet.transport.port,
        source: SourceSeen::Kept,
    })
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

fn is_same_network(from: Place<'_>, to: Place<'_>) -> bool {
    matches!((from, to), (Place::Network(a), Place::Network(b)) if a.name == b.name)
}

fn is_hardened(bridge: &Bridge) -> bool {
    !bridge.internal && matches!(bridge.host_access, HostAccess::Ports(_))
}

/// An address of the network that nobody has is not asked for; what is no address of it is everybody's.
fn is_somebody(bridge: &Bridge, destination: IpAddr) -> bool {
    let subnet = |subnet: &Subnet| subnet.contains(destination);
    let broadcast =
        |subnet: &Subnet| destination.is_ipv4() && subnet.net().broadcast() == destination;
    let has = |endpoint: &Endpoint| endpoint.addresses.contains(&destination);
    !bridge.subnets.iter().any(subnet)
        || bridge.subnets.iter().any(broadcast)
        || bridge.endpoints.iter().any(has)
}

fn is_linked(bridge: &Bridge, packet: &Packet, aimed: &Aimed) -> bool {
    bridge.links.iter().any(|link| {
        link.client == packet.source
            && link.server == aimed.destination
            && link.port.protocol.number() == packet.transport.protocol
            && Some(link.port.port.get()) == aimed.port
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
        (Place::Network(bridge), Place::Outside) => is_translated(bridge, packet.source),
        (Place::Host | Place::Outside, Place::Host | Place::Outside)
        | (Place::Network(_), Place::Host) => false,
    };
    match masqueraded && packet.flow == Flow::New {
        true => SourceSeen::Masqueraded,
        false => SourceSeen::Kept,
    }
}
