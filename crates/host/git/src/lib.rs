//! Fetches one state of a git repository: for build contexts, and for `ADD` of a repository.
//!
//! The host's own git does it, because nothing else speaks to all servers; it is told to run nothing, to ask nobody, to follow no
//! redirect, and to connect to the addresses that were judged and no others. Nothing is ever checked out: git writes a tar,
//! which is unpacked as every hostile archive is. Filters and export attributes do not count; submodules are named, for their addresses
//! are judged as this one was, and fetched by their own orders.

mod error;
mod fetch;
mod join;

pub use error::Error;
pub use fetch::{Budget, Fetched, Order, SUBMODULE_FOLDERS, Submodule, fetch};
pub use join::join;
