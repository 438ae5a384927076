//! Derives what the firewall has to know, whole, from the state.

use hakone_base::ContainerId;
use hakone_policy::{Bridge, Endpoint, Icc, Multicast, Options, Topology};

use crate::{
    EndpointReport,
    record::Network,
    state::{Attached, Stage, State},
};

/// Derives the topology of all bridge networks.
pub(crate) fn of(state: &State, options: Options) -> Topology {
    Topology {
        bridges: state
            .networks
            .values()
            .filter_map(|network| bridge(state, network))
            .collect(),
        options,
    }
}

fn bridge(state: &State, network: &Network) -> Option<Bridge> {
    let live = state
        .endpoints(&network.id)
        .filter(|(_, attached, _)| attached.stage == Stage::Live);
    Some(Bridge {
        network: network.id.clone(),
        name: network.bridge.clone()?,
        subnets: network.pools.iter().map(|pool| pool.subnet).collect(),
        gateways: network.pools.iter().map(|pool| pool.gateway).collect(),
        internal: network.spec.internal,
        icc: match network.spec.bridge.icc {
            true => Icc::Allowed,
            false => Icc::Denied,
        },
        multicast: Multicast::Denied,
        masquerade: network.spec.bridge.masquerade && !network.spec.internal,
        endpoints: live
            .filter_map(|(id, attached, found)| endpoint(id, attached, found))
            .map(|endpoint| led_by_rules(network, endpoint))
            .collect(),
    })
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
        addresses: endpoint.addresses().collect(),
        published: match publishes {
            true => attached.report.published.clone(),
            false => Vec::new(),
        },
    })
}
