//! What callers ask and get, beside the wire types that the API echoes.

use hakone_base::{ContainerId, Digest};
use hakone_engine_api::{Filters, wire};

use crate::stream::AttachStream;

/// A container to be made: the body of the request as it came, and its name.
#[derive(Clone, Debug, Default)]
pub struct CreateRequest {
    /// The name wanted; `None` generates one.
    pub name: Option<String>,
    /// The platform wanted, `linux/amd64`; empty means the host's.
    pub platform: String,
    /// The address of older clients, which stands beside the networks instead of in one.
    pub mac: Option<String>,
    /// Config, HostConfig and NetworkingConfig.
    pub body: wire::ContainerCreateBody,
    /// Whether the engine wants it for itself, as for a step of a build. It is not hardened: what it gets the engine chose.
    pub engine: bool,
}

/// A container made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub id: ContainerId,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// How to stop a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopOptions {
    /// The first signal, by name or number; `None` means the container's.
    pub signal: Option<String>,
    /// Seconds until SIGKILL; `None` means the container's or 10, negative means never.
    pub timeout: Option<i64>,
}

/// How to remove a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Also its anonymous volumes.
    pub volumes: bool,
    /// Kill it first.
    pub force: bool,
    /// Take away a link and nothing else.
    pub link: bool,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// That it does not run; true at once for a container never started.
    #[default]
    NotRunning,
    /// The next exit after the call.
    NextExit,
    /// That it is gone.
    Removed,
}

/// The end of a wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waited {
    /// The exit code.
    pub code: i64,
    /// What went wrong, if the code does not tell.
    pub error: Option<String>,
}

/// Which containers to list.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Also those that do not run.
    pub all: bool,
    /// At most so many, newest first; 0 means no limit. Implies `all`.
    pub limit: usize,
    /// Compute sizes.
    pub size: bool,
    /// The `filters` parameter, parsed with [`crate::Service::LIST_FILTERS`].
    pub filters: Filters,
}

/// How to attach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "five independent switches of one request"
)]
pub struct AttachOptions {
    /// Detach keys as typed; `None` means the default.
    pub detach_keys: Option<String>,
    /// Replay the log first.
    pub logs: bool,
    /// Stay attached.
    pub stream: bool,
    /// Connect the standard input.
    pub stdin: bool,
    /// Connect the standard output.
    pub stdout: bool,
    /// Connect the standard error.
    pub stderr: bool,
}

/// A terminal's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub cols: u16,
}

/// A command started in a container.
#[derive(Debug)]
pub enum ExecStarted {
    /// Nobody listens.
    Detached,
    /// The streams.
    Attached(AttachStream),
}

/// What a prune removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The containers.
    pub containers: Vec<ContainerId>,
    /// Bytes freed.
    pub reclaimed: u64,
}

/// How many containers are in which state, for `info`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Running, paused ones included as Docker counts them apart.
    pub running: usize,
    /// Paused.
    pub paused: usize,
    /// All others.
    pub stopped: usize,
}

/// Health probes since the daemon's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    /// All.
    pub total: u64,
    /// Those that did not end with 0.
    pub failed: u64,
}

/// A container's use of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUse {
    /// The container.
    pub container: ContainerId,
    /// The image's id.
    pub image: Digest,
    /// The reference the user typed.
    pub reference: String,
    /// Whether the container runs, which no force overrides.
    pub running: bool,
}
