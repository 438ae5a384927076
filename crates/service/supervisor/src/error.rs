//! Why the supervisor could not make or keep its container.

use std::{io, path::PathBuf};

use hakone_supervision::{FailureKind, Reply};
use rustix::io::Errno;

/// Why the supervisor could not make or keep its container.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file of the order or the bundle.
    #[error("could not read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    /// A file of the order or the bundle.
    #[error("{path} is not what it should be: {reason}")]
    Unreadable { path: PathBuf, reason: String },
    /// A system call.
    #[error("{step}: {}", hakone_sys::reason(*source))]
    Kernel { step: &'static str, source: Errno },
    /// Another part of ours.
    #[error("{step}: {reason}")]
    Part { step: &'static str, reason: String },
    /// The process itself could not be started; the message is the user's.
    #[error("{message}")]
    Start { kind: FailureKind, message: String },
}

impl Error {
    /// Names the step that a system call belongs to.
    pub(crate) fn kernel(step: &'static str) -> impl FnOnce(Errno) -> Self {
        move |source| Self::Kernel { step, source }
    }

    /// Names the step that another part's failure belongs to, with all its sources: the daemon sees only the text.
    pub(crate) fn part<E: std::error::Error>(step: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Part {
            step,
            reason: chain(&error),
        }
    }

    /// Names the file that could not be read.
    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read {
            path: path.into(),
            source,
        }
    }

    /// Gives the answer to the request that failed.
    pub(crate) fn reply(&self) -> Reply {
        let kind = match self {
            Self::Start { kind, .. } => *kind,
            Self::Read { .. }
            | Self::Unreadable { .. }
            | Self::Kernel { .. }
            | Self::Part { .. } => FailureKind::Other,
        };
        Reply::Failed {
            kind,
            message: self.to_string(),
        }
    }
}

/// Prints an error with its sources.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}
