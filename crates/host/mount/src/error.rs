//! What can go wrong with a mount.

use std::path::{Path, PathBuf};

use hakone_base::{Fault, Kind};
use rustix::io::Errno;

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A step failed on a path.
    #[error("{step} {}: {}", .path.display(), hakone_sys::reason(*.source))]
    Step {
        /// What was tried.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// The mount would hide or replace part of `/proc` (CVE-2019-16884).
    #[error("{} cannot be mounted because it is inside /proc", .0.display())]
    InsideProc(PathBuf),
    /// `/proc` and `/sys` must not be reached through a link that the image brought (CVE-2019-19921).
    #[error("filesystem {filesystem:?} must be mounted on ordinary directory: {}", .path.display())]
    NotOrdinary {
        /// The filesystem's type.
        filesystem: String,
        /// The target.
        path: PathBuf,
    },
    /// A chain of symbolic links without end.
    #[error("too many symbolic links: {}", .0.display())]
    Links(PathBuf),
    /// A device or socket in an image folder that should fill a volume.
    #[error("cannot fill a volume with special file {}", .0.display())]
    Special(PathBuf),
}

impl Error {
    pub(crate) fn step(step: &'static str, path: &Path) -> impl FnOnce(Errno) -> Self {
        move |source| Self::Step {
            step,
            path: path.into(),
            source,
        }
    }

    /// The kernel's answer, when there was one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Step { source, .. } => Some(*source),
            Self::InsideProc(_) | Self::NotOrdinary { .. } | Self::Links(_) | Self::Special(_) => {
                None
            }
        }
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Step { .. } => Kind::System,
            Self::InsideProc(_) | Self::NotOrdinary { .. } | Self::Links(_) | Self::Special(_) => {
                Kind::InvalidParameter
            }
        }
    }
}
