//! Turns gathered settings into values: defaults filled in, texts parsed. Everything that `--validate` checks.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::PathBuf};

use hakone_http::{Address, SocketAccess, TlsFiles};
use hakone_network::PoolBase;

use crate::{
    logging::Form,
    settings::{Error, Settings, pairs},
    sockets::{self, Scoped},
};

/// Settings ready to use.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) addresses: Vec<Address>,
    /// Sockets with less power.
    pub(crate) sockets: Vec<Scoped>,
    pub(crate) access: SocketAccess,
    pub(crate) plugins: hakone_plugin::Folders,
    pub(crate) authorization_plugins: Vec<String>,
    pub(crate) tls: Option<TlsFiles>,
    /// Where Docker's clients look first, if we are to answer there too.
    pub(crate) docker_socket: Option<PathBuf>,
    pub(crate) metrics: Option<SocketAddr>,
    /// The configuration of a registry to serve.
    pub(crate) registry_config: Option<PathBuf>,
    pub(crate) data_root: PathBuf,
    pub(crate) exec_root: PathBuf,
    pub(crate) pidfile: PathBuf,
    pub(crate) log_level: String,
    pub(crate) log_form: Form,
    pub(crate) labels: Vec<String>,
    pub(crate) live_restore: bool,
    pub(crate) log_driver: String,
    pub(crate) log_options: BTreeMap<String, String>,
    pub(crate) default_ulimits: Vec<String>,
    pub(crate) default_shm_size: Option<u64>,
    pub(crate) runtimes: BTreeMap<String, PathBuf>,
    pub(crate) default_runtime: String,
    pub(crate) cgroup_parent: String,
    pub(crate) userns_remap: Option<String>,
    pub(crate) seccomp_profile: Option<String>,
    pub(crate) no_new_privileges: bool,
    pub(crate) default_capabilities: Option<String>,
    pub(crate) default_pids_limit: Option<u64>,
    pub(crate) default_memory_limit: Option<u64>,
    pub(crate) storage_limit: Option<u64>,
    pub(crate) init: bool,
    pub(crate) shutdown_timeout: u32,
    pub(crate) network: hakone_network::Config,
    pub(crate) registry: hakone_registry::Options,
    pub(crate) flow_log: Option<hakone_flow::Config>,
}

/// Where Docker's clients look when they are not told.
const DOCKER_SOCKET: &str = "/var/run/docker.sock";
/// The group whose members use Docker's socket; the same people expect to use ours.
const DOCKER_GROUP: &str = "docker";

/// Parses and completes the settings.
pub(crate) fn resolve(settings: Settings) -> Result<Resolved, Error> {
    let exec_root = settings
        .exec_root
        .clone()
        .unwrap_or_else(|| "/run/hakone".into());
    let data_root = settings
        .data_root
        .clone()
        .unwrap_or_else(|| "/var/lib/hakone".into());
    let network = network(&settings, data_root.join("networks"))?;
    let registry = crate::registries::options(&settings)?;
    let flow_log = flow_log(&settings)?;
    let shm = settings.default_shm_size.as_deref();
    Ok(Resolved {
        addresses: addresses(&settings, &exec_root)?,
        sockets: scoped(&settings)?,
        plugins: plugins(&settings),
        authorization_plugins: settings.authorization_plugins.clone().unwrap_or_default(),
        access: access(&settings)?,
        tls: tls(&settings)?,
        docker_socket: (settings.docker_compat == Some(true)).then(|| DOCKER_SOCKET.into()),
        metrics: metrics(&settings)?,
        registry_config: settings.registry_config.clone(),
        pidfile: settings
            .pidfile
            .clone()
            .unwrap_or_else(|| exec_root.join("hakone.pid")),
        log_level: level(&settings)?,
        log_form: form(settings.log_format.as_deref())?,
        log_options: pairs("log-opt", settings.log_opts.as_deref())?,
        default_shm_size: shm
            .map(|text| crate::settings::size("default-shm-size", text))
            .transpose()?,
        runtimes: runtimes(&settings)?,
        default_runtime: settings.default_runtime.unwrap_or_else(|| "hakone".into()),
        log_driver: settings.log_driver.unwrap_or_else(|| "json-file".into()),
        labels: settings.labels.unwrap_or_default(),
        live_restore: settings.live_restore.unwrap_or(true),
        default_ulimits: settings.default_ulimits.unwrap_or_default(),
        cgroup_parent: settings.cgroup_parent.unwrap_or_else(|| "/hakone".into()),
        userns_remap: settings.userns_remap.filter(|user| !user.is_empty()),
        seccomp_profile: settings
            .seccomp_profile
            .filter(|profile| profile != "builtin"),
        no_new_privileges: settings.no_new_privileges.unwrap_or(false),
        default_capabilities: settings.default_capabilities,
        default_pids_limit: settings.default_pids_limit,
        default_memory_limit: settings
            .default_memory_limit
            .as_deref()
            .map(|text| crate::settings::size("default-memory-limit", text))
            .transpose()?,
        storage_limit: crate::storage::limit(settings.storage_opts.as_deref())?,
        init: settings.init.unwrap_or(false),
        shutdown_timeout: settings.shutdown_timeout.unwrap_or(15),
        data_root,
        exec_root,
        network,
        registry,
        flow_log,
    })
}

