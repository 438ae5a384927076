//! Networks as the Engine API shows them.

use std::collections::HashMap;

use hakone_engine_api::wire;
use hakone_ipam::{Pool, PoolRequest};

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
        scope: Some(
            match network.global {
                true => "global",
                false => "local",
            }
            .to_owned(),
        ),
        driver: Some(spec.driver_name().to_owned()),
        enable_ipv4: Some(spec.ipv4),
        enable_ipv6: Some(spec.ipv6),
        ipam: Some(ipam(network)),
        internal: Some(spec.internal),
        attachable: Some(spec.attachable),
        ingress: Some(false),
        config_from: Some(wire::ConfigReference {
            network: Some(spec.config_from.clone().unwrap_or_default()),
        }),
        config_only: Some(spec.config_only),
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
    let spec = &network.spec;
    let driver = spec.ipam_driver.as_deref().unwrap_or("default");
    let config: Vec<_> = match spec.config_only {
        true => spec.pattern.iter().map(asked).collect(),
        false => network.pools.iter().map(config).collect(),
    };
    // Of a pattern, and of what is made by one, Docker shows nothing where nobody said something.
    let is_said = spec.config_from.is_none() && !spec.config_only;
    wire::Ipam {
        driver: Some(driver.to_owned()),
        config: (!config.is_empty() || !spec.config_only).then_some(config),
        options: (is_said || !spec.ipam_options.is_empty())
            .then(|| spec.ipam_options.clone().into_iter().collect()),
    }
}

fn asked(pool: &PoolRequest) -> wire::IpamConfig {
    let auxiliary = pool.auxiliary.iter();
    let auxiliary = auxiliary.map(|(name, address)| (name.clone(), address.to_string()));
    wire::IpamConfig {
        subnet: pool.subnet.map(|subnet| subnet.to_string()),
        ip_range: pool.range.map(|range| range.to_string()),
        gateway: pool.gateway.map(|gateway| gateway.to_string()),
        auxiliary_addresses: (!pool.auxiliary.is_empty()).then(|| auxiliary.collect()),
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
