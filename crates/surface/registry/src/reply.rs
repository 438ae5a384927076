//! Builds answers.

use std::{convert::Infallible, io};

use bytes::Bytes;
use futures_util::StreamExt as _;
use hakone_registry_service::{
    Body as Pieces, Error,
    api::{Code, Refusal},
};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Response, StatusCode,
    body::Frame,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LINK},
};
use serde_json::Value;
use tracing::error;

use crate::status;

/// The body of every answer; an error in it ends the connection.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What every handler gives.
pub(crate) type Reply = Result<Response<Body>, Error>;

/// Answers with nothing.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let body = Empty::new()
        .map_err(|never: Infallible| match never {})
        .boxed_unsync();
    with(status, body)
}

/// Answers with bytes of a kind.
pub(crate) fn bytes(status: StatusCode, kind: &str, bytes: Bytes) -> Response<Body> {
    let length = bytes.len();
    let body = Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync();
    let response = header(with(status, body), CONTENT_TYPE, kind);
    header(response, CONTENT_LENGTH, &length.to_string())
}

/// Answers with JSON.
pub(crate) fn json(value: &Value) -> Response<Body> {
    bytes(
        StatusCode::OK,
        "application/json; charset=utf-8",
        value.to_string().into(),
    )
}

/// Answers with pieces as they come, `length` bytes in all.
pub(crate) fn pieces(status: StatusCode, length: u64, pieces: Pieces) -> Response<Body> {
    let body = StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync();
    header(with(status, body), CONTENT_LENGTH, &length.to_string())
}

/// Adds a header; a value that cannot stand in one is left out.
pub(crate) fn header(
    mut response: Response<Body>,
    name: impl TryInto<HeaderName>,
    value: &str,
) -> Response<Body> {
    if let (Ok(name), Ok(value)) = (name.try_into(), HeaderValue::from_str(value)) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// Adds the link to the next page.
pub(crate) fn linked(
    response: Response<Body>,
    path: &str,
    next: Option<(usize, String)>,
) -> Response<Body> {
    let Some((count, last)) = next else {
        return response;
    };
    let separator = if path.contains('?') { '&' } else { '?' };
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("last", &last)
        .append_pair("n", &count.to_string())
        .finish();
    header(
        response,
        LINK,
        &format!("<{path}{separator}{query}>; rel=\"next\""),
    )
}

fn with(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// Answers with a refusal.
pub(crate) fn refused(refusal: &Refusal) -> Response<Body> {
    let status = status::of(refusal.code);
    bytes(
        status,
        "application/json; charset=utf-8",
        refusal.body().to_string().into(),
    )
}

/// Tells the client what is its business, and the log what is ours.
pub(crate) fn failed(failure: Error) -> Response<Body> {
    match failure {
        Error::Refused(refusal) => refused(&refusal),
        Error::Stopping | Error::Upstream(_) => refused(&Code::Unavailable.into()),
        Error::Disk { .. } | Error::Record(_) | Error::Secret { .. } | Error::Locked(_) => {
            error!(error = %failure, "the registry failed");
            refused(&Code::Unknown.into())
        }
    }
}
