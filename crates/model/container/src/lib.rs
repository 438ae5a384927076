//! A container's life as values: its states and what each allows, when it is started again, whether it is healthy.
//!
//! Pure: times, exit codes and entropy come in as arguments. The container service asks here before it acts, in Docker's
//! words when the answer is no.

pub mod detach_keys;
mod error;
pub mod health;
pub mod log_entry;
pub mod merge;
pub mod name;
pub mod restart;
pub mod run;
pub mod state;
pub mod status;

pub use error::Error;
pub use log_entry::LogOptions;
