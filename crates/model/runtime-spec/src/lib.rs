//! The OCI runtime spec of one start: what Docker hands to runc, for our own runtime and runc alike.
//!
//! [`Resolved`] carries what only the host knows at that moment: paths of volumes, numbers of devices, namespaces of other
//! containers. Everything else follows from the [`ContainerSpec`](hakone_spec::ContainerSpec) alone, so the same container gives the same document. No I/O: what must
//! be looked up comes in as values. What the running container is to get of a changed request is here, too.

mod cgroup;
mod compose;
mod devices;
mod live;
mod mounts;
mod namespaces;
mod process;
mod seccomp;

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

use hakone_base::ContainerId;

use hakone_spec::{Access, DeviceKind, Lack, Propagation, ReadOnly};

pub use compose::{INIT_ANNOTATION, MASKED_PATHS, READ_ONLY_PATHS, runtime_spec};
pub use live::live_resources;
pub use process::linux_capabilities;
pub use seccomp::seccomp_for_runc;

/// The facts of one start.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The container.
    pub id: ContainerId,
    /// Its host name, decided.
    pub hostname: String,
    /// Where its root is mounted.
    pub rootfs: PathBuf,
    /// Its mounts with every source found, `--volumes-from` included, parents first.
    pub mounts: Vec<ResolvedMount>,
    /// The files that the engine writes for it.
    pub files: Option<EtcFiles>,
    /// Its network namespace.
    pub network: Netns,
    /// Namespaces of other containers that it joins.
    pub joined: Joined,
    /// Its `/dev/shm`.
    pub shm: Shm,
    /// Its user namespace's maps, if it has one.
    pub mappings: Option<Mappings>,
    /// Its cgroup, absolute in each hierarchy.
    pub cgroup: PathBuf,
    /// Its devices with their numbers.
    pub devices: Vec<ResolvedDevice>,
    /// Numbers of the block devices that limits name by path.
    pub block_devices: BTreeMap<PathBuf, (u32, u32)>,
    /// Variables of the engine's own (links), below those of request and image.
    pub env: Vec<String>,
    /// The host.
    pub host: HostFacts,
}

/// Both maps of a user namespace.
pub type Mappings = (Vec<IdMapping>, Vec<IdMapping>);

/// A mount whose source is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedMount {
    /// Where it appears.
    pub target: String,
    /// What appears there.
    pub source: ResolvedSource,
    /// Whether it is read-only.
    pub read_only: ReadOnly,
}

/// The known source of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolvedSource {
    /// A path of the host: a bind, a volume's data, a file of the engine.
    Path {
        /// The path.
        path: PathBuf,
        /// How later mounts travel.
        propagation: Propagation,
        /// Whether the mounts below come along.
        recursive: bool,
        /// Whether the path was followed to its end, through what others may change meanwhile: a link on it is refused.
        plain: bool,
        /// Whether device nodes in it open devices; in a volume they do nobody's work but that of who wants out.
        devices: bool,
    },
    /// Memory.
    Tmpfs {
        /// Options of tmpfs(5).
        options: Vec<String>,
    },
}

/// The files in `/etc` that the engine writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcFiles {
    /// `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// `/etc/hostname`.
    pub hostname: PathBuf,
    /// `/etc/hosts`.
    pub hosts: PathBuf,
}

/// The network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Netns {
    /// A new one, or one that the runtime is handed as a descriptor.
    New,
    /// The host's.
    Host,
    /// One that has a path.
    Path(PathBuf),
}

/// Namespaces of other containers, by path (`/proc/<pid>/ns/…`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// For `--ipc container:X`.
    pub ipc: Option<PathBuf>,
    /// For `--pid container:X`.
    pub pid: Option<PathBuf>,
}

/// `/dev/shm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shm {
    /// None at all.
    Absent,
    /// A tmpfs of its own.
    Own,
    /// A tmpfs that others may share, or the host's, bound from there.
    Bound(PathBuf),
}

/// One line of a user namespace's map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdMapping {
    /// The first id inside.
    pub container: u32,
    /// The first id outside.
    pub host: u32,
    /// How many.
    pub size: u32,
}

/// A device with its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedDevice {
    /// Its path in the container.
    pub path: String,
    /// Block or character.
    pub kind: DeviceKind,
    /// The driver's number.
    pub major: u32,
    /// The driver's own count.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// What the container may do with it.
    pub access: Access,
}

/// What the host is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// Which cgroup hierarchy limits are written to.
    pub cgroup: CgroupVersion,
    /// What its kernel cannot do.
    pub lacks: Vec<Lack>,
    /// The highest capability that the kernel knows (`/proc/sys/kernel/cap_last_cap`).
    pub last_capability: u8,
    /// Whether mounts can be made read-only with all below (kernel 5.12).
    pub recursive_read_only: bool,
    /// Further paths to mask: `thermal_throttle` of each processor, where present.
    pub masked_paths: Vec<String>,
    /// The address behind `host-gateway`, when one is known.
    pub host_gateway: Option<IpAddr>,
}

/// The version of the cgroup interface; a hybrid counts as the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupVersion {
    /// A hierarchy for each controller.
    V1,
    /// One hierarchy.
    V2,
}
