//! The parsed create request: everything a container is to be, checked once.

use std::collections::BTreeMap;

use hakone_engine_api::wire::{ContainerConfig, HostConfig, ImageConfig};

use crate::{
    Command, Defaults, DeviceRequest, DeviceRule, Dns, Error, ExtraHost, Healthcheck, Limit, Link,
    LogSpec, MountSpec, Namespaces, NetworkMode, Ports, Resources, RestartPolicy, Security, Signal,
    UserMode, VolumesFrom, command, device, hardened, health, limit, mount, namespace, network,
    port, security, storage, sysctl,
};

/// The parts of a create request, as the client sent them.
#[derive(Clone, Copy, Debug)]
pub struct Create<'a> {
    /// What is portable between hosts.
    pub config: &'a ContainerConfig,
    /// What belongs to this host.
    pub host: &'a HostConfig,
    /// What the image says.
    pub image: &'a ImageConfig,
}

/// A container's wanted state, independent of one start.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// What runs.
    pub command: Command,
    /// The host name asked for; the short id when absent.
    pub hostname: Option<String>,
    /// The domain name asked for.
    pub domainname: Option<String>,
    /// Labels of image and request.
    pub labels: BTreeMap<String, String>,
    /// Labels of the request alone: what an image says of itself earns it nothing from a policy.
    pub own_labels: BTreeMap<String, String>,
    /// Annotations for the runtime.
    pub annotations: BTreeMap<String, String>,
    /// How it is stopped.
    pub stop: Stop,
    /// How its health is found out.
    pub health: Option<Healthcheck>,
    /// What it may not do.
    pub security: Security,
    /// What it shares.
    pub namespaces: Namespaces,
    /// Its network namespace.
    pub network: NetworkMode,
    /// Its ports.
    pub ports: Ports,
    /// Its name servers.
    pub dns: Dns,
    /// Lines for `/etc/hosts`.
    pub extra_hosts: Vec<ExtraHost>,
    /// Containers it sees under other names.
    pub links: Vec<Link>,
    /// Its mounts, parents first.
    pub mounts: Vec<MountSpec>,
    /// Containers whose mounts it takes over.
    pub volumes_from: Vec<VolumesFrom>,
    /// Its devices.
    pub devices: Vec<DeviceRequest>,
    /// Further rules of its device cgroup.
    pub device_rules: Vec<DeviceRule>,
    /// Its cgroup's limits.
    pub resources: Resources,
    /// Its processes' limits.
    pub limits: Vec<Limit>,
    /// Parameters of its namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// How readily the kernel kills it when memory is short, -1000 to 1000.
    pub oom_score_adj: i32,
    /// Bytes of `/dev/shm`.
    pub shm_size: u64,
    /// Bytes that its own files may take.
    pub storage: Option<u64>,
    /// What happens after its exit.
    pub restart: RestartPolicy,
    /// Whether it is removed after its exit.
    pub auto_remove: bool,
    /// Where its output goes.
    pub log: LogSpec,
    /// The runtime's name, one of the daemon's.
    pub runtime: String,
    /// Whether an init process runs in front of the command.
    pub init: bool,
    /// The parent of its cgroup, if it asks for one.
    pub cgroup_parent: Option<String>,
    /// Whether it is hardened.
    pub hardened: bool,
}

/// How a container is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The signal that asks it to end.
    pub signal: Signal,
    /// Seconds until it is killed; the daemon's default when absent, for ever when negative.
    pub timeout: Option<i64>,
}

impl ContainerSpec {
    /// Parses and checks a create request; the second value is warnings for the user.
    ///
    /// # Errors
    /// When anything in it does not hold, with Docker's text.
    pub fn parse(create: &Create<'_>, defaults: &Defaults) -> Result<(Self, Vec<String>), Error> {
        let Create {
            config,
            host,
            image,
        } = *create;
        let mut warnings = Vec::new();
        let namespaces = namespace::parse(host, defaults)?;
        let network = NetworkMode::parse(text(host.network_mode.as_ref()))?;
        let security = security::parse(host, defaults)?;
        check(create, &namespaces, &network)?;
        let host_network = network == NetworkMode::Host;
        namespace::check_remapped(&namespaces, security.privileged, host_network)?;
        let groups = host.group_add.clone().unwrap_or_default();
        let ports = port::parse(config, host, image)?;
        if host_network && !ports.bindings.is_empty() {
            warnings.push("Published ports are discarded when using host network mode".into());
        }
        let mut spec = Self {
            command: command::parse(config, image, &groups, host.console_size.as_deref())?,
            hostname: own_name(config.hostname.as_ref())?,
            domainname: own_name(config.domainname.as_ref())?,
            labels: labels(config, image),
            own_labels: own_labels(config, image)?,
            annotations: annotations(host)?,
            stop: stop(config, image)?,
            health: health::parse(config.healthcheck.as_ref(), image.healthcheck.as_ref())?,
            sysctls: sysctl::parse(host.sysctls.as_ref(), &namespaces, &network)?,
            ports,
            dns: network::dns(host)?,
            extra_hosts: network::extra_hosts(host)?,
            links: network::links(host)?,
            mounts: mount::collect(config, host, image)?,
            volumes_from: volumes_from(host)?,
            devices: device::parse(host)?,
            device_rules: device::rules(host)?,
            resources: Resources::parse(host, defaults, &mut warnings)?,
            limits: limit::parse_all(host.ulimits.as_deref(), &defaults.ulimits)?,
            oom_score_adj: oom_score(host)?,
            shm_size: shm_size(host, defaults)?,
            storage: storage::parse(host.storage_opt.as_ref(), defaults)?,
            restart: RestartPolicy::parse(host.restart_policy.as_ref())?,
            auto_remove: host.auto_remove.unwrap_or(false),
            log: LogSpec::parse(host.log_config.as_ref(), &defaults.log)?,
            runtime: runtime(host, defaults)?,
            init: host.init.unwrap_or(defaults.init),
            cgroup_parent: cgroup_parent(host)?,
            hardened: false,
            security,
            namespaces,
            network,
        };
        spec.bound(create, defaults)?;
        if spec.namespaces.user == UserMode::Remapped {
            let added = host.cap_add.as_deref().unwrap_or_default();
            warnings.extend(spec.security.leave_powerless(added)?);
        }
        match spec.auto_remove && spec.restart != RestartPolicy::No {
            true => Err(Error::AutoRemoveRestart),
            false => Ok((spec, warnings)),
        }
    }

