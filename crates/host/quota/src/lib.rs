//! What the files below a folder may take: project quotas of the file system.
//!
//! The kernel keeps the numbers, and a folder carries its own: nothing is recorded that a crash could make wrong. Numbers of ours lie far
//! from those that administrators give by hand, and apart for volumes and containers. Used by `service/volume` (`-o size=`) and
//! `service/container` (`--storage-opt size=`).

mod error;
mod projects;

pub use error::Error;
pub use projects::{Projects, VOLUMES, bound, check, free, lift};
