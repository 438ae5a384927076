//! Why there is no report.

use hakone_base::{Fault, Kind};

use crate::Refusal;

/// Why the self-test did not take place.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One at a time.
    #[error("a self-test runs already")]
    Running,
    /// Somebody hung up.
    #[error("the self-test was cut off")]
    CutOff,
    /// No network or container was made.
    #[error("could not set up the self-test: {0}")]
    SetUp(Refusal),
    /// A namespace or a socket was refused.
    #[error("could not run the self-test: {0}")]
    Kernel(String),
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Running => Kind::Conflict,
            Self::CutOff | Self::Kernel(_) => Kind::System,
            Self::SetUp(refusal) => refusal.kind(),
        }
    }
}

impl From<hakone_netns::Error> for Error {
    fn from(error: hakone_netns::Error) -> Self {
        Self::Kernel(error.to_string())
    }
}

impl From<rustix::io::Errno> for Error {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Kernel(errno.to_string())
    }
}

impl From<hakone_netlink::Error> for Error {
    fn from(error: hakone_netlink::Error) -> Self {
        Self::Kernel(error.to_string())
    }
}
