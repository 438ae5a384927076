//! What can go wrong with a container's files, in Docker's words.

use hakone_base::{Fault, Kind};
use rustix::io::Errno;

use crate::Refusal;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path names nothing.
    #[error("Could not find the file {path} in container {container}")]
    NoFile {
        /// The path as typed.
        path: String,
        /// The container as typed.
        container: String,
    },
    /// Archives go into folders only.
    #[error("extraction point is not a directory")]
    NoFolder,
    /// The container's root is for reading only.
    #[error("container rootfs is marked read-only")]
    RootReadOnly,
    /// The volume is for reading only.
    #[error("mounted volume is marked read-only")]
    VolumeReadOnly,
    /// The container's user is in none of its files.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    NoUser(String),
    /// The container ended while we looked.
    #[error("container {0} is not running")]
    Ended(hakone_base::ContainerId),
    /// The stream or a path was refused.
    #[error(transparent)]
    Tar(#[from] hakone_tar::Error),
    /// A mount was refused.
    #[error(transparent)]
    Mount(#[from] hakone_mount::Error),
    /// The containers refused.
    #[error("{0}")]
    Container(Refusal),
    /// The kernel refused.
    #[error("could not {what}: {errno}")]
    Kernel {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// The service shuts down.
    #[error("the daemon is shutting down")]
    Closing,
}

impl Error {
    pub(crate) fn kernel(what: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Kernel { what, errno }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Container(refusal)
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NoFile { .. } => Kind::NotFound,
            Self::Container(refusal) => refusal.kind(),
            Self::Ended(_) => Kind::Conflict,
            Self::Closing => Kind::Unavailable,
            // As Docker has it: clients look at the words.
            Self::NoFolder
            | Self::RootReadOnly
            | Self::VolumeReadOnly
            | Self::NoUser(_)
            | Self::Tar(_)
            | Self::Mount(_)
            | Self::Kernel { .. } => Kind::System,
        }
    }
}
