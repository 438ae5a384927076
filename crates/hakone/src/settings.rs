//! The daemon's settings: one definition each for the flag, the environment variable, the TOML key, help and docs.
//!
//! A field `data_root` is the flag `--data-root`, the variable `HAKONE_DATA_ROOT` and the key `data-root`. Later ones of
//! this list win: built-in default, `daemon.json` of dockerd, TOML file, environment, flag. Unknown keys are errors.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
};

use clap::Args;
use hakone_base::Subnet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dockerd;

/// Every setting of `hakone daemon`; what is absent falls to the next source.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Settings {
    /// Address to answer on, repeatable: unix:///PATH, tcp://ADDRESS:PORT (with TLS), fd:// [default: unix:///run/hakone/hakone.sock]
    #[arg(
        short = 'H',
        long = "host",
        value_name = "ADDRESS",
        env = "HAKONE_HOSTS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hosts: Option<Vec<String>>,
    /// Further socket with less power, repeatable: path=PATH,role=read-only|operator or rules=FILE, then label=KEY=VALUE, uid=ID, gid=ID, mode=MODE, group=GROUP
    #[arg(
        long = "socket",
        value_name = "SOCKET",
        env = "HAKONE_SOCKETS",
        value_delimiter = ';'
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sockets: Option<Vec<String>>,
    /// Plugin that is asked about every request, repeatable; one that is away denies
    #[arg(
        long = "authorization-plugin",
        value_name = "NAME",
        env = "HAKONE_AUTHORIZATION_PLUGINS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) authorization_plugins: Option<Vec<String>>,
    /// Folder of plugins' sockets [default: /run/docker/plugins]
    #[arg(long, value_name = "DIR", env = "HAKONE_PLUGIN_SOCKETS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plugin_sockets: Option<PathBuf>,
    /// Permission bits of unix sockets, octal [default: 660]
    #[arg(long, value_name = "MODE", env = "HAKONE_SOCKET_MODE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) socket_mode: Option<String>,
    /// Group that may use unix sockets, by name or id [default: docker if it exists, else root]
    #[arg(short = 'G', long, value_name = "GROUP", env = "HAKONE_GROUP")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    /// Also answer on /var/run/docker.sock, if nobody else does, for clients that find no other
    #[arg(long, env = "HAKONE_DOCKER_COMPAT", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) docker_compat: Option<bool>,
    /// Address that serves Prometheus metrics at /metrics, without TLS: 127.0.0.1:9323
    #[arg(long, value_name = "ADDRESS:PORT", env = "HAKONE_METRICS_ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metrics_addr: Option<String>,
    /// Folder of images, containers, volumes and networks [default: /var/lib/hakone]
    #[arg(long, value_name = "DIR", env = "HAKONE_DATA_ROOT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_root: Option<PathBuf>,
    /// Folder of sockets and running state [default: /run/hakone]
    #[arg(long, value_name = "DIR", env = "HAKONE_EXEC_ROOT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exec_root: Option<PathBuf>,
    /// File for the daemon's process id [default: EXEC_ROOT/hakone.pid]
    #[arg(short = 'p', long, value_name = "FILE", env = "HAKONE_PIDFILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pidfile: Option<PathBuf>,
    /// Serve TCP with mutual TLS
    #[arg(long, env = "HAKONE_TLSVERIFY", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tlsverify: Option<bool>,
    /// PEM file of the authorities that sign clients
    #[arg(long, value_name = "FILE", env = "HAKONE_TLSCACERT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tlscacert: Option<PathBuf>,
    /// PEM file of the daemon's certificate
    #[arg(long, value_name = "FILE", env = "HAKONE_TLSCERT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tlscert: Option<PathBuf>,
    /// PEM file of the daemon's key
    #[arg(long, value_name = "FILE", env = "HAKONE_TLSKEY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tlskey: Option<PathBuf>,
    /// Log debug messages
    #[arg(short = 'D', long, env = "HAKONE_DEBUG", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) debug: Option<bool>,
    /// Least level to log: debug, info, warn, error [default: info]
    #[arg(short = 'l', long, value_name = "LEVEL", env = "HAKONE_LOG_LEVEL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_level: Option<String>,
    /// Form of the daemon's own log: text or json [default: text]
    #[arg(long, value_name = "FORM", env = "HAKONE_LOG_FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_format: Option<String>,
    /// Label of this daemon, repeatable: KEY=VALUE
    #[arg(
        long = "label",
        value_name = "KEY=VALUE",
        env = "HAKONE_LABELS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) labels: Option<Vec<String>>,
    /// Keep containers running when the daemon stops [default: true]
    #[arg(long, env = "HAKONE_LIVE_RESTORE", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) live_restore: Option<bool>,
    /// Default log driver of containers: json-file, local, syslog, gelf, fluentd, journald or none [default: json-file]
    #[arg(long, value_name = "DRIVER", env = "HAKONE_LOG_DRIVER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_driver: Option<String>,
    /// Default option of the log driver, repeatable: KEY=VALUE
    #[arg(
        long = "log-opt",
        value_name = "KEY=VALUE",
        env = "HAKONE_LOG_OPTS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_opts: Option<Vec<String>>,
    /// Default limit of containers, repeatable: `NAME=SOFT[:HARD]`
    #[arg(
        long = "default-ulimit",
        value_name = "LIMIT",
        env = "HAKONE_DEFAULT_ULIMITS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_ulimits: Option<Vec<String>>,
    /// Default size of /dev/shm, in bytes or with a unit [default: 64M]
    #[arg(long, value_name = "SIZE", env = "HAKONE_DEFAULT_SHM_SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_shm_size: Option<String>,
    /// Capabilities of containers: services, docker, none, or names between commas [default: services]
    #[arg(long, value_name = "CAPABILITIES", env = "HAKONE_DEFAULT_CAPABILITIES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_capabilities: Option<String>,
    /// Processes and threads of a container that names no limit, 0 for no limit [default: 4096; 1024 for hardened ones]
    #[arg(long, value_name = "NUMBER", env = "HAKONE_DEFAULT_PIDS_LIMIT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_pids_limit: Option<u64>,
    /// Memory of a container that names no limit, in bytes or with a unit, 0 for no limit [default: 95 percent of the host's]
    #[arg(long, value_name = "SIZE", env = "HAKONE_DEFAULT_MEMORY_LIMIT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_memory_limit: Option<String>,
    /// Option of the storage driver, repeatable: overlay2.size=SIZE bounds the files of containers that name no size
    #[arg(
        long = "storage-opt",
        value_name = "KEY=VALUE",
        env = "HAKONE_STORAGE_OPTS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) storage_opts: Option<Vec<String>>,
    /// Runtime beside the built-in one, repeatable: NAME=PATH
    #[arg(
        long = "add-runtime",
        value_name = "NAME=PATH",
        env = "HAKONE_RUNTIMES",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) runtimes: Option<Vec<String>>,
    /// Runtime of containers that name none [default: hakone]
    #[arg(long, value_name = "NAME", env = "HAKONE_DEFAULT_RUNTIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_runtime: Option<String>,
    /// Parent of the containers' cgroups [default: /hakone]
    #[arg(long, value_name = "CGROUP", env = "HAKONE_CGROUP_PARENT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cgroup_parent: Option<String>,
    /// User whose subordinate ids containers are mapped to: `USER[:GROUP]` or default
    #[arg(long, value_name = "USER", env = "HAKONE_USERNS_REMAP")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) userns_remap: Option<String>,
    /// Seccomp profile of containers that name none: a file, builtin or unconfined [default: builtin]
    #[arg(long, value_name = "PROFILE", env = "HAKONE_SECCOMP_PROFILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seccomp_profile: Option<String>,
    /// Set no-new-privileges on every container
    #[arg(long, env = "HAKONE_NO_NEW_PRIVILEGES", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) no_new_privileges: Option<bool>,
    /// Give every container an init process
    #[arg(long, env = "HAKONE_INIT", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) init: Option<bool>,
    /// Seconds that running containers get at shutdown without live restore [default: 15]
    #[arg(long, value_name = "SECONDS", env = "HAKONE_SHUTDOWN_TIMEOUT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shutdown_timeout: Option<u32>,
    /// Mirror that is asked before Docker Hub, repeatable: <https://HOST>
    #[arg(
        long = "registry-mirror",
        value_name = "URL",
        env = "HAKONE_REGISTRY_MIRRORS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) registry_mirrors: Option<Vec<String>>,
    /// Registry that may be spoken to without a trusted certificate or in the clear, repeatable: HOST, HOST:PORT or CIDR
    #[arg(
        long = "insecure-registry",
        value_name = "HOST",
        env = "HAKONE_INSECURE_REGISTRIES",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) insecure_registries: Option<Vec<String>>,
    /// Where registries may redirect to or fetch tokens from although it is private or of another domain, repeatable: HOST, HOST:PORT or CIDR
    #[arg(
        long = "registry-allow",
        value_name = "HOST",
        env = "HAKONE_REGISTRY_ALLOW",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) registry_allow: Option<Vec<String>>,
    /// Folder with certificates of registries, HOST:PORT/{ca.crt,client.cert,client.key} [default: /etc/hakone/certs.d, then /etc/docker/certs.d]
    #[arg(long, value_name = "DIR", env = "HAKONE_REGISTRY_CERTS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) registry_certs: Option<PathBuf>,
    /// Serve a registry from the engine's content store, as this TOML file says
    #[arg(long, value_name = "FILE", env = "HAKONE_REGISTRY_CONFIG")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) registry_config: Option<PathBuf>,
    /// Layers that one pull fetches at once [default: 3]
    #[arg(long, value_name = "COUNT", env = "HAKONE_MAX_CONCURRENT_DOWNLOADS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_concurrent_downloads: Option<usize>,
    /// Layers that one push sends at once [default: 5]
    #[arg(long, value_name = "COUNT", env = "HAKONE_MAX_CONCURRENT_UPLOADS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_concurrent_uploads: Option<usize>,
    /// How often in a row a transfer may break off before it fails [default: 5]
    #[arg(long, value_name = "COUNT", env = "HAKONE_MAX_DOWNLOAD_ATTEMPTS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_download_attempts: Option<u32>,
    /// Proxy for registries in the clear: <http://HOST:PORT> [default: the variable `HTTP_PROXY`]
    #[arg(long, value_name = "URL", env = "HAKONE_HTTP_PROXY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) http_proxy: Option<String>,
    /// Proxy for registries over TLS: <http://HOST:PORT> [default: the variable `HTTPS_PROXY`]
    #[arg(long, value_name = "URL", env = "HAKONE_HTTPS_PROXY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) https_proxy: Option<String>,
    /// Hosts that are spoken to without a proxy: HOST, .DOMAIN, HOST:PORT, CIDR or *, by commas [default: the variable `NO_PROXY`]
    #[arg(long, value_name = "HOSTS", env = "HAKONE_NO_PROXY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) no_proxy: Option<String>,
    /// Name of the default bridge's interface; none for no default network [default: hakone0]
    #[arg(short = 'b', long, value_name = "NAME", env = "HAKONE_BRIDGE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bridge: Option<String>,
    /// Address and prefix of the default bridge [default: the first free pool]
    #[arg(long, value_name = "CIDR", env = "HAKONE_BIP")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bip: Option<String>,
    /// Part of the default bridge's subnet that containers get addresses from
    #[arg(long, value_name = "CIDR", env = "HAKONE_FIXED_CIDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fixed_cidr: Option<Subnet>,
    /// IPv6 on the default bridge
    #[arg(long, env = "HAKONE_IPV6", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ipv6: Option<bool>,
    /// IPv6 subnet of the default bridge
    #[arg(long, value_name = "CIDR", env = "HAKONE_FIXED_CIDR_V6")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fixed_cidr_v6: Option<Subnet>,
    /// MTU of the default bridge [default: 1500]
    #[arg(long, value_name = "BYTES", env = "HAKONE_MTU")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mtu: Option<u32>,
    /// Pool that subnets are taken from, repeatable: base=CIDR,size=BITS
    #[arg(
        long = "default-address-pool",
        value_name = "POOL",
        env = "HAKONE_DEFAULT_ADDRESS_POOLS",
        value_delimiter = ';'
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_address_pools: Option<Vec<String>>,
    /// Let containers of the default bridge reach each other [default: true]
    #[arg(long, env = "HAKONE_ICC", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) icc: Option<bool>,
    /// Switch the kernel's forwarding on when a network needs it [default: true]
    #[arg(long, env = "HAKONE_IP_FORWARD", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_forward: Option<bool>,
    /// Leave the FORWARD policy as it is when forwarding is switched on
    #[arg(long, env = "HAKONE_IP_FORWARD_NO_DROP", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_forward_no_drop: Option<bool>,
    /// Masquerade what containers send out [default: true]
    #[arg(long, env = "HAKONE_IP_MASQ", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_masq: Option<bool>,
    /// Load firewall rules [default: true]
    #[arg(long, env = "HAKONE_IPTABLES", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) iptables: Option<bool>,
    /// Where firewall rules stand: nftables, or iptables for hosts that want everything visible there [default: nftables]
    #[arg(long, value_name = "BACKEND", env = "HAKONE_FIREWALL_BACKEND")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) firewall_backend: Option<String>,
    /// Load firewall rules for IPv6 as well [default: true]
    #[arg(long, env = "HAKONE_IP6TABLES", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip6tables: Option<bool>,
    /// Accepted as dockerd does; loopback is served inside the daemon either way
    #[arg(long, env = "HAKONE_USERLAND_PROXY", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) userland_proxy: Option<bool>,
    /// Let other machines reach published ports by the containers' own addresses
    #[arg(long, env = "HAKONE_ALLOW_DIRECT_ROUTING", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allow_direct_routing: Option<bool>,
    /// Close what Docker leaves open by design: to networks the host's services and other networks' published ports (label
    /// dev.hakone.host-access opens them), to containers the host's folders, devices and namespaces (label dev.hakone.hardened=false)
    #[arg(long, env = "HAKONE_HARDENED", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hardened: Option<bool>,
    /// Flows that one address of a container may have at a time [default: an eighth of nf_conntrack_max]
    #[arg(long, value_name = "NUMBER", env = "HAKONE_FLOW_QUOTA")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) flow_quota: Option<u32>,
    /// Log of connections and drops: a file, syslog, journald, or memory for `hakone flows` alone [default: none]
    #[arg(long, value_name = "TARGET", env = "HAKONE_FLOW_LOG")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) flow_log: Option<String>,
    /// Form of the flow log's lines: json, ocsf or cef [default: json]
    #[arg(long, value_name = "FORM", env = "HAKONE_FLOW_LOG_FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) flow_log_format: Option<String>,
    /// Lines of the flow log that one container may cause in a second [default: 1000]
    #[arg(long, value_name = "NUMBER", env = "HAKONE_FLOW_LOG_RATE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) flow_log_rate: Option<u32>,
    /// Size at which the flow log's file is rotated [default: 64M]
    #[arg(long, value_name = "SIZE", env = "HAKONE_FLOW_LOG_MAX_SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) flow_log_max_size: Option<String>,
    /// Files of the flow log that are kept [default: 5]
    #[arg(long, value_name = "NUMBER", env = "HAKONE_FLOW_LOG_MAX_FILES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) flow_log_max_files: Option<u32>,
    /// Option of new networks that do not set it, repeatable: DRIVER=KEY=VALUE
    #[arg(
        long = "default-network-opt",
        value_name = "OPTION",
        env = "HAKONE_DEFAULT_NETWORK_OPTS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_network_opts: Option<Vec<String>>,
    /// What host-gateway means in extra hosts, one address a family [default: the default bridge]
    #[arg(
        long = "host-gateway-ip",
        value_name = "ADDRESS",
        env = "HAKONE_HOST_GATEWAY_IPS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host_gateway_ips: Option<Vec<IpAddr>>,
    /// Host address of published ports that name none [default: 0.0.0.0 and ::]
    #[arg(long, value_name = "ADDRESS", env = "HAKONE_IP")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip: Option<IpAddr>,
    /// What the host's INPUT rules mean for published ports of the default bridge: bypass or respect [default: bypass]
    #[arg(long, value_name = "HOW", env = "HAKONE_PUBLISH_FIREWALL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) publish_firewall: Option<String>,
    /// DNS server of containers, repeatable
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "HAKONE_DNS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dns: Option<Vec<IpAddr>>,
    /// DNS search domain of containers, repeatable
    #[arg(
        long,
        value_name = "DOMAIN",
        env = "HAKONE_DNS_SEARCH",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dns_search: Option<Vec<String>>,
    /// Resolver option of containers, repeatable
    #[arg(
        long = "dns-opt",
        value_name = "OPTION",
        env = "HAKONE_DNS_OPTS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dns_opts: Option<Vec<String>>,
}

