//! What is stored of a container, and what is shown of it.
//!
//! The record is one value with one file; everything shown (inspect, list entries, which containers a filter means) is a
//! pure function of it and of what neighbours say, so that all of it is tested without a container. The container
//! service alone changes records.

mod endpoint;
mod filter;
#[cfg(any(test, feature = "fixture"))]
pub mod fixture;
mod inspect;
mod list;
mod record;
mod sandbox;

pub use filter::{Descent, LIST_FILTERS, Lookup, PRUNE_FILTERS, Prepared};
pub use inspect::{Around, Networks, inspect};
pub use list::Entry;
pub use record::{FILE, Mount, MountKind, MountedImage, Record, Replugging};
pub use sandbox::{Network, Replug, Sandbox};
