//! Why the registry did not do as asked: mostly a refusal in the protocol's own words, seldom the host.

use std::{io, path::PathBuf};

use hakone_base::{Fault, Kind};
use hakone_registry_api::{Code, Refusal};

/// A failure of the registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The file system failed.
    #[error("could not {what} {path}: {source}")]
    Disk {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A record could not be written or read.
    #[error(transparent)]
    Record(#[from] hakone_store::Error),
    /// The registry behind this one failed.
    #[error("the registry behind this one: {0}")]
    Upstream(#[from] hakone_registry::Error),
    /// A key or a file of users cannot be used.
    #[error("could not use {path}: {reason}")]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another registry keeps this folder.
    #[error("another registry uses {0}")]
    Locked(PathBuf),
    /// The registry is about to end.
    #[error("the registry is stopping")]
    Stopping,
}

impl Error {
    /// Makes an error of what the file system said.
    pub(crate) fn disk(
        what: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Disk { what, path, source }
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::Refused(code.into())
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Refused(_) => Kind::InvalidParameter,
            Self::Disk { .. } | Self::Record(_) | Self::Secret { .. } => Kind::System,
            Self::Upstream(_) | Self::Stopping => Kind::Unavailable,
            Self::Locked(_) => Kind::Conflict,
        }
    }
}
