//! What a step cannot mean.

use hakone_base::{Fault, Kind};

/// Why a step is refused, in Docker's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The Dockerfile itself.
    #[error(transparent)]
    Dockerfile(#[from] hakone_dockerfile::Error),
    /// A variable.
    #[error(transparent)]
    Problem(#[from] hakone_dockerfile::Problem),
    /// A port that is none.
    #[error("Invalid containerPort: {0}")]
    Port(String),
    /// A volume without a name.
    #[error("VOLUME specified can not be an empty string")]
    EmptyVolume,
    /// A folder without a name.
    #[error("cannot normalize nothing")]
    EmptyFolder,
    /// Several files into one.
    #[error(
        "When using {0} with more than one source file, the destination must be a directory and end with a /"
    )]
    SeveralSources(&'static str),
    /// A mode that is none.
    #[error("invalid chmod parameter: '{0}'. it should be octal string and between 0 and 07777")]
    Mode(String),
    /// An owner that is none.
    #[error("invalid chown string format: {0}")]
    Owner(String),
    /// A step that may do anything.
    #[error("RUN --security=insecure is not allowed: this builder confines every step")]
    Insecure,
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Dockerfile(error) => error.kind(),
            Self::Problem(_)
            | Self::Port(_)
            | Self::EmptyVolume
            | Self::EmptyFolder
            | Self::SeveralSources(_)
            | Self::Mode(_)
            | Self::Owner(_) => Kind::InvalidParameter,
            Self::Insecure => Kind::Forbidden,
        }
    }
}
