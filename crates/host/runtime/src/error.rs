//! Why a container's process did not start, in the words that Docker's users know.

use hakone_base::{Fault, Kind};
use rustix::io::Errno;

/// A failure of [`create`](crate::create), [`start`](crate::Created::start) or [`exec`](crate::exec()).
///
/// The message crosses from the child process to its parent, so it is text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The program is missing: exit status 127.
    #[error("{0}")]
    NotFound(String),
    /// The program may not be run: exit status 126.
    #[error("{0}")]
    Permission(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl StartError {
    /// For `map_err` on a kernel call: `step: reason`.
    pub(crate) fn step(step: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Other(format!("{step}: {}", hakone_sys::reason(errno)))
    }

    /// For `map_err` on errors that already say what was tried.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the shape that map_err asks for"
    )]
    pub(crate) fn of(error: impl ToString) -> Self {
        Self::Other(error.to_string())
    }
}

impl Fault for StartError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) | Self::Permission(_) => Kind::InvalidParameter,
            Self::Other(_) => Kind::System,
        }
    }
}
