//! Control groups: limits, statistics, freezing and killing, on v1, hybrid and v2 hosts alike.
//!
//! A [`Cgroup`] is one path in every hierarchy of the host. A process enters through a [`Door`], by
//! itself and single-threaded: the kernel then skips the lock that makes moving another process wait
//! for a whole grace period (5 to 16 ms measured; 0.1 ms through the door).

mod cgroup;
mod device;
mod door;
mod error;
mod file;
mod freezer;
mod kill;
mod layout;
mod limit;
mod oom;
mod stats;

pub use cgroup::{Cgroup, remove_parent};
pub use door::Door;
pub use error::Error;
pub use layout::{Hierarchy, Layout, Version};
pub use oom::OomEvents;
pub use stats::{BlockIo, BlockOperation, Cpu, Memory, Pids, Stats};