pub(crate) fn refuse(key: &'static str, value: &str, reason: impl std::fmt::Display) -> Error {
    Error::Value {
        key,
        value: value.to_owned(),
        reason: reason.to_string(),
    }
}

fn addresses(settings: &Settings, exec_root: &std::path::Path) -> Result<Vec<Address>, Error> {
    let Some(hosts) = &settings.hosts else {
        return Ok(vec![Address::Unix(exec_root.join("hakone.sock"))]);
    };
    let parse = |text: &String| text.parse().map_err(|error| refuse("host", text, error));
    hosts.iter().map(parse).collect()
}

fn scoped(settings: &Settings) -> Result<Vec<Scoped>, Error> {
    let texts = settings.sockets.iter().flatten();
    texts.map(|text| sockets::parse(text)).collect()
}

fn plugins(settings: &Settings) -> hakone_plugin::Folders {
    let sockets = settings.plugin_sockets.clone();
    hakone_plugin::Folders::new(sockets.unwrap_or_else(|| "/run/docker/plugins".into()))
}

fn access(settings: &Settings) -> Result<SocketAccess, Error> {
    let text = settings.socket_mode.as_deref().unwrap_or("660");
    let mode = u32::from_str_radix(text.trim_start_matches("0o"), 8);
    let mode = mode.map_err(|error| refuse("socket-mode", text, error))?;
    let group = match settings.group.as_deref() {
        Some("") => None,
        Some(name) => Some(group(name).ok_or_else(|| refuse("group", name, "no such group"))?),
        None => group(DOCKER_GROUP),
    };
    Ok(SocketAccess {
        mode: mode & 0o777,
        group,
    })
}

/// Looks a group up in the host's own file: a static binary must not call into NSS.
pub(crate) fn group(name: &str) -> Option<u32> {
    let numeric = name.parse().ok();
    let text = fs::read_to_string("/etc/group").unwrap_or_default();
    numeric.or_else(|| {
        text.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
        })
    })
}

fn metrics(settings: &Settings) -> Result<Option<SocketAddr>, Error> {
    let text = settings.metrics_addr.as_deref().unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = text.parse();
    let parsed =
        parsed.map_err(|_invalid| refuse("metrics-addr", text, "ADDRESS:PORT is expected"))?;
    Ok(Some(parsed))
}

fn tls(settings: &Settings) -> Result<Option<TlsFiles>, Error> {
    let files = (&settings.tlscacert, &settings.tlscert, &settings.tlskey);
    match (settings.tlsverify.unwrap_or(false), files) {
        (true, (Some(ca), Some(certificate), Some(key))) => Ok(Some(TlsFiles {
            ca: ca.clone(),
            certificate: certificate.clone(),
            key: key.clone(),
        })),
        (true, _) => Err(refuse(
            "tlsverify",
            "true",
            "--tlscacert, --tlscert and --tlskey are needed too",
        )),
        (false, _) => Ok(None),
    }
}

