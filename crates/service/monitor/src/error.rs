//! What can go wrong with looking at a container, in Docker's words.

use hakone_base::{Fault, Kind};

use crate::Refusal;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Only a running container has processes.
    #[error("container {0} is not running")]
    NotRunning(hakone_base::ContainerId),
    /// ps(1) has it, we have not.
    #[error("ps: {0:?} is not supported by this engine")]
    Unsupported(String),
    /// The processes cannot be told from others.
    #[error("Couldn't find PID field in ps output")]
    NoPid,
    /// Nobody but the process id may be called so.
    #[error("specifying \"{name}={title}\" is not allowed")]
    Title {
        /// The column.
        name: String,
        /// The title asked for.
        title: String,
    },
    /// The control group could not be read.
    #[error("{0}")]
    Cgroup(#[from] hakone_cgroup::Error),
    /// The containers refused.
    #[error("{0}")]
    Container(Refusal),
    /// The service shuts down.
    #[error("the daemon is shutting down")]
    Closing,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Container(refusal)
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NotRunning(_) => Kind::Conflict,
            Self::Unsupported(_) => Kind::InvalidParameter,
            Self::NoPid | Self::Title { .. } | Self::Cgroup(_) => Kind::System,
            Self::Container(refusal) => refusal.kind(),
            Self::Closing => Kind::Unavailable,
        }
    }
}
