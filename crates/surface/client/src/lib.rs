//! What every verb of the command line stands on: the daemon's connection, the console, flags in common, a person's terminal, tables and templates.
//!
//! Requests travel over a small client of our own (`api`), and everything printed goes through one writer ([`Console`]), so that
//! tests see it. A [`Session`] joins both. Verbs, their flags and their words are in `hakone-cli` and its siblings.

mod api;
mod console;
mod error;
pub mod flag;
pub mod output;
mod session;
mod surroundings;
pub mod terminal;

pub use api::{Address, Client, DEFAULT, Filters, Hijacked, Identity, Request, segment};
pub use console::{Console, Terminal};
pub use error::Error;
pub use session::Session;
pub use surroundings::now;
