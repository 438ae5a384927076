//! The client command line: docker's verbs, flags, tables, messages and exit codes over the Engine API.
//!
//! Flags become requests by pure functions (`hakone-run-flags`), requests travel over a small client (`client`), and everything printed goes
//! through one writer (`Console`). Knows nothing of the daemon but its API. The binary adds its own verbs to [`command`] and
//! hands the rest to [`main`].

mod client;
mod command;
mod complete;
mod console;
mod container;
mod error;
mod flag;
mod image;
mod network;
mod output;
mod session;
mod surroundings;
mod system;
mod terminal;
mod volume;

pub use command::{command, main, matches};
use console::Console;
use error::Error;
use hakone_run_flags::quantity;
