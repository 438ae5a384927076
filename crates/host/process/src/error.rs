//! Why a program did not run to its end.

use std::{io, path::PathBuf, time::Duration};

use hakone_base::{Fault, Kind};
use rustix::io::Errno;

/// Why a program did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path depends on the working folder or on a search path.
    #[error("{0} is not an absolute path")]
    Relative(PathBuf),
    /// The kernel would not start it.
    #[error("could not start {program}")]
    Start {
        /// The program.
        program: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It did not end in time and was killed.
    #[error("{program} did not end within {deadline:?}")]
    Deadline {
        /// The program.
        program: PathBuf,
        /// How long it had.
        deadline: Duration,
    },
    /// Watching it failed.
    #[error("lost sight of {program}")]
    Watch {
        /// The program.
        program: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Our own executable could not be sealed against writing.
    #[error(
        "could not seal our own executable (needs Linux 5.12 and CAP_SYS_ADMIN): {step} failed"
    )]
    Seal {
        /// The system call.
        step: &'static str,
        /// What the kernel said.
        source: Errno,
    },
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Relative(_) => Kind::InvalidParameter,
            Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Kind::NotFound
            }
            Self::Deadline { .. } => Kind::Unavailable,
            Self::Start { .. } | Self::Watch { .. } | Self::Seal { .. } => Kind::System,
        }
    }
}
