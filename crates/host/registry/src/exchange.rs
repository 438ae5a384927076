//! One request and its answer, each wait bounded: a registry that dribbles (slow loris) or never ends is left.

use std::{
    io,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hakone_base::Secret;
use hakone_registry_model::{Errand, Guard, Security, Url, refusals};
use http_body_util::{BodyExt as _, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Method, StatusCode,
    body::Incoming,
    header::{
        CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
        USER_AGENT,
    },
};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Error,
    client::{Patience, Shared},
    dial::Route,
};

/// The body of a request.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Bytes of an error body that are read.
const REFUSAL: u64 = 64 * 1024;

/// A request that can be made again.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) content: Option<Content>,
    pub(crate) patience: Option<Duration>,
}

/// A body of known bytes.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) kind: HeaderValue,
    pub(crate) bytes: Bytes,
}

/// A body that can be sent once.
pub(crate) struct Stream {
    pub(crate) length: u64,
    pub(crate) body: Body,
}

/// Under which conditions an exchange takes place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) security: Security,
    pub(crate) errand: Errand,
    pub(crate) guard: Option<&'a Guard>,
    pub(crate) authorization: Option<&'a Secret<String>>,
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) url: Url,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) at: Option<std::net::IpAddr>,
    body: Incoming,
    /// Read too far by whoever skipped bytes.
    pushed: Option<Bytes>,
    _driver: AbortOnDropHandle<()>,
    pace: Pace,
    patience: Patience,
}

impl Request {
    pub(crate) const fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            content: None,
            patience: None,
        }
    }

    pub(crate) const fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers
            .extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    pub(crate) fn content(mut self, kind: &str, bytes: Bytes) -> Self {
        let kind = HeaderValue::from_str(kind);
        let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
        self.content = Some(Content { kind, bytes });
        self
    }

    fn body(&self) -> (Body, u64) {
        let bytes = self.content.as_ref().map(|content| content.bytes.clone());
        match bytes {
            None => (
                Empty::new().map_err(|never| match never {}).boxed_unsync(),
                0,
            ),
            Some(bytes) => {
                let length = bytes.len() as u64;
                (
                    Full::new(bytes)
                        .map_err(|never| match never {})
                        .boxed_unsync(),
                    length,
                )
            }
        }
    }
}

impl Shared {
    /// Makes one exchange over a connection of its own; no redirect is followed and no status is an error here.
    pub(crate) async fn exchange(
        &self,
        request: &Request,
        stream: Option<Stream>,
        terms: Terms<'_>,
    ) -> Result<Response, Error> {
        let route = Route {
            target: &request.url,
            security: terms.security,
            errand: terms.errand,
            guard: terms.guard,
        };
        let mut connection = Box::pin(self.connect(route)).await?;
        let streamed = stream.is_some();
        let (body, length) =
            stream.map_or_else(|| request.body(), |stream| (stream.body, stream.length));
        let wire = self.wire(request, (body, length), terms, connection.proxy.as_ref())?;
        let target = || request.url.authority();
        let sent = connection.sender.send_request(wire);
        let limit = match streamed {
            // As long as it takes to send: the pace of what we send is the sender's to watch.
            true => None,
            false => Some(request.patience.unwrap_or(self.patience.head)),
        };
        let slow = || Error::Slow {
            target: target(),
            what: "no answer in time",
        };
        let answered = match limit {
            None => sent.await,
            Some(limit) => timeout(limit, sent).await.ok().ok_or_else(slow)?,
        };
        let answer = answered.map_err(|source| Error::Broken {
            target: target(),
            source,
        })?;
        let (parts, body) = answer.into_parts();
        Ok(Response {
            url: request.url.clone(),
            status: parts.status,
            headers: parts.headers,
            at: connection.at,
            body,
            pushed: None,
            _driver: connection.driver,
            pace: Pace::new(self.patience),
            patience: self.patience,
        })
    }

