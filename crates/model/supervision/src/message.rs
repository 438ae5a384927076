//! What the daemon asks, what the supervisor answers, and what it tells unasked.

use hakone_base::{ExecId, Timestamp};
use serde::{Deserialize, Serialize};

/// [`Exit::error`] of a container whose supervisor died before it could record the exit; the daemon writes it.
pub const VANISHED: &str = "the container's supervisor was killed";

/// A question or command of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Let the container's process run. Answered with [`Reply::Started`] or [`Reply::Failed`]; waits for the making.
    Start,
    /// Undo everything and go.
    Abort,
    /// Send notices from now on, the present state first. Stays open.
    Watch,
    /// Stream the process's output from now on. Becomes a stream after [`Reply::Ok`].
    Attach(Streams),
    /// Send a signal to the container's process.
    Signal {
        /// Its number.
        number: i32,
    },
    /// Resize the container's terminal.
    Resize(WindowSize),
    /// Run one more process. Becomes a stream after [`Reply::ExecStarted`], unless detached.
    Exec(ExecOrder),
    /// Resize an exec's terminal.
    ExecResize {
        /// The exec.
        id: ExecId,
        /// The new size.
        size: WindowSize,
    },
    /// Kill an exec's process.
    ExecKill {
        /// The exec.
        id: ExecId,
    },
    /// Keep the descriptors that come with this message (`SCM_RIGHTS`), beyond the daemon's life. Adds to those held.
    Hold,
    /// Give back duplicates of all descriptors held, in [`Reply::Held`] messages of at most
    /// [`MAX_HELD_PER_MESSAGE`](crate::MAX_HELD_PER_MESSAGE) each; the last one has fewer (maybe none).
    Held,
    /// Close all descriptors held.
    Release,
}

/// Which of a process's streams a client takes part in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streams {
    /// Writes its input.
    pub stdin: bool,
    /// Reads its output.
    pub stdout: bool,
    /// Reads its errors; with a terminal they are part of the output.
    pub stderr: bool,
}

/// The size of a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub cols: u16,
}

/// One more process in a running container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecOrder {
    /// Names it in notices and for resizing.
    pub id: ExecId,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// `NAME=value`, added to the container's variables or in place of them.
    pub env: Vec<String>,
    /// The folder to start in; none takes the container's.
    pub cwd: Option<String>,
    /// `name|uid[:group|gid]`; none takes the container's.
    pub user: Option<String>,
    /// Whether it has a terminal instead of pipes.
    pub terminal: bool,
    /// The terminal's first size.
    pub console: Option<WindowSize>,
    /// Whether it has all capabilities.
    pub privileged: bool,
    /// The streams that this connection takes part in; the others are `/dev/null`.
    pub streams: Streams,
    /// Whether the connection ends after the reply.
    pub detach: bool,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reply {
    /// Done; or, to an attachment: the stream begins.
    Ok,
    /// The container's process runs.
    Started {
        /// Its number in the host's process namespace.
        pid: i32,
        /// What could not be done and was gone without, such as raising a limit.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    },
    /// The exec's process runs; the stream begins.
    ExecStarted {
        /// Its number in the host's process namespace.
        pid: i32,
    },
    /// This many descriptors come with this message.
    Held {
        /// How many.
        count: usize,
    },
    /// Not done.
    Failed {
        /// What sort of failure.
        kind: FailureKind,
        /// What the user reads, in Docker's wording where it has one.
        message: String,
    },
}

/// What sort of failure kept a process from running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The program does not exist: exit code 127.
    NotFound,
    /// The program may not be run: exit code 126.
    Permission,
    /// Anything else: exit code 128 in Docker's records.
    Other,
}

/// Something that happened, told to every watcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Notice {
    /// The container's process runs.
    Started {
        /// Its number in the host's process namespace.
        pid: i32,
        /// Since when.
        at: Timestamp,
    },
    /// The container's process ended; the supervisor goes. Always the last notice.
    Exited(Exit),
    /// The kernel killed a process of the container for want of memory.
    Oom,
    /// An exec's process ended.
    ExecExited {
        /// The exec.
        id: ExecId,
        /// Its exit code, or 128 plus the signal's number.
        code: i32,
    },
}

/// How a container ended: the content of `exit.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code of its process, or 128 plus the signal's number.
    pub code: i32,
    /// Whether the kernel killed a process of it for want of memory.
    pub oom: bool,
    /// When.
    pub at: Timestamp,
    /// Why it never ran, or what went wrong besides.
    pub error: Option<String>,
}
