//! Which HTTP status a refusal has: the only place that knows.

use hakone_registry_service::api::Code;
use hyper::StatusCode;

/// Gives the status of a code.
pub(crate) const fn of(code: Code) -> StatusCode {
    match code {
        Code::BlobUnknown
        | Code::BlobUploadUnknown
        | Code::ManifestUnknown
        | Code::NameUnknown
        | Code::NoRoute => StatusCode::NOT_FOUND,
        Code::BlobUploadInvalid
        | Code::DigestInvalid
        | Code::ManifestBlobUnknown
        | Code::ManifestInvalid
        | Code::NameInvalid
        | Code::SizeInvalid
        | Code::PageInvalid => StatusCode::BAD_REQUEST,
        Code::RangeInvalid => StatusCode::RANGE_NOT_SATISFIABLE,
        Code::ManifestTooLarge | Code::QuotaExceeded => StatusCode::PAYLOAD_TOO_LARGE,
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::Denied => StatusCode::FORBIDDEN,
        Code::Unsupported => StatusCode::METHOD_NOT_ALLOWED,
        Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
