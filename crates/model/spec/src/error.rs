//! Every refusal of a create request, in the words that Docker's clients know.

use hakone_base::{Fault, Kind, NameError};

/// Why a request cannot become a container.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither request nor image names a program.
    #[error("no command specified")]
    NoCommand,
    /// A variable without a name.
    #[error("invalid environment variable: {0}")]
    Environment(String),
    /// A relative working folder.
    #[error("the working directory '{0}' is invalid, it needs to be an absolute path")]
    WorkingDir(String),
    /// A host name that the kernel or `/etc/hosts` cannot hold.
    #[error("invalid hostname format: {0}")]
    Hostname(String),
    /// An annotation without a key.
    #[error("invalid Annotations: the empty string is not permitted as an annotation key")]
    Annotation,
    /// A label of a policy that cannot be read.
    #[error("{0}")]
    PolicyLabel(String),
    /// A signal that does not exist.
    #[error("invalid signal: {0}")]
    Signal(String),
    /// A capability that does not exist.
    #[error("unknown capability: {0:?}")]
    UnknownCapability(String),
    /// Something wrong in `--cap-add`.
    #[error("invalid CapAdd: {0}")]
    CapAdd(Box<Error>),
    /// Something wrong in `--cap-drop`.
    #[error("invalid CapDrop: {0}")]
    CapDrop(Box<Error>),
    /// A security option without value.
    #[error("invalid --security-opt 1: {0:?}")]
    SecurityOption(String),
    /// A security option with an unknown key or value.
    #[error("invalid --security-opt 2: {0:?}")]
    SecurityOptionKey(String),
    /// A seccomp profile that does not parse.
    #[error("decoding seccomp profile failed: {0}")]
    SeccompProfile(hakone_seccomp::Error),
    /// What hardened containers may not have.
    #[error(
        "{0} is refused to hardened containers: the daemon's option --hardened or the label dev.hakone.hardened=true on the container closes it, the label dev.hakone.hardened=false opens it"
    )]
    Hardened(String),
    /// A namespace that a hardened container is not offered.
    #[error(
        "container {container} does not share its {namespace} with hardened containers: the label dev.hakone.share={namespace} on it offers that"
    )]
    NotShared {
        /// `network` or `pid`.
        namespace: &'static str,
        /// The other container, as typed.
        container: String,
    },
    /// Neither yes nor no.
    #[error("the label dev.hakone.hardened is true or false")]
    HardenedLabel,
    /// An AppArmor profile where there is no AppArmor.
    #[error("AppArmor is not enabled on the host: cannot apply profile {0:?}")]
    AppArmor(String),
    /// An SELinux label where there is no SELinux.
    #[error("SELinux is not enabled on the host: cannot apply label {0:?}")]
    SelinuxAbsent(String),
    /// A label option of unknown form.
    #[error(
        "bad label option {0:?}, valid options 'disable' or 'user, role, level, type, filetype' followed by ':' and a value"
    )]
    SelinuxLabel(String),
    /// An IPC mode of unknown form.
    #[error("invalid IPC mode: {0}")]
    IpcMode(String),
    /// A PID mode of unknown form.
    #[error("invalid PID mode: {0}")]
    PidMode(String),
    /// A UTS mode of unknown form.
    #[error("invalid UTS mode: {0}")]
    UtsMode(String),
    /// A user namespace mode of unknown form.
    #[error("invalid USER mode: {0}")]
    UserMode(String),
    /// `--privileged` in a user namespace.
    #[error(
        "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode"
    )]
    PrivilegedRemapped,
    /// The host's network in a user namespace.
    #[error("cannot share the host's network namespace when user namespaces are enabled")]
    HostNetworkRemapped,
    /// The host's processes in a user namespace.
    #[error("cannot share the host PID namespace when user namespaces are enabled")]
    HostPidRemapped,
    /// `container:` without a name.
    #[error("invalid container format container:<name|id>")]
    ContainerFormat,
    /// A host name beside the host's UTS namespace.
    #[error("conflicting options: hostname and the UTS mode")]
    HostnameWithHostUts,
    /// Links beside the host's network.
    #[error(
        "conflicting options: host type networking can't be used with links. This would result in undefined behavior"
    )]
    HostNetworkLinks,
    /// A host name beside a joined network.
    #[error("conflicting options: hostname and the network mode")]
    JoinedHostname,
    /// Links beside a joined network.
    #[error(
        "conflicting options: container type network can't be used with links. This would result in undefined behavior"
    )]
    JoinedLinks,
    /// Name servers beside a joined network.
    #[error("conflicting options: dns and the network mode")]
    JoinedDns,
    /// Host entries beside a joined network.
    #[error("conflicting options: custom host-to-IP mapping and the network mode")]
    JoinedHosts,
    /// Published ports beside a joined network.
    #[error("conflicting options: port publishing and the container type network mode")]
    JoinedPublish,
    /// Exposed ports beside a joined network.
    #[error("conflicting options: port exposing and the container type network mode")]
    JoinedExpose,
    /// A name server that is not an address.
    #[error("{0:?} is not an ip address")]
    NameServer(String),
    /// A search domain or resolver option with white space.
    #[error("invalid DNS search domain or option: {0:?}")]
    DnsWord(String),
    /// A host entry without name or address.
    #[error("bad format for add-host: {0:?}")]
    ExtraHost(String),
    /// A host entry whose address is none.
    #[error("invalid IP address in add-host: {0:?}")]
    ExtraHostAddress(String),
    /// A link of unknown form.
    #[error("bad format for links: {0}")]
    Link(String),
    /// A port or range that is none.
    #[error("invalid port specification: {0:?}")]
    Port(String),
    /// An image that exposes more ports than `-P` publishes.
    #[error(
        "the image exposes {0} ports, and -P publishes {1} at most: name those that are wanted with -p"
    )]
    TooManyPorts(usize, usize),
    /// A host address of a published port that is none.
    #[error("invalid IP address: {0:?}")]
    PortAddress(String),
    /// A mount mode of unknown words.
    #[error("invalid mode: {0}")]
    InvalidMode(String),
    /// A `-v` that does not parse.
    #[error("invalid volume specification: '{spec}'{}", cause(source.as_deref()))]
    VolumeSpec {
        /// The text.
        spec: String,
        /// What is wrong in it, if its form is right.
        #[source]
        source: Option<Box<Error>>,
    },
    /// A mount that does not hold.
    #[error("invalid mount config for type {kind:?}: {source}")]
    MountConfig {
        /// The mount's type.
        kind: &'static str,
        /// What is wrong in it.
        source: Box<Error>,
    },
    /// A mount field that must be given.
    #[error("field {0} must not be empty")]
    MountField(&'static str),
    /// A mount field that belongs to another type.
    #[error("field {0} must not be specified")]
    MountExtraField(&'static str),
    /// A mount path that is not absolute.
    #[error("invalid mount path: '{0}' mount path must be absolute")]
    MountPath(String),
    /// A mount over the root.
    #[error("invalid specification: destination can't be '/'")]
    MountRoot,
    /// A mount type that this engine does not have.
    #[error("mount type unknown")]
    MountKind,
    /// The source of a bind mount that is not there; told by who looks.
    #[error("bind source path does not exist: {0}")]
    BindSource(String),
    /// A read-only anonymous volume.
    #[error("must not set ReadOnly mode when using anonymous volumes")]
    AnonymousReadOnly,
    /// A folder in a volume that is still to be made.
    #[error("must not set Subpath when using anonymous volumes")]
    AnonymousSubpath,
    /// A folder outside its volume.
    #[error("{0:?}: subpath must be a relative path within the volume")]
    Subpath(String),
    /// A read-only variant of a writable mount.
    #[error("mount source must be read-only when {0} is set")]
    ReadOnlyNeeded(&'static str),
    /// Both variants at once.
    #[error("ReadOnlyForceRecursive and ReadOnlyNonRecursive are mutually exclusive")]
    ReadOnlyContradiction,
    /// An option that tmpfs does not have.
    #[error("invalid tmpfs option {0:?}")]
    TmpfsOption(String),
    /// Two mounts at one place.
    #[error("Duplicate mount point: {0}")]
    DuplicateMount(String),
    /// A volume name out of pattern.
    #[error(transparent)]
    Volume(NameError),
    /// `--volumes-from` without a name.
    #[error("volumes-from specification cannot be an empty string")]
    VolumesFromEmpty,
    /// `--volumes-from` with a mode of unknown words.
    #[error("invalid mode for volumes-from: {0}")]
    VolumesFromMode(String),
    /// A `--storage-opt` other than `size`.
    #[error("Unknown option {0}")]
    StorageOption(String),
    /// A size of the container's files that is none.
    #[error("invalid size: '{0}'")]
    StorageSize(String),
    /// A device path that is not absolute.
    #[error("{0:?} is not an absolute path")]
    Device(String),
    /// Device letters other than `rwm`.
    #[error("bad mode specified: {0}")]
    DeviceMode(String),
    /// A device rule of unknown form.
    #[error("invalid device cgroup rule format: '{0}'")]
    DeviceRule(String),
    /// A request for devices of a driver we do not have.
    #[error("could not select device driver {driver:?} with capabilities: [{capabilities}]")]
    DeviceDriver {
        /// The driver's name.
        driver: String,
        /// The capability groups, in Go's form.
        capabilities: String,
    },
    /// A limit that does not exist.
    #[error("invalid ulimit type: {0}")]
    LimitKind(String),
    /// A soft limit above the hard one.
    #[error("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")]
    LimitOrder {
        /// The soft limit as given.
        soft: i64,
        /// The hard limit as given.
        hard: i64,
    },
    /// A parameter that would change the host.
    #[error("sysctl {0:?} is not in a separate kernel namespace")]
    SysctlNamespace(String),
    /// A network parameter beside the host's network.
    #[error("sysctl {0:?} not allowed in host network namespace")]
    SysctlHostNetwork(String),
    /// The host name, which has an option of its own.
    #[error(
        "sysctl \"kernel.hostname\" is not allowed as it conflicts with the OCI \"hostname\" field"
    )]
    SysctlHostname,
    /// Less memory than a container needs to start.
    #[error("Minimum memory limit allowed is 6MB")]
    MemoryTooSmall,
    /// A smaller reservation than makes sense.
    #[error("Minimum memory reservation allowed is 6MB")]
    ReservationTooSmall,
    /// More reserved than allowed.
    #[error("Minimum memory limit can not be less than memory reservation limit, see usage")]
    MemoryBelowReservation,
    /// Memory and swap together below memory alone.
    #[error("Minimum memoryswap limit should be larger than memory limit, see usage")]
    SwapBelowMemory,
    /// A swap limit alone.
    #[error("You should always set the Memory limit when using Memoryswap limit, see usage")]
    SwapWithoutMemory,
    /// A swappiness that is no percentage.
    #[error("Invalid value: {0}, valid memory swappiness range is 0-100")]
    Swappiness(i64),
    /// `--cpus` beside a period.
    #[error("Conflicting options: Nano CPUs and CPU Period cannot both be set")]
    NanoCpusAndPeriod,
    /// `--cpus` beside a quota.
    #[error("Conflicting options: Nano CPUs and CPU Quota cannot both be set")]
    NanoCpusAndQuota,
    /// More processors than there are.
    #[error("Range of CPUs is from 0.01 to {0}.00, as there are only {0} CPUs available")]
    NanoCpus(u32),
    /// A period out of range.
    #[error("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")]
    CpuPeriod,
    /// A quota out of range.
    #[error("CPU cfs quota can not be less than 1ms (i.e. 1000)")]
    CpuQuota,
    /// More realtime than the period has.
    #[error("cpu real-time runtime cannot be higher than cpu real-time period")]
    RealtimeRuntime,
    /// A processor list that does not parse.
    #[error("Invalid value {0} for cpuset cpus: invalid format: {0}")]
    CpusetCpus(String),
    /// A memory node list that does not parse.
    #[error("Invalid value {0} for cpuset mems: invalid format: {0}")]
    CpusetMems(String),
    /// Processors that are not there.
    #[error("Requested CPUs are not available - requested {wanted}, available: {available}")]
    CpusUnavailable {
        /// What was asked for.
        wanted: String,
        /// What there is.
        available: String,
    },
    /// Memory nodes that are not there.
    #[error(
        "Requested memory nodes are not available - requested {wanted}, available: {available}"
    )]
    MemsUnavailable {
        /// What was asked for.
        wanted: String,
        /// What there is.
        available: String,
    },
    /// A block weight out of range.
    #[error("Range of blkio weight is from 10 to 1000")]
    BlkioWeight,
    /// A block device outside `/dev`.
    #[error("bad format for path: {0}")]
    BlockDevice(String),
    /// Windows settings.
    #[error("invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps")]
    WindowsOnly,
    /// An OOM score out of range.
    #[error("Invalid value {0}, range for oom score adj is [-1000, 1000]")]
    OomScore(i64),
    /// A negative size of `/dev/shm`.
    #[error("SHM size can not be less than 0")]
    ShmSize,
    /// A retry count beside another policy.
    #[error("invalid restart policy: maximum retry count can only be used with 'on-failure'")]
    RetryCountElsewhere,
    /// A negative retry count beside another policy.
    #[error(
        "invalid restart policy: maximum retry count can only be used with 'on-failure' and cannot be negative"
    )]
    RetryCountElsewhereNegative,
    /// A negative retry count.
    #[error("invalid restart policy: maximum retry count cannot be negative")]
    RetryCountNegative,
    /// Removed and restarted at once.
    #[error("can't create 'AutoRemove' container with restart policy")]
    AutoRemoveRestart,
    /// A log driver that is not there.
    #[error("error looking up logging plugin {0}: plugin {0:?} not found")]
    LogDriver(String),
    /// An option that the log driver does not have.
    #[error("unknown log opt '{key}' for {driver}")]
    LogOption {
        /// The option.
        key: String,
        /// The driver as Docker names it here, each in its own way.
        driver: &'static str,
    },
    /// A value that the option cannot have.
    #[error("invalid value {value:?} for log opt '{key}'")]
    LogValue {
        /// The option.
        key: String,
        /// The value.
        value: String,
    },
    /// No file at all.
    #[error("max-file cannot be less than 1")]
    LogFiles,
    /// Compression where nothing is rotated.
    #[error("compress cannot be true when max-file is less than 2 or max-size is not set")]
    LogCompress,
    /// A delivery mode that does not exist.
    #[error("logger: logging mode not valid: {0}")]
    LogMode(String),
    /// Too short a time in the health check.
    #[error("{0} in Healthcheck cannot be less than 1ms")]
    HealthSpan(&'static str),
    /// A negative number of retries.
    #[error("Retries in Healthcheck cannot be negative")]
    HealthRetries,
    /// A probe of unknown kind.
    #[error("Unknown healthcheck type '{0}' (expected 'CMD')")]
    HealthTest(String),
    /// A runtime that the daemon does not have.
    #[error("unknown or invalid runtime name: {0}")]
    Runtime(String),
    /// A cgroup outside the hierarchy.
    #[error("invalid cgroup parent: {0:?}")]
    CgroupParent(String),
}

fn cause(source: Option<&Error>) -> String {
    source
        .map(|source| format!(": {source}"))
        .unwrap_or_default()
}

impl Error {
    /// Says in which type of mount it went wrong.
    pub(crate) fn in_mount(self, kind: &'static str) -> Self {
        Self::MountConfig {
            kind,
            source: Box::new(self),
        }
    }

    /// Tells that a `--mount type=bind` has no source on this host.
    #[must_use]
    pub fn missing_bind_source(path: &str) -> Self {
        Self::BindSource(path.to_owned()).in_mount("bind")
    }
}

impl Fault for Error {
    /// A request that does not hold is wrong, whatever the reason, unless it is refused for what it would do.
    fn kind(&self) -> Kind {
        match self {
            Self::Hardened(_) | Self::NotShared { .. } => Kind::Forbidden,
            _ => Kind::InvalidParameter,
        }
    }
}
