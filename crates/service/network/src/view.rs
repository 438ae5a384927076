//! Networks as the Engine API shows them.

use std::collections::HashMap;

use hakone_engine_api::wire;
use hakone_ipam::Pool;

use crate::{
    EndpointReport, NetworkSpec,
    record::Network,
    state::{Stage, State},
};

/// Shows a network as lists do.
pub(crate) fn summary(network: &Network) -> wire::Network {
    let spec = &network.spec;
    wire::Network {
        name: Some(network.name().to_owned()),
        id: Some(network.id.to_string()),
        created: Some(network.created.to_string()),
        scope: Some("local".to_owned()),
        driver: Some(spec.driver.as_str().to_owned()),
        enable_ipv4: Some(spec.ipv4),
        enable_ipv6: Some(spec.ipv6),
        ipam: Some(ipam(network)),
        internal: Some(spec.internal),
        attachable: Some(spec.attachable),
        ingress: Some(false),
        config_from: Some(wire::ConfigReference {
            network: Some(String::new()),
        }),
        config_only: Some(false),
        options: Some(spec.options.clone().into_iter().collect()),
        labels: Some(labels(spec)),
        peers: None,
    }
}

/// Shows a network with its endpoints.
pub(crate) fn inspect(state: &State, network: &Network) -> wire::NetworkInspect {
    let shown = summary(network);
    let live = state
        .endpoints(&network.id)
        .filter(|(_, attached, _)| attached.stage == Stage::Live);
    let containers = live.map(|(container, attached, endpoint)| {
        (
            container.to_string(),
            resource(attached.report.name.as_str(), endpoint),
        )
    });
    wire::NetworkInspect {
        name: shown.name,
        id: shown.id,
        created: shown.created,
        scope: shown.scope,
        driver: shown.driver,
        enable_ipv4: shown.enable_ipv4,
        enable_ipv6: shown.enable_ipv6,
        ipam: shown.ipam,
        internal: shown.internal,
        attachable: shown.attachable,
        ingress: shown.ingress,
        config_from: shown.config_from,
        config_only: shown.config_only,
        options: shown.options,
        labels: shown.labels,
        containers: Some(containers.collect()),
        ..wire::NetworkInspect::default()
    }
}

fn labels(spec: &NetworkSpec) -> HashMap<String, String> {
    spec.labels.clone().into_iter().collect()
}

fn ipam(network: &Network) -> wire::Ipam {
    wire::Ipam {
        driver: Some("default".to_owned()),
        config: Some(network.pools.iter().map(config).collect()),
        options: Some(network.spec.ipam_options.clone().into_iter().collect()),
    }
}

fn config(pool: &Pool) -> wire::IpamConfig {
    let auxiliary = pool.auxiliary.iter();
    let auxiliary = auxiliary.map(|(name, address)| (name.clone(), address.to_string()));
    wire::IpamConfig {
        subnet: Some(pool.subnet.to_string()),
        ip_range: pool.range.map(|range| range.to_string()),
        gateway: Some(pool.gateway.to_string()),
        auxiliary_addresses: (!pool.auxiliary.is_empty()).then(|| auxiliary.collect()),
    }
}

fn resource(name: &str, endpoint: &EndpointReport) -> wire::EndpointResource {
    let v4 = endpoint
        .ipv4
        .map(|v4| format!("{}/{}", v4.address, v4.prefix_len));
    let v6 = endpoint
        .ipv6
        .map(|v6| format!("{}/{}", v6.address, v6.prefix_len));
    wire::EndpointResource {
        name: Some(name.to_owned()),
        endpoint_id: Some(endpoint.id.to_string()),
        mac_address: Some(endpoint.mac.map(|mac| mac.to_string()).unwrap_or_default()),
        ipv4_address: Some(v4.unwrap_or_default()),
        ipv6_address: Some(v6.unwrap_or_default()),
    }
}