    fn wire(
        &self,
        request: &Request,
        (body, length): (Body, u64),
        terms: Terms<'_>,
        proxy: Option<&hakone_registry_model::Proxy>,
    ) -> Result<hyper::Request<Body>, Error> {
        let to = match proxy {
            Some(_) => request.url.to_string(),
            None => request.url.path().to_owned(),
        };
        let unsendable = |what: String| Error::Answer {
            target: request.url.authority(),
            what,
        };
        let mut wire = hyper::Request::builder()
            .method(request.method.clone())
            .uri(to)
            .header(HOST, request.url.authority())
            .header(USER_AGENT, &self.agent);
        for (name, value) in &request.headers {
            wire = wire.header(name, value);
        }
        if let Some(content) = &request.content {
            wire = wire.header(CONTENT_TYPE, &content.kind);
        }
        if !matches!(request.method, Method::GET | Method::HEAD) {
            wire = wire.header(CONTENT_LENGTH, length);
        }
        let secret = |value: &Secret<String>| {
            let mut value = HeaderValue::from_str(value.expose()).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        if let Some(value) = terms.authorization.and_then(secret) {
            wire = wire.header(hyper::header::AUTHORIZATION, value);
        }
        if let Some(value) = proxy
            .and_then(|proxy| proxy.authorization.as_ref())
            .and_then(secret)
        {
            wire = wire.header(PROXY_AUTHORIZATION, value);
        }
        wire.body(body)
            .map_err(|error| unsendable(error.to_string()))
    }
}

impl Response {
    /// Gives a header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Gives the body's announced length.
    pub(crate) fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// Gives the next bytes of the body; nothing at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some(bytes) = self.pushed.take() {
            return Ok(Some(bytes));
        }
        loop {
            let started = Instant::now();
            let slow = || Error::Slow {
                target: self.url.authority(),
                what: "the answer comes too slowly",
            };
            let frame = timeout(self.patience.window, self.body.frame()).await;
            let frame = frame.ok().ok_or_else(slow)?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            let frame = frame.map_err(|source| Error::Broken {
                target: self.url.authority(),
                source,
            })?;
            let Ok(bytes) = frame.into_data() else {
                continue;
            };
            if !self.pace.keeps(started.elapsed(), bytes.len() as u64) {
                return Err(slow());
            }
            return Ok(Some(bytes));
        }
    }

    /// Gives bytes back, to be the next chunk.
    pub(crate) fn push_back(&mut self, bytes: Bytes) {
        self.pushed = Some(bytes);
    }

    /// Reads a whole body that may have so many bytes.
    pub(crate) async fn collect(mut self, what: &'static str, limit: u64) -> Result<Bytes, Error> {
        if self.length().is_some_and(|length| length > limit) {
            return Err(Error::TooLarge { what, limit });
        }
        let mut whole = Vec::new();
        while let Some(bytes) = self.chunk().await? {
            if (whole.len() + bytes.len()) as u64 > limit {
                return Err(Error::TooLarge { what, limit });
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.into())
    }

    /// Takes the answer as it is when it is a success, else as the error that it tells.
    pub(crate) async fn success(self) -> Result<Self, Error> {
        match self.status.is_success() {
            true => Ok(self),
            false => Err(self.refused().await),
        }
    }

    /// Makes an error of the answer.
    pub(crate) async fn refused(self) -> Error {
        let status = self.status;
        let body = self.collect("error", REFUSAL).await.unwrap_or_default();
        Error::Refused {
            status,
            refusals: refusals(&body),
        }
    }
}

/// Watches that enough comes in the time that we wait; time in which we do not ask does not count.
#[derive(Debug)]
struct Pace {
    patience: Patience,
    waited: Duration,
    got: u64,
}

impl Pace {
    const fn new(patience: Patience) -> Self {
        Self {
            patience,
            waited: Duration::ZERO,
            got: 0,
        }
    }

    fn keeps(&mut self, waited: Duration, got: u64) -> bool {
        self.waited += waited;
        self.got += got;
        if self.waited < self.patience.window {
            return true;
        }
        let enough = self.got >= self.patience.least;
        (self.waited, self.got) = (Duration::ZERO, 0);
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_a_second_is_too_slow_and_a_slow_reader_is_not() {
        let second = Duration::from_secs(1);
        let mut dribble = Pace::new(Patience::default());
        assert!(!(0..60).all(|_| dribble.keeps(second, 1)));
        let mut honest = Pace::new(Patience::default());
        assert!((0..60).all(|_| honest.keeps(second, 4096)));
        let mut waiting_for_us = Pace::new(Patience::default());
        assert!((0..60).all(|_| waiting_for_us.keeps(Duration::ZERO, 1)));
    }
}