/// Where settings come from besides flags and environment.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Files {
    /// TOML file of settings [default: /etc/hakone/daemon.toml if it exists]
    #[arg(long, value_name = "FILE", env = "HAKONE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// dockerd's daemon.json: its keys are read with their meaning
    #[arg(long, value_name = "FILE", env = "HAKONE_DOCKER_CONFIG")]
    pub(crate) docker_config: Option<PathBuf>,
}

/// Why settings are refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("could not read {path}: {source}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path}: {reason}")]
    Syntax { path: PathBuf, reason: String },
    #[error("invalid {key} {value:?}: {reason}")]
    Value {
        key: &'static str,
        value: String,
        reason: String,
    },
}

const DEFAULT_FILE: &str = "/etc/hakone/daemon.toml";

/// Joins all sources; the second value says what of a `daemon.json` has no meaning here.
pub(crate) fn gather(flags: &Settings, files: &Files) -> Result<(Settings, Vec<String>), Error> {
    let mut remarks = Vec::new();
    let mut joined = Settings::default();
    if let Some(path) = &files.docker_config {
        let (settings, said) = dockerd::parse(&read(path)?).map_err(|reason| Error::Syntax {
            path: path.clone(),
            reason,
        })?;
        remarks = said;
        joined = settings;
    }
    let default = Path::new(DEFAULT_FILE);
    let toml = files
        .config
        .as_deref()
        .or_else(|| default.exists().then_some(default));
    if let Some(path) = toml {
        joined = overlay(&joined, &parse_toml(path, &read(path)?)?, path)?;
    }
    joined = overlay(&joined, flags, Path::new("flags"))?;
    Ok((joined, remarks))
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

fn parse_toml(path: &Path, text: &str) -> Result<Settings, Error> {
    toml::from_str(text).map_err(|error| Error::Syntax {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

/// Lays the keys that `top` has over those of `base`.
fn overlay(base: &Settings, top: &Settings, path: &Path) -> Result<Settings, Error> {
    let syntax = |error: serde_json::Error| Error::Syntax {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let mut joined = object(base).map_err(syntax)?;
    joined.extend(object(top).map_err(syntax)?);
    serde_json::from_value(Value::Object(joined.into_iter().collect())).map_err(syntax)
}

fn object(settings: &Settings) -> Result<BTreeMap<String, Value>, serde_json::Error> {
    serde_json::from_value(serde_json::to_value(settings)?)
}

/// Splits `KEY=VALUE` settings into a map.
pub(crate) fn pairs(
    key: &'static str,
    list: Option<&[String]>,
) -> Result<BTreeMap<String, String>, Error> {
    let split = |text: &String| match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(Error::Value {
            key,
            value: text.clone(),
            reason: "KEY=VALUE expected".into(),
        }),
    };
    list.unwrap_or_default().iter().map(split).collect()
}

/// Reads a size with an optional unit: `64m`, `1g`, bytes.
pub(crate) fn size(key: &'static str, text: &str) -> Result<u64, Error> {
    let lower = text.trim().to_ascii_lowercase();
    let lower = lower.trim_end_matches("ib").trim_end_matches('b');
    let (digits, shift) = match lower.strip_suffix(['k', 'm', 'g']) {
        Some(digits) if lower.ends_with('k') => (digits, 10),
        Some(digits) if lower.ends_with('m') => (digits, 20),
        Some(digits) => (digits, 30),
        None => (lower, 0),
    };
    let refuse = || Error::Value {
        key,
        value: text.to_owned(),
        reason: "invalid size".into(),
    };
    let number: u64 = digits.parse().ok().ok_or_else(refuse)?;
    number.checked_mul(1 << shift).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon.toml");
        hakone_store::write_atomic(&path, text.as_bytes(), hakone_store::Durability::Process)
            .unwrap();
        (folder, path)
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let (_folder, path) = file("mtu = 1400\nicc = false\n");
        let flags = Settings {
            mtu: Some(9000),
            ..Settings::default()
        };
        let files = Files {
            config: Some(path),
            docker_config: None,
        };
        let (settings, _) = gather(&flags, &files).unwrap();
        assert_eq!((settings.mtu, settings.icc), (Some(9000), Some(false)));
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        let (_folder, path) = file("icq = true\n");
        let files = Files {
            config: Some(path),
            docker_config: None,
        };
        let error = gather(&Settings::default(), &files)
            .unwrap_err()
            .to_string();
        assert!(error.contains("icq"), "{error}");
    }

    #[test]
    fn sizes_take_units() {
        assert_eq!(size("x", "64m").unwrap(), 64 << 20);
        assert_eq!(size("x", "1GiB").unwrap(), 1 << 30);
        assert_eq!(size("x", "512").unwrap(), 512);
        assert!(size("x", "lots").is_err());
    }
}
