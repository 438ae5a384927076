//! What can go wrong with containers, in Docker's words.

use std::{io, path::PathBuf};

use hakone_base::{ContainerId, Fault, Kind, NameError};
use hakone_control::LinkError;
use hakone_engine_api::FilterError;

use crate::neighbour::Refusal;

/// Why a call on containers failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The size of a container's files cannot be bounded here.
    #[error(
        "--storage-opt is supported only for overlay over xfs with 'pquota' mount option, or ext4 with 'prjquota': {0}"
    )]
    Storage(#[source] hakone_quota::Error),
    /// Nor that of all.
    #[error(
        "storage option overlay2.size needs xfs or ext4 mounted with 'prjquota' below the data root: {0}"
    )]
    StorageDefault(#[source] hakone_quota::Error),
    /// Nothing of that name or id.
    #[error("No such container: {0}")]
    NotFound(String),
    /// The image is there, for another platform than the one asked for.
    #[error(
        "image with reference {image} was found but does not match the specified platform: wanted {wanted}, actual: {actual}"
    )]
    Platform {
        /// The reference.
        image: String,
        /// The platform asked for.
        wanted: String,
        /// The image's.
        actual: String,
    },
    /// An id prefix that fits several.
    #[error("multiple IDs found with provided prefix: {0}")]
    Ambiguous(String),
    /// No command of that id.
    #[error("No such exec instance: {0}")]
    NoExec(String),
    /// The name is not a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The name belongs to another container.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". You have to remove (or rename) that container to be able to reuse that name."
    )]
    NameTaken {
        /// The name.
        name: String,
        /// Whose it is.
        holder: ContainerId,
    },
    /// Renaming failed for the reason within.
    #[error("Error when allocating new name: {0}")]
    Rename(#[source] Box<Error>),
    /// Killing failed for the reason within.
    #[error("cannot kill container: {container}: {source}")]
    Kill {
        /// The container as the caller named it.
        container: String,
        /// What went wrong.
        source: Box<Error>,
    },
    /// Renaming to the present name.
    #[error("Renaming a container with the same name as its current name")]
    SameName,
    /// The request does not hold together.
    #[error("{0}")]
    Invalid(String),
    /// The specification was refused.
    #[error(transparent)]
    Spec(#[from] hakone_spec::Error),
    /// A filter was refused.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The container already is as wanted.
    #[error("container {0} is already in that state")]
    NotModified(ContainerId),
    /// The state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// The model does not allow it.
    #[error("{0}")]
    Forbidden(String),
    /// The container's program could not be started; 126 and 127 are the shell's codes.
    #[error("{message}")]
    Start {
        /// What the runtime said.
        message: String,
        /// The exit code kept in the record.
        code: i64,
    },
    /// The supervisor did not come up or went away.
    #[error("{0}")]
    Supervisor(String),
    /// A network, image or volume was refused.
    #[error("{0}")]
    Neighbour(Refusal),
    /// The log driver cannot be read.
    #[error("configured logging driver does not support reading")]
    LogUnreadable,
    /// A record could not be read or written.
    #[error(transparent)]
    Record(#[from] hakone_store::Error),
    /// The kernel or the disk failed.
    #[error("could not {what} {path}: {source}")]
    Host {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The service shuts down.
    #[error("the daemon is shutting down")]
    Closing,
}

impl Error {
    /// Makes the conversion of an I/O error with its context.
    pub(crate) fn host(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Host { what, path, source }
    }
}

/// Tells the caller of a supervisor that cannot be spoken to.
#[expect(clippy::needless_pass_by_value, reason = "the shape of `map_err`")]
pub(crate) fn lost(error: LinkError) -> Error {
    Error::Supervisor(error.to_string())
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Neighbour(refusal)
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) | Self::NoExec(_) | Self::Platform { .. } => Kind::NotFound,
            Self::Ambiguous(_)
            | Self::Name(_)
            | Self::SameName
            | Self::Invalid(_)
            | Self::Filter(_)
            | Self::Storage(_)
            | Self::StorageDefault(_)
            | Self::Start {
                code: 126 | 127, ..
            } => Kind::InvalidParameter,
            Self::Spec(error) => error.kind(),
            Self::Forbidden(_) => Kind::Forbidden,
            Self::NameTaken { .. } | Self::Conflict(_) => Kind::Conflict,
            Self::Rename(inner) | Self::Kill { source: inner, .. } => inner.kind(),
            Self::NotModified(_) => Kind::NotModified,
            Self::Neighbour(refusal) => refusal.kind(),
            Self::LogUnreadable => Kind::NotImplemented,
            Self::Start { .. } | Self::Supervisor(_) | Self::Record(_) | Self::Host { .. } => {
                Kind::System
            }
            Self::Closing => Kind::Unavailable,
        }
    }
}

impl From<hakone_container_model::Error> for Error {
    fn from(refusal: hakone_container_model::Error) -> Self {
        match refusal {
            hakone_container_model::Error::NotModified(id) => Self::NotModified(id),
            hakone_container_model::Error::Conflict(message) => Self::Conflict(message),
            hakone_container_model::Error::Invalid(message) => Self::Invalid(message),
        }
    }
}