    /// Sets the bounds of which the request says nothing.
    fn bound(&mut self, create: &Create<'_>, defaults: &Defaults) -> Result<(), Error> {
        // The host's services live on what is left, however much one container takes.
        let memory = &mut self.resources.memory.limit;
        *memory = memory.or(defaults.memory);
        self.hardened = hardened::is_hardened(create.config, defaults)?;
        if self.hardened {
            hardened::harden(self, create.host, defaults)?;
        }
        Ok(())
    }
}

/// Takes an empty text for none, as clients mean it.
pub(crate) fn text(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|text| !text.is_empty())
}

/// Takes zero and below for none, as clients mean it.
pub(crate) fn positive(value: Option<i64>) -> Option<u64> {
    value
        .and_then(|value| u64::try_from(value).ok())
        .filter(|value| *value > 0)
}

/// Refuses options that contradict each other or that no Linux engine of ours has.
fn check(create: &Create<'_>, namespaces: &Namespaces, network: &NetworkMode) -> Result<(), Error> {
    let Create { config, host, .. } = *create;
    network::check_mode(network, config, host)?;
    if namespaces.uts == crate::UtsMode::Host && text(config.hostname.as_ref()).is_some() {
        return Err(Error::HostnameWithHostUts);
    }
    Ok(())
}

/// The kernel's bound, `__NEW_UTS_LEN`.
const HOSTNAME: usize = 64;

/// Reads a host name or a domain.
fn own_name(given: Option<&String>) -> Result<Option<String>, Error> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '/';
    match text(given) {
        // It becomes a line of /etc/hosts: white space would add names to it.
        Some(name) if name.len() > HOSTNAME || name.contains(odd) => {
            Err(Error::Hostname(name.to_owned()))
        }
        name => Ok(name.map(str::to_owned)),
    }
}

fn labels(config: &ContainerConfig, image: &ImageConfig) -> BTreeMap<String, String> {
    let pairs = image.labels.iter().chain(&config.labels).flatten();
    pairs
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// A request that was stored holds the image's labels too; those are told by their values.
fn own_labels(
    config: &ContainerConfig,
    image: &ImageConfig,
) -> Result<BTreeMap<String, String>, Error> {
    let of_image = |key: &String| image.labels.as_ref()?.get(key);
    let labels = config.labels.iter().flatten();
    let own: BTreeMap<_, _> = labels
        .filter(|(key, value)| of_image(key) != Some(*value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    hakone_network_policy::check_labels(&own).map_err(Error::PolicyLabel)?;
    Ok(own)
}

fn annotations(host: &HostConfig) -> Result<BTreeMap<String, String>, Error> {
    let pairs = host.annotations.iter().flatten();
    let all: BTreeMap<_, _> = pairs
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    match all.contains_key("") {
        true => Err(Error::Annotation),
        false => Ok(all),
    }
}

fn stop(config: &ContainerConfig, image: &ImageConfig) -> Result<Stop, Error> {
    let named = text(config.stop_signal.as_ref()).or(text(image.stop_signal.as_ref()));
    Ok(Stop {
        signal: named.map_or(Ok(Signal::TERM), str::parse)?,
        timeout: config.stop_timeout,
    })
}

fn volumes_from(host: &HostConfig) -> Result<Vec<VolumesFrom>, Error> {
    host.volumes_from
        .iter()
        .flatten()
        .map(|text| VolumesFrom::parse(text))
        .collect()
}

fn oom_score(host: &HostConfig) -> Result<i32, Error> {
    let score = host.oom_score_adj.unwrap_or(0);
    match i32::try_from(score) {
        Ok(score) if (-1000..=1000).contains(&score) => Ok(score),
        _ => Err(Error::OomScore(score)),
    }
}

fn shm_size(host: &HostConfig, defaults: &Defaults) -> Result<u64, Error> {
    match host.shm_size.unwrap_or(0) {
        0 => Ok(defaults.shm_size),
        bytes => u64::try_from(bytes).ok().ok_or(Error::ShmSize),
    }
}

fn runtime(host: &HostConfig, defaults: &Defaults) -> Result<String, Error> {
    let name = text(host.runtime.as_ref()).unwrap_or(&defaults.default_runtime);
    match defaults.runtimes.iter().any(|known| known == name) {
        true => Ok(name.to_owned()),
        false => Err(Error::Runtime(name.to_owned())),
    }
}

/// A path below the root of the hierarchy, never out of it.
fn cgroup_parent(host: &HostConfig) -> Result<Option<String>, Error> {
    match text(host.cgroup_parent.as_ref()) {
        Some(path) if path.contains('\0') || path.split('/').any(|part| part == "..") => {
            Err(Error::CgroupParent(path.to_owned()))
        }
        path => Ok(path.map(|path| mount::clean(&format!("/{path}")))),
    }
}
