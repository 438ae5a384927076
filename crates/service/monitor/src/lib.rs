//! What containers do: `top` shows their processes, `stats` what they use of the host.
//!
//! Both are read from `/proc` and the control groups, by the daemon itself. `top` speaks the language of ps(1), of which it
//! knows the formats that people use and refuses the rest; no program is started on a container's behalf.

mod error;
mod neighbour;
mod network;
mod ps;
mod sample;
mod service;

pub use error::Error;
pub use neighbour::{Containers, Refusal, Seen};
pub use service::{Processes, Service};
