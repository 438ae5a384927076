//! Network namespaces: made, opened and entered without ever moving a thread that others use.
//!
//! A namespace belongs to a thread, and a runtime's worker that entered one would carry strangers along. So every entry
//! happens on a thread made for it, which ends there. Nothing is mounted: a namespace lives as long as a descriptor, a
//! socket or a process of it, and the kernel cleans up after the last.

mod error;
mod netns;
mod sysctl;

pub use error::Error;
pub use netns::Netns;
pub use sysctl::write_sysctl;
