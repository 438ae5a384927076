//! Makes containers of OCI runtime specs: namespaces, mounts, rights, the first process, and further ones.
//!
//! [`create`] forks the container's first process, which prepares its own root and waits; [`Created::start`] lets it
//! become the program; [`exec`] adds a process to a running container. The caller is single-threaded, is the parent of
//! all of them, and has the root file system mounted. Why not a library: docs/decisions/0002-own-runtime.md.

mod capability;
mod channel;
mod child;
mod console;
mod create;
mod credentials;
mod environment;
mod error;
mod exec;
mod executable;
mod id_map;
mod init;
mod launch;
mod limit;
mod namespace;
mod plan;
mod process;
mod reaper;
mod rootfs;
mod stdio;
mod sysctl;
mod user_namespace;

pub use create::create;
pub use error::StartError;
pub use exec::exec;
pub use launch::{Created, ExecLaunch, INIT_ANNOTATION, Launch, Running, Stdio};
pub use user_namespace::user_namespace;
