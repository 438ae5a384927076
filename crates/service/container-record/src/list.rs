//! One line of the list of containers in the API's shape.

use std::collections::HashMap;

use hakone_base::{ExposedPort, Timestamp};
use hakone_container_model::status::status;
use hakone_engine_api::wire;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::{
    Record,
    endpoint::{self, Endpoint},
    inspect::{self, Networks, network_mode},
};

/// A container as lists show it. A type and no tree of values, for a list may have ten thousand.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry {
    /// Its id.
    pub id: String,
    names: [String; 1],
    image: String,
    /// The id of its image.
    #[serde(rename = "ImageID")]
    pub image_id: String,
    command: String,
    created: i64,
    ports: Vec<Value>,
    labels: HashMap<String, String>,
    state: &'static str,
    status: String,
    host_config: HostConfig,
    network_settings: NetworkSettings,
    mounts: Vec<Value>,
    /// The manifest of its image; hidden from clients that do not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_manifest_descriptor: Option<wire::OciDescriptor>,
    /// Bytes that it has written, when somebody asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_rw: Option<u64>,
    /// The same with its image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_root_fs: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    network_mode: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    #[serde(serialize_with = "in_order")]
    networks: Vec<(String, Endpoint)>,
}

impl Entry {
    /// Shows a container at this moment.
    #[must_use]
    pub fn new(record: &Record, networks: Networks<'_>, now: Timestamp) -> Self {
        let health = record.health.as_ref().map(|health| health.status);
        Self {
            id: record.id.as_str().to_owned(),
            names: [format!("/{}", record.name)],
            image: record.image_reference.clone(),
            image_id: record.image.as_str().to_owned(),
            command: command(&record.command),
            created: record.created.seconds(),
            ports: ports(record),
            labels: record.config.labels.clone().unwrap_or_default(),
            state: record.state.as_str(),
            status: status(record.state, &record.run, health, now),
            host_config: HostConfig {
                network_mode: network_mode(record),
            },
            network_settings: NetworkSettings {
                networks: endpoint::all(record, networks),
            },
            mounts: inspect::mounts(record),
            image_manifest_descriptor: record.manifest.clone(),
            size_rw: None,
            size_root_fs: None,
        }
    }
}

/// Prints pairs as an object.
fn in_order<S: Serializer>(pairs: &[(String, Endpoint)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, endpoint)| (name, endpoint)))
}

/// Prints path and arguments in one line; an argument with a space stands in single quotes.
fn command(words: &[String]) -> String {
    let quote = |(n, word): (usize, &String)| match n > 0 && word.contains(' ') {
        true => format!("'{word}'"),
        false => word.clone(),
    };
    let quoted: Vec<String> = words.iter().enumerate().map(quote).collect();
    quoted.join(" ")
}

/// Prints published ports, then those that are only exposed; nothing while the container does not run.
fn ports(record: &Record) -> Vec<Value> {
    let Some(sandbox) = &record.sandbox else {
        return Vec::new();
    };
    let mut shown: Vec<Value> = Vec::new();
    for port in &sandbox.published {
        shown.push(json!({
            "IP": port.host_address.to_string(),
            "PrivatePort": port.target.port,
            "PublicPort": port.host_port,
            "Type": port.target.protocol.as_str(),
        }));
    }
    let exposed = record.config.exposed_ports.iter().flatten();
    let exposed = exposed.filter_map(|port| port.parse::<ExposedPort>().ok());
    let published = |port: &ExposedPort| sandbox.published.iter().any(|p| p.target == *port);
    for port in exposed.filter(|port| !published(port)) {
        shown.push(json!({"PrivatePort": port.port, "Type": port.protocol.as_str()}));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Network, fixture::record};

    #[test]
    fn an_entry_has_the_keys_that_clients_read_and_sizes_only_when_asked() {
        let mut record = record(7, "web");
        record
            .networks
            .insert("blue".to_owned(), Default::default());
        let find = |name: &str| {
            (name == "blue").then(|| Network {
                id: "b1".to_owned(),
                name: "blue".to_owned(),
            })
        };
        let mut entry = Entry::new(&record, &find, Timestamp::default());
        let shown = json!(entry);
        let keys: Vec<&String> = shown.as_object().unwrap().keys().collect();
        assert_eq!(
            keys.iter().map(|key| key.as_str()).collect::<Vec<_>>(),
            [
                "Id",
                "Names",
                "Image",
                "ImageID",
                "Command",
                "Created",
                "Ports",
                "Labels",
                "State",
                "Status",
                "HostConfig",
                "NetworkSettings",
                "Mounts"
            ]
        );
        assert_eq!(shown["Names"], json!(["/web"]));
        assert_eq!(
            shown["NetworkSettings"]["Networks"]["blue"],
            json!({
                "IPAMConfig": null, "Links": null, "Aliases": null, "MacAddress": "", "DriverOpts": null,
                "GwPriority": 0, "NetworkID": "", "EndpointID": "", "Gateway": "", "IPAddress": "",
                "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
                "DNSNames": null,
            })
        );
        (entry.size_rw, entry.size_root_fs) = (Some(1), Some(2));
        assert_eq!(
            (&json!(entry)["SizeRw"], &json!(entry)["SizeRootFs"]),
            (&json!(1), &json!(2))
        );
    }

    #[test]
    fn arguments_with_spaces_are_quoted() {
        let words = ["sh", "-c", "echo one"].map(str::to_owned);
        assert_eq!(command(&words), "sh -c 'echo one'");
        assert_eq!(command(&["my prog".to_owned()]), "my prog");
    }
}
