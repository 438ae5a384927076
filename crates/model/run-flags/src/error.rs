//! Why flags make no sense, in docker's words.

use hakone_base::{Fault, Kind};

/// A complaint about what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    /// Builds a complaint.
    pub fn usage(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        Kind::InvalidParameter
    }
}
