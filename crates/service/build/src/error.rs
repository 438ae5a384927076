//! Why a build ended without an image.

use std::{io, path::PathBuf};

use hakone_base::{Digest, Fault, Kind};

use crate::Refusal;

/// A failure of a build.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Dockerfile cannot be read.
    #[error(transparent)]
    Dockerfile(#[from] hakone_dockerfile::Error),
    /// A step cannot be meant.
    #[error(transparent)]
    Step(#[from] hakone_build_model::Error),
    /// A program of a RUN failed.
    #[error("The command '{command}' returned a non-zero code: {code}")]
    Command {
        /// What was run.
        command: String,
        /// Its exit code.
        code: i64,
    },
    /// A program of a RUN could not begin, and it is one of another machine.
    #[error(
        "The command '{command}' could not run: programs of {platform} do not run on this host unless binfmt_misc names an emulator for them"
    )]
    Foreign {
        /// What was to be run.
        command: String,
        /// The platform of the stage.
        platform: String,
    },
    /// A COPY or ADD could not be carried out.
    #[error("{command} failed: {reason}")]
    Copy {
        /// Which of the two.
        command: &'static str,
        /// Why.
        reason: String,
    },
    /// A mount of a RUN could not be made.
    #[error("RUN --mount: {0}")]
    Mount(String),
    /// Another part of the engine refused.
    #[error("{0}")]
    Neighbour(Refusal),
    /// A name of the result is none.
    #[error("invalid argument {name:?} for \"-t, --tag\" flag: {source}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        source: hakone_base::ImageRefError,
    },
    /// A name of the result has a digest.
    #[error("refusing to create a tag with a digest reference")]
    DigestAsTag,
    /// A platform that is none.
    #[error(transparent)]
    Platform(#[from] hakone_image_model::Error),
    /// Something that this builder does not do.
    #[error("{0}")]
    Unsupported(&'static str),
    /// What the daemon's settings forbid.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The disk failed.
    #[error("could not {doing} {path}: {source}")]
    Disk {
        /// What was done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A tree of files.
    #[error(transparent)]
    Tree(#[from] hakone_tree::Error),
    /// The record of a result.
    #[error("could not keep a result: {0}")]
    Record(#[from] hakone_store::Error),
    /// The documents of an image.
    #[error("could not print the image's document")]
    Print(#[from] serde_json::Error),
    /// A cache does not have what it says.
    #[error("the cache has no blob of layer {0}")]
    NoBlob(Digest),
    /// A filter.
    #[error(transparent)]
    Filter(#[from] hakone_engine_api::FilterError),
    /// The build was ended from outside.
    #[error("Build cancelled")]
    Cancelled,
}

impl Error {
    pub(crate) fn disk(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk {
            doing,
            path,
            source,
        }
    }

    /// Gives the exit code of the program that failed, if one did.
    #[must_use]
    pub const fn code(&self) -> Option<i64> {
        match self {
            Self::Command { code, .. } => Some(*code),
            _ => None,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Neighbour(refusal)
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Dockerfile(error) => error.kind(),
            Self::Step(error) => error.kind(),
            Self::Neighbour(error) => error.kind(),
            Self::Name { .. } | Self::DigestAsTag | Self::Filter(_) | Self::Platform(_) => {
                Kind::InvalidParameter
            }
            Self::Unsupported(_) => Kind::NotImplemented,
            Self::Forbidden(_) => Kind::Forbidden,
            Self::Cancelled => Kind::Unavailable,
            Self::Command { .. }
            | Self::Foreign { .. }
            | Self::Copy { .. }
            | Self::Mount(_)
            | Self::Disk { .. }
            | Self::Tree(_)
            | Self::Record(_)
            | Self::NoBlob(_)
            | Self::Print(_) => Kind::System,
        }
    }
}
