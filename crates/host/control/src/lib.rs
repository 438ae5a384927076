//! The daemon's end of a supervisor's control socket.
//!
//! [`Link`] is one connection for one purpose: a question and its answer, the notices of a watch, a stream, descriptors
//! to keep. [`FrameReader`] hands a stream's frames on to a client. What is said is `hakone_supervision`'s; the other end
//! is `service/supervisor`, which does without an async runtime and shares no code with this one.

mod frames;
mod link;
mod socket;

pub use frames::{Format, FrameReader, OnExit};
pub use link::{Link, LinkError};
pub use socket::listen;
