//! The flow log: each connection that begins and ends, and each drop, with whose they were.
//!
//! Off unless it is asked for, and then it costs nothing: no socket, no rule, no thread. On, one thread of its own hears the
//! kernel ([`hakone_nft::Witness`]), makes records ([`hakone_flow_model`]), writes them and shows them to readers. It waits for nobody:
//! whoever is too slow loses lines and is told how many.

mod config;
mod error;
mod hearing;
mod interfaces;
mod service;
mod standing;

pub use config::{Config, Target};
pub use error::Error;
pub use hakone_flow_model::{Filter, Format, Owner, Record};
pub use service::{Service, Subscription};
pub use standing::Connection;
