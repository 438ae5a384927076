//! Why there is no state of a repository.

use std::{io, path::PathBuf};

use hakone_base::{Fault, Kind};

/// Why there is no state of a repository.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host has no git.
    #[error("contexts from git need the program git on the daemon's host: install the package git")]
    Missing,
    /// git did not run to its end.
    #[error(transparent)]
    Program(#[from] hakone_process::Error),
    /// git refused.
    #[error("git {doing} failed: {complaint}")]
    Refused {
        /// What it was to do.
        doing: &'static str,
        /// What it said.
        complaint: String,
    },
    /// More submodules than one repository may have.
    #[error("the repository has more submodules than are fetched")]
    Submodules,
    /// A repository and its submodules cost more than one context may.
    #[error(
        "the repository and its submodules are larger, or take longer, than a build context may"
    )]
    Budget,
    /// The disk failed.
    #[error("could not write {path}")]
    Disk {
        /// What.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Missing => Kind::NotImplemented,
            Self::Refused { .. } | Self::Submodules | Self::Budget => Kind::InvalidParameter,
            Self::Program(error) => error.kind(),
            Self::Disk { .. } => Kind::System,
        }
    }
}
