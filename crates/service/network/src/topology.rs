//! Derives what the firewall has to know, whole, from the state.

use std::net::IpAddr;

use hakone_base::{ContainerId, ExposedPort};
use hakone_policy::{Access, Bridge, Endpoint, Icc, Link, Options, Topology};

use crate::{
    EndpointReport, GatewayMode,
    defence::Defences,
    record::Network,
    state::{Attached, Stage, State},
};

/// What of the topology does not stand in the state: the daemon's settings and the host's facts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    pub(crate) options: Options,
    /// Whether a network that does not say otherwise is hardened.
    pub(crate) hardened: bool,
    /// The host's resolvers under link-local addresses.
    pub(crate) resolvers: Vec<IpAddr>,
}

/// Derives the topology of all bridge networks.
pub(crate) fn of(state: &State, given: &Given) -> Topology {
    Topology {
        bridges: state
            .networks
            .values()
            .filter_map(|network| bridge(state, network, given.hardened))
            .collect(),
        options: given.options,
        resolvers: given.resolvers.clone(),
    }
}

fn bridge(state: &State, network: &Network, hardened: bool) -> Option<Bridge> {
    let live = state
        .endpoints(&network.id)
        .filter(|(_, attached, _)| attached.stage == Stage::Live);
    let defences = Defences::of(&network.spec);
    Some(Bridge {
        network: network.id.clone(),
        name: network.bridge.clone()?,
        subnets: network.pools.iter().map(|pool| pool.subnet).collect(),
        gateways: network.gateways().map(|gateway| gateway.addr()).collect(),
        internal: network.spec.internal,
        icc: match network.spec.bridge.icc {
            true => Icc::Allowed,
            false => Icc::Denied,
        },
        multicast: defences.multicast,
        metadata: defences.metadata,
        host_access: defences.host_access(hardened),
        access: Access {
            v4: mode(network.spec.bridge.gateway_mode_v4),
            v6: mode(network.spec.bridge.gateway_mode_v6),
            trusted: network.spec.bridge.trusted.clone(),
        },
        masquerade: network.spec.bridge.masquerade && !network.spec.internal,
        endpoints: live
            .filter_map(|(id, attached, found)| endpoint(id, attached, found))
            .map(|endpoint| led_by_rules(network, endpoint))
            .collect(),
        links: match network.spec.bridge.icc {
            true => Vec::new(),
            false => links(state, network),
        },
    })
}

/// Nothing leads into or out of an isolated network; what its gateway would do, no packet asks.
const fn mode(mode: GatewayMode) -> hakone_policy::GatewayMode {
    match mode {
        GatewayMode::Nat | GatewayMode::Isolated => hakone_policy::GatewayMode::Nat,
        GatewayMode::NatUnprotected => hakone_policy::GatewayMode::NatUnprotected,
        GatewayMode::Routed => hakone_policy::GatewayMode::Routed,
    }
}

/// Ports that obey the host's INPUT rules are served by its sockets: no rule leads past INPUT.
fn led_by_rules(network: &Network, endpoint: Endpoint) -> Endpoint {
    match network.respects_firewall() {
        true => Endpoint {
            published: Vec::new(),
            ..endpoint
        },
        false => endpoint,
    }
}

/// Gives what legacy links open: from each address of a container to the exposed ports of those that it is linked to.
fn links(state: &State, network: &Network) -> Vec<Link> {
    let live = |id: &ContainerId| {
        let mut endpoints = state.endpoints(&network.id);
        endpoints.find(|(other, attached, _)| *other == id && attached.stage == Stage::Live)
    };
    let mut links = Vec::new();
    for (_, client, from) in state.endpoints(&network.id) {
        for (_, server, to) in client.report.links.iter().filter_map(live) {
            let exposed = server.report.exposed.iter();
            links.extend(exposed.flat_map(|port| pairs(from, to, *port)));
        }
    }
    links
}

fn pairs(
    from: &EndpointReport,
    to: &EndpointReport,
    port: ExposedPort,
) -> impl Iterator<Item = Link> {
    let like = move |client: IpAddr| {
        let server = to.addresses().find(|to| to.is_ipv6() == client.is_ipv6())?;
        Some(Link {
            client,
            server,
            port,
        })
    };
    from.addresses().filter_map(like)
}

fn endpoint(
    container: &ContainerId,
    attached: &Attached,
    endpoint: &EndpointReport,
) -> Option<Endpoint> {
    let publishes = attached.report.publishing() == Some(&endpoint.id);
    Some(Endpoint {
        id: endpoint.id.clone(),
        container: container.clone(),
        port: endpoint.port.clone()?,
        mac: endpoint.mac?,
        addresses: endpoint
            .addresses()
            .chain(endpoint.shared_addresses())
            .collect(),
        published: match publishes {
            true => attached.report.published.clone(),
            false => Vec::new(),
        },
    })
}
