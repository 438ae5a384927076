//! What the surface calls: the services, and the facts that `info` and `version` tell.

use std::{collections::BTreeMap, path::PathBuf};

use hakone_events::Bus;

use crate::{metrics::Timings, serve::Headers};

/// The services behind the API.
#[derive(Debug)]
pub struct Services {
    /// Containers.
    pub containers: hakone_container::Service,
    /// Containers' files.
    pub archives: hakone_archive::Service,
    /// The builder.
    pub build: hakone_build::Service,
    /// What containers do.
    pub monitor: hakone_monitor::Service,
    /// Build clients: buildx and Compose.
    pub build_clients: hakone_buildkit::Service,
    /// Images.
    pub images: hakone_image::Service,
    /// Networks.
    pub networks: hakone_network::Service,
    /// Volumes.
    pub volumes: hakone_volume::Service,
    /// How long actions took.
    pub timings: Timings,
    /// Events.
    pub events: Bus,
    /// The self-test.
    pub attacks: hakone_attack::Service,
    /// The flow log.
    pub flows: hakone_flow::Service,
    /// The daemon itself.
    pub about: About,
    /// The authorization plugins.
    pub authorization: hakone_authorization::Service,
    /// Headers of every reply.
    pub headers: Headers,
}

/// Facts of this daemon and its host, read once at start.
#[derive(Clone, Debug)]
pub struct About {
    /// A stable id of this installation.
    pub id: String,
    /// The engine's version.
    pub version: String,
    /// The commit that it was built from.
    pub commit: String,
    /// The host's name.
    pub host_name: String,
    /// `uname -r`.
    pub kernel: String,
    /// `PRETTY_NAME` of os-release.
    pub operating_system: String,
    /// `VERSION_ID` of os-release.
    pub os_version: String,
    /// Go's name of the architecture, `amd64`.
    pub architecture: &'static str,
    /// The kernel's name of the architecture, `x86_64`.
    pub machine: String,
    /// Processors.
    pub processors: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// Where everything is stored.
    pub data_root: PathBuf,
    /// Labels of the daemon.
    pub labels: Vec<String>,
    /// Whether debug messages are logged.
    pub debug: bool,
    /// Whether containers survive the daemon.
    pub live_restore: bool,
    /// `1` or `2`.
    pub cgroup_version: &'static str,
    /// Security options in force, `name=seccomp,profile=builtin`.
    pub security: Vec<String>,
    /// Runtimes by name and the programs behind them.
    pub runtimes: BTreeMap<String, PathBuf>,
    /// The runtime of containers that name none.
    pub default_runtime: String,
    /// The log driver of containers that name none.
    pub log_driver: String,
    /// Warnings about this host.
    pub warnings: Vec<String>,
    /// Mirrors and insecure registries, in the words of `docker info`.
    pub registries: serde_json::Value,
    /// The proxies for what goes in the clear and over TLS, without their passwords, and who needs none.
    pub proxies: [String; 3],
}