fn level(settings: &Settings) -> Result<String, Error> {
    if settings.debug == Some(true) {
        return Ok("debug".into());
    }
    let text = settings.log_level.as_deref().unwrap_or("info");
    match text {
        "debug" | "info" | "warn" | "error" => Ok(text.to_owned()),
        "trace" => Ok("trace".into()),
        "fatal" | "panic" => Ok("error".into()),
        _ => Err(refuse(
            "log-level",
            text,
            "one of debug, info, warn, error is expected",
        )),
    }
}

fn form(text: Option<&str>) -> Result<Form, Error> {
    match text {
        None | Some("text") => Ok(Form::Text),
        Some("json") => Ok(Form::Json),
        Some(other) => Err(refuse("log-format", other, "text or json is expected")),
    }
}

/// The built-in runtime, Debian's runc under its usual name, and what the administrator adds.
fn runtimes(settings: &Settings) -> Result<BTreeMap<String, PathBuf>, Error> {
    let added = pairs("add-runtime", settings.runtimes.as_deref())?;
    let usual = ["/usr/sbin/runc", "/usr/bin/runc"].map(PathBuf::from);
    let runc = usual.iter().find(|path| path.exists());
    let mut all: BTreeMap<_, _> = runc
        .map(|path| ("runc".to_owned(), path.clone()))
        .into_iter()
        .collect();
    all.extend(
        added
            .into_iter()
            .map(|(name, path)| (name, PathBuf::from(path))),
    );
    Ok(all)
}

fn network(settings: &Settings, folder: PathBuf) -> Result<hakone_network::Config, Error> {
    let mut config =
        hakone_network::Config::new(folder).map_err(|error| refuse("bridge", "hakone0", error))?;
    config.plugins = Some(plugins(settings));
    config.has_default_bridge = settings.bridge.as_deref() != Some("none");
    if let Some(name) = settings
        .bridge
        .as_ref()
        .filter(|_| config.has_default_bridge)
    {
        config.bridge = name
            .parse()
            .map_err(|error| refuse("bridge", name, error))?;
    }
    if let Some(bip) = &settings.bip {
        config.bip = Some(bip.parse().map_err(|error| refuse("bip", bip, error))?);
    }
    config.fixed_cidr = settings.fixed_cidr;
    config.fixed_cidr_v6 = settings
        .fixed_cidr_v6
        .filter(|_| settings.ipv6 == Some(true));
    config.mtu = settings.mtu;
    config.pools = pools(settings)?;
    config.firewall = settings.iptables.unwrap_or(true);
    if let Some(backend) = &settings.firewall_backend {
        let parsed = backend.parse();
        config.backend = parsed.map_err(|error| refuse("firewall-backend", backend, error))?;
    }
    config.ip_forward = settings.ip_forward.unwrap_or(true);
    config.firewall_v6 = settings.ip6tables.unwrap_or(true);
    config.forward_drop = !settings.ip_forward_no_drop.unwrap_or(false);
    config.direct_routing = settings.allow_direct_routing.unwrap_or(false);
    config.hardened = settings.hardened.unwrap_or(false);
    config.flow_quota = settings.flow_quota;
    config.telling = flow_log(settings)?.is_some();
    config.default_options = default_options(settings)?;
    config.host_gateway = settings.host_gateway_ips.clone().unwrap_or_default();
    config.icc = settings.icc.unwrap_or(true);
    config.masquerade = settings.ip_masq.unwrap_or(true);
    if let Some(how) = &settings.publish_firewall {
        let parsed = how.parse();
        config.publish_firewall = parsed.map_err(|error| refuse("publish-firewall", how, error))?;
    }
    config.publish_address = settings.ip;
    config.dns = settings.dns.clone().unwrap_or_default();
    config.dns_search = settings.dns_search.clone().unwrap_or_default();
    config.dns_options = settings.dns_opts.clone().unwrap_or_default();
    Ok(config)
}

