//! Why a state does not allow what was asked.

use hakone_base::{ContainerId, Fault, Kind};

/// A refusal, in Docker's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The container is already as asked.
    #[error("container {0} is already as asked")]
    NotModified(ContainerId),
    /// The present state forbids it.
    #[error("{0}")]
    Conflict(String),
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NotModified(_) => Kind::NotModified,
            Self::Conflict(_) => Kind::Conflict,
            Self::Invalid(_) => Kind::InvalidParameter,
        }
    }
}
