//! Logs of containers: what the supervisor is told of one before the start, and reading what it wrote.
//!
//! Neither needs the container service: the order is made of the record and the specification, and a reader knows files
//! and the moment at which nothing more comes.

mod follow;
mod order;
mod read;

pub use follow::End;
pub use order::{Logged, is_readable, order};
pub use read::{Reading, read};
