//! Builds replies: JSON with a final newline, empty ones, streams.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Response, StatusCode,
    body::Frame,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::Serialize;

use crate::error::Error;

/// The body of every reply. Errors inside a stream end the connection, as clients expect.
pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// What every handler gives.
pub(crate) type Reply = Result<Response<Body>, Error>;

/// Replies with JSON and status 200.
pub(crate) fn json<T: Serialize>(value: &T) -> Reply {
    json_with(StatusCode::OK, value)
}

/// Replies with JSON and another status.
pub(crate) fn json_with<T: Serialize>(status: StatusCode, value: &T) -> Reply {
    Ok(bytes(status, "application/json", line(value)?))
}

/// Prints one line of JSON.
pub(crate) fn line<T: Serialize>(value: &T) -> Result<Bytes, Error> {
    let mut text = serde_json::to_vec(value).map_err(Error::Json)?;
    text.push(b'\n');
    Ok(Bytes::from(text))
}

/// Replies with nothing.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let body = Empty::new()
        .map_err(|never: Infallible| match never {})
        .boxed_unsync();
    with(status, None, body)
}

/// Replies with bytes of a known length.
pub(crate) fn bytes(status: StatusCode, kind: &'static str, bytes: Bytes) -> Response<Body> {
    let body = Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync();
    with(status, Some(kind), body)
}

/// Replies with chunks as they come; the headers go out at once.
pub(crate) fn stream<S>(kind: &'static str, chunks: S) -> Response<Body>
where
    S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
{
    let body = StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync();
    with(StatusCode::OK, Some(kind), body)
}

fn with(status: StatusCode, kind: Option<&'static str>, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if let Some(kind) = kind {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    response
}
