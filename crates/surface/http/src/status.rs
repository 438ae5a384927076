//! The one table from a fault's kind to an HTTP status.

use hakone_base::Kind;
use hyper::StatusCode;

/// Gives the status that clients of the Engine API expect for this kind of failure.
pub(crate) const fn of(kind: Kind) -> StatusCode {
    match kind {
        Kind::InvalidParameter => StatusCode::BAD_REQUEST,
        Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::NotModified => StatusCode::NOT_MODIFIED,
        Kind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::System => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
