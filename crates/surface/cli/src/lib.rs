//! The client command line: docker's verbs, flags, tables, messages and exit codes over the Engine API.
//!
//! Flags become requests by pure functions (`hakone-run-flags`); what every verb stands on (connection, console, shared flags, terminal, tables) is
//! `hakone-client`. A verb is a file in the folder of what it acts on, a variant in `command/tree.rs` and an arm in
//! `command/dispatch.rs`. Knows nothing of the daemon but its API. The binary adds its own verbs to [`command`] and hands the
//! rest to [`main`].

mod command;
mod complete;
mod container;
mod network;
mod security;
mod system;
mod volume;

pub use command::{command, main, matches};
use hakone_run_flags::quantity;
