//! What can go wrong between a build client and the engine.

use hakone_base::{Fault, Kind};
use hakone_buildkit_model::wire;
use prost::Message as _;
use tonic::{Code, Status};

use crate::neighbour::Failure;

/// A refusal or a failure of this service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client's message cannot be understood or carried out.
    #[error(transparent)]
    Refused(#[from] hakone_buildkit_model::Error),
    /// There is no such session, or it ended.
    #[error("no active session for {0}: context deadline exceeded")]
    NoSession(String),
    /// Another client has this id.
    #[error("session {0} exists already")]
    SessionTaken(String),
    /// There is no such build.
    #[error("no such job {0}")]
    NoBuild(String),
    /// Another build has this id.
    #[error("job ID {0} exists already")]
    BuildTaken(String),
    /// A bound on how many may be open was reached.
    #[error("too many {0}")]
    TooMany(&'static str),
    /// The client went away or cancelled.
    #[error("the build was cancelled")]
    Cancelled,
    /// The client answered with an error.
    #[error("{}", .0.message())]
    Client(Box<Status>),
    /// A connection broke.
    #[error("the connection broke: {0}")]
    Connection(hyper::Error),
    /// The host failed.
    #[error("could not {step}: {source}")]
    Host {
        /// What was tried.
        step: &'static str,
        /// What the host says.
        source: std::io::Error,
    },
    /// The Dockerfile is not where it should be.
    #[error("failed to read dockerfile: open {0}: no such file or directory")]
    NoDockerfile(String),
    /// The build failed.
    #[error("{}", .0.message)]
    Build(Box<Failure>),
    /// A cache is none.
    #[error(transparent)]
    Cache(#[from] hakone_build_model::shelf::ShelfError),
    /// A document of a cache is none, or of something else.
    #[error(transparent)]
    Document(#[from] hakone_image_model::Error),
    /// There is no such file in a result.
    #[error("open {0}: no such file or directory")]
    NoFile(String),
    /// There is nothing where a cache should be.
    #[error("no build cache in it")]
    NoCache,
    /// The client says that the build failed: what we told it before, mostly, with all that belongs to it.
    #[error("{}", .0.message)]
    Returned(Box<wire::Status>),
}

impl Error {
    pub(crate) fn connection(error: hyper::Error) -> Self {
        Self::Connection(error)
    }

    pub(crate) fn host(step: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Host { step, source }
    }

    /// Prints the failure as clients read it: status, words, and where in the Dockerfile.
    pub(crate) fn status(&self) -> Status {
        let code = match self.kind() {
            Kind::InvalidParameter => Code::InvalidArgument,
            Kind::Unauthorized => Code::Unauthenticated,
            Kind::Forbidden => Code::PermissionDenied,
            Kind::NotFound => Code::NotFound,
            Kind::Conflict => Code::AlreadyExists,
            Kind::NotImplemented => Code::Unimplemented,
            Kind::Unavailable => Code::Unavailable,
            Kind::NotModified | Kind::System => Code::Unknown,
        };
        match self {
            // As BuildKit: a failed build is no fault of the call, so its words stand alone, and clients print no code.
            Self::Build(failure) => failure.status(),
            Self::Returned(status) => {
                let words = status.message.clone();
                let mut full = wire::Status::clone(status);
                full.code = Code::Unknown.into();
                Status::with_details(Code::Unknown, words, full.encode_to_vec().into())
            }
            Self::Cancelled => Status::cancelled(self.to_string()),
            Self::Refused(_) | Self::NoDockerfile(_) | Self::Client(_) => {
                Status::unknown(self.to_string())
            }
            _ => Status::new(code, self.to_string()),
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Client(Box::new(status))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Build(Box::new(failure))
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Refused(refusal) => refusal.kind(),
            Self::NoSession(_) | Self::NoBuild(_) | Self::NoDockerfile(_) | Self::NoFile(_) => {
                Kind::NotFound
            }
            Self::SessionTaken(_) | Self::BuildTaken(_) => Kind::Conflict,
            Self::TooMany(_) | Self::Connection(_) => Kind::Unavailable,
            Self::Cache(_) | Self::Document(_) | Self::NoCache => Kind::InvalidParameter,
            Self::Cancelled | Self::Client(_) | Self::Returned(_) | Self::Host { .. } => {
                Kind::System
            }
            Self::Build(failure) => failure.kind,
        }
    }
}
