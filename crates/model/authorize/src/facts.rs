//! What is known of the objects that a request names. Collected by the surface, judged here.

use std::collections::BTreeMap;

use serde_json::Value;

/// A container as the engine shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerFacts {
    /// Its full id.
    pub id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its `HostConfig`.
    pub host: Value,
    /// Its mounts: kind and name or source.
    pub mounts: Vec<(String, String)>,
}

/// A volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeFacts {
    /// Its driver.
    pub driver: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its driver's options.
    pub options: BTreeMap<String, String>,
}

/// A network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkFacts {
    /// Its full id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its driver's options.
    pub options: BTreeMap<String, String>,
}

/// All that is known, by the words that the request used. What is absent does not exist.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Containers.
    pub containers: BTreeMap<String, ContainerFacts>,
    /// Volumes.
    pub volumes: BTreeMap<String, VolumeFacts>,
    /// Networks.
    pub networks: BTreeMap<String, NetworkFacts>,
    /// The runtime of containers that name none.
    pub default_runtime: String,
    /// The log driver of containers that name none.
    pub default_log_driver: String,
    /// The cgroup namespace of containers that name none: the host's with version 1 of cgroups.
    pub default_cgroupns: String,
    /// What the daemon bounds containers by that ask for nothing: no request may lift that.
    pub bounds: Bounds,
}

/// Bounds of one container; `None` is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of its own files.
    pub storage: Option<u64>,
}
