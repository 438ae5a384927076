//! What the daemon fills in where a request says nothing, and what this host has.

use crate::{
    Capability, CapabilitySet, CgroupMode, Guarded, IpcMode, Limit, LogDefault, SeccompChoice,
};

/// The daemon's defaults and the host's bounds; a value, so that parsing stays pure.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the daemon"
)]
pub struct Defaults {
    /// Processors online, the bound of `--cpus`.
    pub cpus: u32,
    /// Processors that `--cpuset-cpus` may name, as a kernel list such as `0-3`; empty means unknown.
    pub cpuset_cpus: String,
    /// Memory nodes that `--cpuset-mems` may name; empty means unknown.
    pub cpuset_mems: String,
    /// The log driver and its options.
    pub log: LogDefault,
    /// Names that `--runtime` may take.
    pub runtimes: Vec<String>,
    /// The runtime taken when none is named; one of `runtimes`.
    pub default_runtime: String,
    /// Limits for containers that do not set the same one.
    pub ulimits: Vec<Limit>,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: u64,
    /// The cgroup namespace: Docker takes a private one with cgroup v2 and the host's with v1.
    pub cgroup_mode: CgroupMode,
    /// The IPC namespace: `Private` or `Shareable`.
    pub ipc_mode: IpcMode,
    /// Whether an init process is put in front of the command.
    pub init: bool,
    /// Whether containers live in a user namespace unless they ask for the host's (`--userns-remap`).
    pub userns_remap: bool,
    /// Whether every container gets `no-new-privileges`.
    pub no_new_privileges: bool,
    /// The capabilities of containers that neither add nor drop any.
    pub capabilities: CapabilitySet,
    /// The seccomp profile of containers that name none.
    pub seccomp: SeccompChoice,
    /// Whether containers are hardened unless their label says otherwise.
    pub hardened: bool,
    /// What of the host belongs to the engine.
    pub guarded: Guarded,
    /// Processes and threads of a container that names no limit; `None` for no limit.
    pub pids: Option<u64>,
    /// Bytes of memory of a container that names no limit; `None` for no limit.
    pub memory: Option<u64>,
    /// Bytes that the files of a container may take that names no size; `None` for no limit.
    pub storage: Option<u64>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            cpus: 1,
            cpuset_cpus: String::new(),
            cpuset_mems: String::new(),
            log: LogDefault::default(),
            runtimes: vec![
                "hakone".into(),
                "runc".into(),
                "io.containerd.runc.v2".into(),
            ],
            default_runtime: "hakone".into(),
            ulimits: Vec::new(),
            shm_size: 64 << 20,
            cgroup_mode: CgroupMode::Private,
            ipc_mode: IpcMode::Private,
            init: false,
            userns_remap: false,
            no_new_privileges: false,
            capabilities: Capability::defaults(),
            seccomp: SeccompChoice::Default,
            hardened: false,
            guarded: Guarded::default(),
            pids: None,
            memory: None,
            storage: None,
        }
    }
}
