//! Log files as files: their lines in bounded memory, and where the last of them begin.
//!
//! Also the log servers that lines are sent to. What a line means is `hakone-container-model`'s to say; who reads, how far and how long, the container service's.

mod files;
mod lines;
pub mod server;
mod tail;

pub use files::{files, open};
pub use lines::Lines;
pub use tail::{Position, position};
