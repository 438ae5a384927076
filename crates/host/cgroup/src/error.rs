//! What can go wrong with a control group.

use std::path::PathBuf;

use hakone_base::{Fault, Kind};
use rustix::io::Errno;

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host has no usable hierarchy.
    #[error("cgroups: cgroup mountpoint does not exist")]
    NoHierarchy,
    /// The path could lead out of the hierarchies.
    #[error("invalid cgroup path {0}")]
    Path(String),
    /// A folder could not be made, opened or removed.
    #[error("cgroup {}: {}", .path.display(), hakone_sys::reason(*.source))]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// A limit could not be set; the wording is the one Docker's users know.
    #[error("error setting cgroup config for procHooks process: failed to write {value:?}: write {}: {}",
        .path.display(), hakone_sys::reason(*.source))]
    Limit {
        /// The file written to.
        path: PathBuf,
        /// The value refused.
        value: String,
        /// What the kernel said.
        source: Errno,
    },
    /// A file could not be read or does not read as expected.
    #[error("read {}: {}", .path.display(), hakone_sys::reason(*.source))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// The host cannot do this at all.
    #[error("{0} is not supported by this host's cgroups")]
    Unsupported(&'static str),
    /// Processes did not stop or die in time.
    #[error("timed out waiting for the processes of cgroup {0}")]
    Timeout(String),
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Path(_) | Self::Limit { .. } => Kind::InvalidParameter,
            Self::Unsupported(_) => Kind::NotImplemented,
            Self::NoHierarchy | Self::Folder { .. } | Self::Read { .. } | Self::Timeout(_) => {
                Kind::System
            }
        }
    }
}
