//! Fetches one state of a git repository: for build contexts, and for `ADD` of a repository.
//!
//! The host's own git does it, because nothing else speaks to all servers; it is told to run nothing, to ask nobody, to follow no
//! redirect, and to connect to the addresses that were judged and no others. Nothing is ever checked out: git writes a tar,
//! which is unpacked as every hostile archive is. Submodules are not fetched, filters and export attributes do not count.

mod error;
mod fetch;

pub use error::Error;
pub use fetch::{Fetched, Order, fetch};
