//! Why the administrator's chains could not be kept.

use hakone_base::{Fault, Kind};

/// Why the administrator's chains could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program did not run.
    #[error(transparent)]
    Tool(#[from] hakone_process::Error),
    /// The program refused.
    #[error("{program} failed: {complaint}")]
    Refused {
        /// Which program.
        program: String,
        /// What it said.
        complaint: String,
    },
    /// The host's namespace could not be entered.
    #[error(transparent)]
    Namespace(#[from] hakone_netns::Error),
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Tool(_) | Self::Refused { .. } | Self::Namespace(_) => Kind::System,
        }
    }
}
