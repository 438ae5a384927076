//! Log files as files: their lines in bounded memory, and where the last of them begin.
//!
//! What a line means is `hakone-container-model`'s to say; who reads, how far and how long, the container service's.

mod files;
mod lines;
mod tail;

pub use files::{files, open};
pub use lines::Lines;
pub use tail::{Position, position};
