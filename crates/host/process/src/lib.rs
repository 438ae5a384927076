//! Programs as children: the only place that starts any.
//!
//! [`Tool`] runs a foreign program to its end: absolute path, empty environment, deadline, bounded output, no shell.
//! [`ExecutableSeal`] and [`spawn_supervisor`] start this very program in its supervisor role, through a mount that
//! nothing can write through. All calls block; async callers wrap them in `spawn_blocking`.

mod capture;
mod error;
mod seal;
mod supervisor;
mod tool;

pub use error::Error;
pub use seal::ExecutableSeal;
pub use supervisor::{Child, Spawn, spawn_supervisor};
pub use tool::{Output, Streams, Tool};
