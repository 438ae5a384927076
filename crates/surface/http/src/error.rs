//! What can go wrong at the surface itself, and the reply for any fault of a service.

use bytes::Bytes;
use hakone_base::{ApiVersion, Fault, Kind};
use hakone_engine_api::{FilterError, error::ErrorBody};
use hyper::Response;

use crate::{
    reply::{self, Body},
    status,
};

/// A refusal of the surface, or a service's fault carried to the reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("client version {0} is too new. Maximum supported API version is {newest}", newest = ApiVersion::NEWEST)]
    TooNew(ApiVersion),
    #[error(
        "client version {0} is too old. Minimum supported API version is {oldest}, please upgrade your client to a newer version",
        oldest = ApiVersion::OLDEST
    )]
    TooOld(ApiVersion),
    #[error("page not found")]
    Unknown,
    /// `docker inspect` asks for a plugin last; this answer lets it say that there is no such object.
    #[error("plugin \"{0}\" not found")]
    NoPlugin(String),
    #[error("{0} is not implemented by this engine")]
    NotImplemented(&'static str),
    #[error("unsupported Content-Type header ({0}): must be 'application/json'")]
    ContentType(String),
    #[error("invalid JSON: {0}")]
    Json(serde_json::Error),
    #[error("invalid JSON: got EOF while reading request body")]
    EmptyBody,
    #[error("request body exceeds {0} bytes")]
    TooLarge(usize),
    #[error("could not read the request body: {0}")]
    Read(String),
    #[error("the request body came too slowly")]
    Slow,
    #[error("a page of another site may not attach")]
    Origin,
    #[error("this socket is not open to you")]
    Stranger,
    #[error(transparent)]
    Denied(#[from] hakone_authorize::Denial),
    /// Nobody reads this: it ends what was done for a client that has left.
    #[error("the client has left")]
    Departed,
    #[error("{0}")]
    Parameter(String),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error("{message}")]
    Service { kind: Kind, message: String },
}

impl Error {
    /// Takes a service's fault: its kind and its words.
    pub(crate) fn service(fault: &impl Fault) -> Self {
        Self::Service {
            kind: fault.kind(),
            message: fault.to_string(),
        }
    }

    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::Parameter(message.into())
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::TooNew(_)
            | Self::TooOld(_)
            | Self::ContentType(_)
            | Self::Json(_)
            | Self::EmptyBody
            | Self::TooLarge(_)
            | Self::Read(_)
            | Self::Slow
            | Self::Parameter(_)
            | Self::Filter(_) => Kind::InvalidParameter,
            Self::Unknown | Self::NoPlugin(_) => Kind::NotFound,
            Self::Denied(denial) if denial.is_absence() => Kind::NotFound,
            Self::Origin | Self::Stranger | Self::Denied(_) => Kind::Forbidden,
            Self::Departed => Kind::Unavailable,
            Self::NotImplemented(_) => Kind::NotImplemented,
            Self::Service { kind, .. } => *kind,
        }
    }
}

/// Prints a fault in the API's error shape; "not modified" has no body.
pub(crate) fn reply(error: &Error) -> Response<Body> {
    let code = status::of(error.kind());
    if error.kind() == Kind::NotModified {
        return reply::empty(code);
    }
    let body = ErrorBody {
        message: error.to_string(),
    };
    let mut text = serde_json::to_vec(&body).unwrap_or_default();
    text.push(b'\n');
    reply::bytes(code, "application/json", Bytes::from(text))
}
