//! What one supervisor is to do: its only input besides the descriptors it inherits.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use hakone_base::ContainerId;
use hakone_log_wire::Wire;
use serde::{Deserialize, Serialize};

use crate::WindowSize;

/// The whole order for one run of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The container.
    pub container: ContainerId,
    /// The folder that holds `config.json`, an OCI runtime specification.
    pub bundle: PathBuf,
    /// The folder for `control.sock`, `rootfs/` and `exit.json`.
    pub run_dir: PathBuf,
    /// What the root file system is made of.
    pub rootfs: Rootfs,
    /// Files and folders of the host that a container with ids of its own sees with those, where their file system can.
    #[serde(default)]
    pub shifted: Vec<PathBuf>,
    /// Volumes still empty, to be filled from the image before the start.
    pub copy_up: Vec<CopyUp>,
    /// Images that the container shows besides its own.
    #[serde(default)]
    pub images: Vec<ImageView>,
    /// `name|uid[:group|gid]`, resolved in the image; empty for root.
    pub user: String,
    /// Supplementary groups by name or number, resolved in the image.
    pub groups: Vec<String>,
    /// Who makes the container.
    pub runtime: Runtime,
    /// Whether the process has a terminal instead of pipes.
    pub terminal: bool,
    /// Whether stdin stays open; else the process reads end-of-file.
    pub open_stdin: bool,
    /// Whether stdin closes for good when the first client that wrote to it goes.
    pub stdin_once: bool,
    /// The terminal's first size.
    pub console: Option<WindowSize>,
    /// Where output is kept.
    pub log: Log,
    /// The control group, absolute in each hierarchy, such as `/hakone/<id>`.
    pub cgroup: String,
    /// A compiled system-call filter (`hakone_seccomp::Program`); none leaves the container unconfined.
    pub seccomp: Option<PathBuf>,
}

/// The parts of an overlay mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rootfs {
    /// The image's layers, lowest first.
    pub layers: Vec<PathBuf>,
    /// What the container writes.
    pub upper: PathBuf,
    /// The kernel's work folder, on the file system of `upper`.
    pub work: PathBuf,
    /// Whether what the container writes dies with it: then nothing of it is ever synced to disk.
    pub ephemeral: bool,
    /// Whether `/etc/mtab` is a link to what is mounted, as programs of old want it; not in the steps of a build, whose results it
    /// would become part of.
    #[serde(default)]
    pub mtab: bool,
}

/// An image to be mounted in the run folder, for reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageView {
    /// What its place is called.
    pub name: String,
    /// Its layers, lowest first.
    pub layers: Vec<PathBuf>,
    /// The part of it that is shown, resolved inside its root.
    pub subpath: Option<PathBuf>,
}

/// A volume to fill from the image, ownership, modes and extended attributes kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyUp {
    /// The folder in the image, resolved inside its root.
    pub source_in_image: PathBuf,
    /// The volume's folder on the host.
    pub volume: PathBuf,
}

/// Who makes the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Runtime {
    /// `hakone-runtime`, inside the supervisor.
    Builtin,
    /// A program with runc's command line.
    External {
        /// The program, absolute.
        path: PathBuf,
        /// Its `--root`.
        root: PathBuf,
    },
}

/// Where output is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Log {
    /// Docker's `json-file`.
    JsonFile(LogFile),
    /// With a log server.
    Forward(Box<Forward>),
    /// Nowhere.
    None,
}

/// Docker's `json-file`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogFile {
    /// The newest file; older ones stand beside it as `.1`, `.2`, …
    pub path: PathBuf,
    /// Rotation at this many bytes; none never rotates.
    pub max_size: Option<u64>,
    /// How many files are kept, the newest among them; at least 1.
    pub max_file: u32,
    /// Whether older files are compressed, to `.1.gz` and so on.
    #[serde(default)]
    pub compress: bool,
    /// `attrs` of each line: chosen labels and variables, and `tag`; empty leaves `attrs` out.
    pub attributes: BTreeMap<String, String>,
}

/// A log server, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// Where it is.
    pub peer: LogPeer,
    /// What it speaks.
    pub wire: Wire,
    /// Bytes that may wait for it.
    pub room: u64,
    /// Whether lines are dropped when the room is full; else the container waits.
    pub lossy: bool,
    /// The file for whoever reads the log here.
    pub cache: Option<LogFile>,
    /// How long a server that is away is waited for.
    #[serde(default)]
    pub retry: LogRetry,
    /// The server's name and port, to look up again before another connection; none when it has no name.
    #[serde(default)]
    pub name: Option<(String, u16)>,
    /// How its stream is kept.
    #[serde(default)]
    pub stream: LogStream,
}

/// How a stream to a log server is kept, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogStream {
    /// How long one line may take to go; `None` waits for ever.
    pub patience: Option<u64>,
    /// After how long the connection is made again; `None` keeps it.
    pub renewal: Option<u64>,
    /// How long the receipt for a line may take; `None` waits for ever.
    #[serde(default)]
    pub receipt: Option<u64>,
}

/// How often a server that is away is tried before the lines that wait for it are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogRetry {
    /// Further connections after the first.
    pub attempts: u32,
    /// Milliseconds before the first of them; they double.
    pub pause: u64,
    /// The longest of them.
    pub longest: u64,
}

impl Default for LogRetry {
    /// What orders of older daemons meant.
    fn default() -> Self {
        Self {
            attempts: u32::MAX,
            pause: 250,
            longest: 10_000,
        }
    }
}

/// Where a log server is. Names were looked up: the supervisor itself never waits for a name server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LogPeer {
    /// Datagrams to the first of these addresses.
    Udp(Vec<SocketAddr>),
    /// A stream to the first of these that takes it.
    Tcp(Vec<SocketAddr>),
    /// An encrypted one.
    Tls(LogTls),
    /// A stream to a socket of this host.
    Unix(PathBuf),
    /// Datagrams to the first of these sockets that is there.
    Unixgram(Vec<PathBuf>),
}

impl LogPeer {
    /// Takes the addresses that a name has now; none leaves the former.
    pub fn move_to(&mut self, found: Vec<SocketAddr>) {
        let addresses = match self {
            Self::Udp(addresses) | Self::Tcp(addresses) => addresses,
            Self::Tls(tls) => &mut tls.addresses,
            Self::Unix(_) | Self::Unixgram(_) => return,
        };
        if !found.is_empty() {
            *addresses = found;
        }
    }
}

/// An encrypted stream and how the server is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogTls {
    /// Addresses, tried in turn.
    pub addresses: Vec<SocketAddr>,
    /// The name that the certificate is to be for.
    pub name: String,
    /// PEM file of those who may sign it.
    pub ca: PathBuf,
    /// PEM files of our certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whether any certificate will do.
    pub skip_verify: bool,
}