/// A log that nobody asked for is off, whatever else was said of it.
fn flow_log(settings: &Settings) -> Result<Option<hakone_flow::Config>, Error> {
    let target = settings.flow_log.as_deref();
    let Some(target) = target.filter(|target| !matches!(*target, "" | "none")) else {
        return Ok(None);
    };
    let target: hakone_flow::Target = match target.parse() {
        Ok(target) => target,
        Err(never) => match never {},
    };
    if matches!(&target, hakone_flow::Target::File(path) if path.is_relative()) {
        let value = settings.flow_log.as_deref().unwrap_or_default();
        let reason = "a path from /, syslog, journald or memory is expected";
        return Err(refuse("flow-log", value, reason));
    }
    if settings.iptables == Some(false) {
        return Err(refuse(
            "flow-log",
            "on",
            "rules tell of drops, and iptables is off",
        ));
    }
    let mut config = hakone_flow::Config::new(target);
    if let Some(format) = &settings.flow_log_format {
        let parsed = format.parse();
        config.format = parsed.map_err(|error| refuse("flow-log-format", format, error))?;
    }
    config.rate = settings.flow_log_rate.unwrap_or(config.rate);
    config.rotation.files = settings
        .flow_log_max_files
        .unwrap_or(config.rotation.files)
        .max(1);
    if let Some(text) = &settings.flow_log_max_size {
        config.rotation.size = crate::settings::size("flow-log-max-size", text)?;
    }
    Ok(Some(config))
}

/// Reads `DRIVER=KEY=VALUE` lines into a map of each driver's options.
fn default_options(
    settings: &Settings,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, Error> {
    let mut options: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for line in settings.default_network_opts.iter().flatten() {
        let wrong = || refuse("default-network-opt", line, "DRIVER=KEY=VALUE is expected");
        let (driver, option) = line.split_once('=').ok_or_else(wrong)?;
        let (key, value) = option.split_once('=').ok_or_else(wrong)?;
        let of_driver = options.entry(driver.to_owned()).or_default();
        of_driver.insert(key.to_owned(), value.to_owned());
    }
    Ok(options)
}

fn pools(settings: &Settings) -> Result<Vec<PoolBase>, Error> {
    settings
        .default_address_pools
        .as_deref()
        .unwrap_or_default()
        .iter()
        .map(|text| pool(text))
        .collect()
}

/// Reads `base=10.10.0.0/16,size=24`.
fn pool(text: &str) -> Result<PoolBase, Error> {
    let wrong = || {
        refuse(
            "default-address-pool",
            text,
            "base=CIDR,size=BITS is expected",
        )
    };
    let fields: BTreeMap<&str, &str> = text
        .split(',')
        .filter_map(|part| part.split_once('='))
        .collect();
    let base = fields
        .get("base")
        .and_then(|base| base.parse().ok())
        .ok_or_else(wrong)?;
    let size = fields
        .get("size")
        .and_then(|size| size.parse().ok())
        .ok_or_else(wrong)?;
    Ok(PoolBase { base, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_complete() {
        let resolved = resolve(Settings::default()).unwrap();
        assert_eq!(
            resolved.addresses,
            [Address::Unix("/run/hakone/hakone.sock".into())]
        );
        assert_eq!(resolved.access.mode, 0o660);
        assert!(resolved.live_restore && resolved.network.icc);
    }

    #[test]
    fn tls_needs_all_three_files() {
        let settings = Settings {
            tlsverify: Some(true),
            ..Settings::default()
        };
        assert!(
            resolve(settings)
                .unwrap_err()
                .to_string()
                .contains("--tlscacert")
        );
    }

    #[test]
    fn the_flow_log_is_off_until_it_is_asked_for() {
        let off = resolve(Settings::default()).unwrap();
        assert!(off.flow_log.is_none() && !off.network.telling);
        let with = |target: &str| Settings {
            flow_log: Some(target.into()),
            flow_log_max_size: Some("1m".into()),
            ..Settings::default()
        };
        let on = resolve(with("/var/log/flows")).unwrap();
        assert!(on.network.telling);
        assert_eq!(on.flow_log.unwrap().rotation.size, 1 << 20);
        assert!(resolve(with("flows")).is_err());
    }

    #[test]
    fn pools_are_dockers() {
        let pool = pool("base=10.10.0.0/16,size=24").unwrap();
        assert_eq!(
            (pool.base.to_string().as_str(), pool.size),
            ("10.10.0.0/16", 24)
        );
        assert!(super::pool("10.10.0.0/16").is_err());
    }
}
