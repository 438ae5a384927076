//! The words between the daemon and a container's supervisor.
//!
//! The daemon writes an [`Order`] to a file, starts the supervisor, and speaks with it over `control.sock`: each
//! message is a [`Frame`], so that a container's output travels in the very bytes that Docker's clients read. One
//! connection serves one purpose: a question, a watch, an attachment, an exec. Pure values; no I/O.

mod frame;
mod message;
mod order;

pub use frame::{
    Decoder, Frame, FrameError, FrameKind, HEADER, Header, MAX_CHUNK, MAX_MESSAGE, Message, encode,
    frame,
};
pub use message::{
    ExecOrder, Exit, FailureKind, Notice, Reply, Request, Streams, VANISHED, WindowSize,
};
pub use order::{
    CopyUp, Forward, ImageView, Log, LogFile, LogPeer, LogRetry, LogStream, LogTls, Order, Rootfs,
    Runtime,
};

/// The supervisor's socket, in the container's run folder.
pub const CONTROL_SOCKET: &str = "control.sock";
/// The record of the exit, in the container's run folder: an [`Exit`] as JSON.
pub const EXIT_FILE: &str = "exit.json";
/// The mount point of the container's root, in the container's run folder.
pub const ROOTFS: &str = "rootfs";
/// Where images are mounted that the container shows, in the container's run folder: each by a name of its own.
pub const IMAGES: &str = "images";
/// Variables of the process that never reach a disk, in the container's run folder: a JSON list of `NAME=value`, read once.
pub const ENVIRONMENT_FILE: &str = "environment.json";
/// The supervisor's order, in the container's data folder: an [`Order`] as JSON.
pub const ORDER_FILE: &str = "supervise.json";
/// The OCI runtime specification, in the bundle.
pub const CONFIG_FILE: &str = "config.json";
/// The exit code of a process that a signal ended is this plus the signal's number.
pub const SIGNAL_BASE: i32 = 128;
/// The most descriptors that one container's supervisor keeps for the daemon; the kernel passes 253 at once.
pub const MAX_HELD: usize = 4096;
/// The most descriptors in one message (`SCM_MAX_FD` of the kernel).
pub const MAX_HELD_PER_MESSAGE: usize = 253;
