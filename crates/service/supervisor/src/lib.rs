//! The supervisor: one small process per container.
//!
//! Parent of the container's init, owner of its streams, writer of its log, keeper of its exit. It outlives the daemon:
//! whatever the daemon must know again after a crash stands in `exit.json` or comes over the control socket. One
//! thread, one `poll` loop, no async runtime: a thousand of them share their pages and have few of their own
//! (docs/decisions/0004-supervisor.md).
//!
//! The road: [`main`] takes the descriptors (`descriptors`), reads the order, makes the container (`prepare`,
//! `runtime`), serves the control socket (`server`), and records the end (`ending`).

mod connection;
mod descriptors;
mod ending;
mod error;
mod images;
mod interest;
mod log;
mod mtab;
mod ping;
mod prepare;
mod process;
mod request;
mod role;
mod runtime;
mod server;
mod socketcall;
mod stdio;

pub use role::main;
