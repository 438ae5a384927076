//! What a record keeps of a container's networks: its sandbox while it runs, and the network of a change under way.

use std::collections::BTreeMap;

use hakone_base::PublishedPort;
use hakone_engine_api::wire;
use serde::{Deserialize, Serialize};

/// A wired sandbox: what inspect shows, and what the network service wants back after a daemon restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sandbox {
    /// Endpoints by network name, as inspect shows them.
    pub endpoints: BTreeMap<String, wire::EndpointSettings>,
    /// Host ports that lead here.
    pub published: Vec<PublishedPort>,
    /// The network service's own notes, opaque here, given back at restore.
    pub notes: serde_json::Value,
}

/// A change of a running container's networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Replug {
    /// Into one more.
    Connect,
    /// Out of one.
    Disconnect,
}

/// A network, looked up by name or id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}
