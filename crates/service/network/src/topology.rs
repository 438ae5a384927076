//! Derives what the firewall has to know, whole, from the state.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use hakone_base::{BridgeName, ContainerId, ExposedPort, MacAddr};
use hakone_network_model::Defences;
use hakone_network_policy::{Facts, Identity, Policy};
use hakone_policy::{Access, Bridge, Endpoint, Icc, Link, Options, Resolved, Topology};

use crate::{
    EndpointReport, GatewayMode, SandboxReport,
    record::Network,
    resolver::now,
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
    /// The bridges' Ethernet addresses.
    pub(crate) macs: BTreeMap<BridgeName, MacAddr>,
}

/// Derives the topology of all bridge networks.
pub(crate) fn of(state: &State, given: &Given) -> Topology {
    Topology {
        bridges: state
            .networks
            .values()
            .filter_map(|network| bridge(state, network, given))
            .collect(),
        options: given.options,
        resolvers: given.resolvers.clone(),
        policies: policies(state),
        resolved: resolved(state),
    }
}

/// Gives what the resolver answered about names; what is over no longer opens.
fn resolved(state: &State) -> Vec<Resolved> {
    let now = now();
    let given = state.given.iter();
    given
        .flat_map(|(container, given)| given.resolved(container, now))
        .collect()
}

/// Gives the policies that are stored and those that containers' labels state.
pub(crate) fn policies(state: &State) -> Vec<Policy> {
    let stored = state.policies.values().map(|stored| stored.policy.clone());
    let live = state.sandboxes.iter();
    let live = live.filter(|(_, attached)| attached.stage == Stage::Live);
    let stated = live.flat_map(|(container, attached)| of_labels(state, container, attached));
    stored.chain(stated).collect()
}

/// A container without a project is at home in each of its networks, and its labels mean each of them.
pub(crate) fn of_labels(
    state: &State,
    container: &ContainerId,
    attached: &Attached,
) -> Vec<Policy> {
    let report = &attached.report;
    let namespaces: BTreeSet<String> = report
        .endpoints
        .iter()
        .filter_map(|endpoint| Some(identity(state, container, report, endpoint)?.namespace))
        .collect();
    let policy = |namespace: &String| {
        let policy = hakone_network_policy::of_labels(container, namespace, &report.labels);
        // What cannot be read was refused at create; what slipped through must not open anything.
        policy.unwrap_or_else(|error| {
            tracing::error!(container.id = %container, error, "labels state no policy: closed");
            Some(Policy::closed(container, namespace))
        })
    };
    namespaces.iter().filter_map(policy).collect()
}

/// Says who an endpoint is to policies.
pub(crate) fn identity(
    state: &State,
    container: &ContainerId,
    report: &SandboxReport,
    endpoint: &EndpointReport,
) -> Option<Identity> {
    let network = state.networks.get(&endpoint.network)?;
    Some(Identity::of(Facts {
        container,
        name: report.name.as_str(),
        labels: &report.labels,
        network: network.name(),
        network_labels: &network.spec.labels,
    }))
}

fn bridge(state: &State, network: &Network, given: &Given) -> Option<Bridge> {
    let live = state
        .endpoints(&network.id)
        .filter(|(_, attached, _)| attached.stage == Stage::Live);
    let defences = Defences::of(&network.spec);
    let name = network.bridge.clone()?;
    // A bridge that is yet to be made has no endpoints to lead there.
    let unknown = MacAddr::new([0; 6]);
    Some(Bridge {
        network: network.id.clone(),
        mac: given.macs.get(&name).copied().unwrap_or(unknown),
        name,
        subnets: network.pools.iter().map(|pool| pool.subnet).collect(),
        gateways: network.gateways().map(|gateway| gateway.addr()).collect(),
        internal: network.spec.internal,
        icc: match network.spec.bridge.icc {
            true => Icc::Allowed,
            false => Icc::Denied,
        },
        multicast: defences.multicast,
        metadata: defences.metadata,
        host_access: defences.host_access(given.hardened),
        access: Access {
            v4: mode(network.spec.bridge.gateway_mode_v4),
            v6: mode(network.spec.bridge.gateway_mode_v6),
            trusted: network.spec.bridge.trusted.clone(),
        },
        masquerade: network.spec.bridge.masquerade && !network.spec.internal,
        endpoints: live
            .filter_map(|(id, attached, found)| endpoint(state, id, attached, found))
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
    state: &State,
    container: &ContainerId,
    attached: &Attached,
    endpoint: &EndpointReport,
) -> Option<Endpoint> {
    let publishes = attached.report.publishing() == Some(&endpoint.id);
    Some(Endpoint {
        id: endpoint.id.clone(),
        container: container.clone(),
        identity: identity(state, container, &attached.report, endpoint)?,
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
