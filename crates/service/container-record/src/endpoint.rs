//! A container's place in a network as the API shows it: every key, with Docker's zero values.
//!
//! A type and no tree of values: a list of ten thousand containers prints ten thousand of them.

use std::collections::HashMap;

use hakone_base::Timestamp;
use hakone_engine_api::wire;
use serde::Serialize;

use crate::{Record, inspect::Networks};

/// An endpoint.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Endpoint {
    #[serde(rename = "IPAMConfig")]
    ipam_config: Option<wire::EndpointIpamConfig>,
    links: Option<Vec<String>>,
    aliases: Option<Vec<String>>,
    mac_address: String,
    driver_opts: Option<HashMap<String, String>>,
    gw_priority: i64,
    #[serde(rename = "NetworkID")]
    network_id: String,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    gateway: String,
    #[serde(rename = "IPAddress")]
    ip_address: String,
    #[serde(rename = "IPPrefixLen")]
    ip_prefix_len: i64,
    #[serde(rename = "IPv6Gateway")]
    ipv6_gateway: String,
    #[serde(rename = "GlobalIPv6Address")]
    global_ipv6_address: String,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    global_ipv6_prefix_len: i64,
    #[serde(rename = "DNSNames")]
    dns_names: Option<Vec<String>>,
}

/// Gives the endpoints of a container by the names of their networks: live ones, or what was asked while it does not run.
pub(crate) fn all(record: &Record, networks: Networks<'_>) -> Vec<(String, Endpoint)> {
    let live = record.sandbox.as_ref().map(|sandbox| &sandbox.endpoints);
    let show = |(name, asked): (&String, &wire::EndpointSettings)| {
        let known = networks(name);
        let name = known
            .as_ref()
            .map_or(name.as_str(), |known| known.name.as_str());
        let mut shown = match live.and_then(|live| live.get(name)) {
            Some(endpoint) => Endpoint::from(endpoint),
            None => at_rest(asked),
        };
        if shown.network_id.is_empty() && record.run.started != Timestamp::default() {
            shown.network_id = known
                .as_ref()
                .map_or_else(String::new, |known| known.id.clone());
        }
        (name.to_owned(), shown)
    };
    record.networks.iter().map(show).collect()
}

fn at_rest(asked: &wire::EndpointSettings) -> Endpoint {
    Endpoint {
        ipam_config: asked.ipam_config.clone(),
        links: asked.links.clone(),
        aliases: asked.aliases.clone(),
        driver_opts: asked.driver_opts.clone(),
        gw_priority: asked.gw_priority.unwrap_or(0),
        dns_names: asked.dns_names.clone(),
        ..Default::default()
    }
}

impl From<&wire::EndpointSettings> for Endpoint {
    fn from(live: &wire::EndpointSettings) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Self {
            mac_address: text(&live.mac_address),
            network_id: text(&live.network_id),
            endpoint_id: text(&live.endpoint_id),
            gateway: text(&live.gateway),
            ip_address: text(&live.ip_address),
            ip_prefix_len: live.ip_prefix_len.unwrap_or(0),
            ipv6_gateway: text(&live.ipv6_gateway),
            global_ipv6_address: text(&live.global_ipv6_address),
            global_ipv6_prefix_len: live.global_ipv6_prefix_len.unwrap_or(0),
            ..at_rest(live)
        }
    }
}
