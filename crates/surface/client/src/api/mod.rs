//! The Engine API from the client's side: one connection at a time for requests, one each for streams.
//!
//! Written on hyper's client directly: attach and exec need the raw connection, `wait` must be armed while others run, and a
//! small client of our own costs less memory than a general one (docs/decisions/0009-command-line.md).

mod address;
mod hijack;
mod request;
mod transport;

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use hakone_base::ApiVersion;
use hakone_engine_api::error::ErrorBody;
use http_body_util::{BodyExt, BodyStream};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;

pub use address::{Address, DEFAULT};
pub use hijack::Hijacked;
pub use request::{Filters, Request, segment};
pub use transport::Identity;

use crate::Error;

/// The newest version that we speak.
const NEWEST: &str = "1.51";
/// Who the user is at a registry, as base64 of JSON.
const REGISTRY_AUTH: header::HeaderName = header::HeaderName::from_static("x-registry-auth");
/// The same for several registries, by their names.
const REGISTRY_CONFIG: header::HeaderName = header::HeaderName::from_static("x-registry-config");

/// A daemon and how to speak to it.
#[derive(Debug)]
pub struct Client {
    address: Address,
    identity: Option<Identity>,
    version: String,
    /// A connection with nothing under way, to be used again.
    idle: Mutex<Option<SendRequest<request::Body>>>,
}

impl Client {
    /// Connects and agrees on a version: the daemon's, or ours when that is older.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn connect(address: Address, identity: Option<Identity>) -> Result<Self, Error> {
        let mut client = Self {
            address,
            identity,
            version: String::new(),
            idle: Mutex::default(),
        };
        let reply = client
            .exchange(Request::get("/_ping"), HeaderMap::new())
            .await?;
        client.version = negotiate(reply.headers());
        client.collect(reply).await?;
        Ok(client)
    }

    /// Tells the version spoken.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Sends and reads a JSON reply.
    ///
    /// # Errors
    /// When the daemon refuses, or its reply is not of this type.
    pub async fn json<T: DeserializeOwned>(&self, request: Request) -> Result<T, Error> {
        let bytes = self.bytes(request).await?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Reply(error.to_string()))
    }

    /// Sends and reads the whole reply.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn bytes(&self, request: Request) -> Result<Bytes, Error> {
        let reply = self.send(request).await?;
        self.collect(reply).await
    }

    /// Sends and expects nothing but success.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn done(&self, request: Request) -> Result<(), Error> {
        self.bytes(request).await.map(drop)
    }

    /// Sends and gives the reply's body as it comes.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn stream(
        &self,
        request: Request,
    ) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send + use<>, Error> {
        self.open_stream(request).await.map(|(_, stream)| stream)
    }

    /// Sends and gives the reply's headers, and its body as it comes.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn open_stream(
        &self,
        request: Request,
    ) -> Result<
        (
            HeaderMap,
            impl Stream<Item = Result<Bytes, Error>> + Send + use<>,
        ),
        Error,
    > {
        let reply = self.send(request).await?;
        let (head, body) = reply.into_parts();
        let frames = TryStreamExt::map_err(BodyStream::new(body), Error::from);
        let bytes = frames.try_filter_map(async |frame| Ok(frame.into_data().ok()));
        Ok((head.headers, bytes))
    }

    /// Sends and gives the reply's headers.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn headers(&self, request: Request) -> Result<HeaderMap, Error> {
        let reply = self.send(request).await?;
        let headers = reply.headers().clone();
        self.collect(reply).await.map(|_| headers)
    }

    /// Sends and takes the connection over for raw bytes.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn hijack(&self, request: Request) -> Result<Hijacked, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONNECTION,
            header::HeaderValue::from_static("Upgrade"),
        );
        headers.insert(header::UPGRADE, header::HeaderValue::from_static("tcp"));
        let reply = self.exchange(request, headers).await?;
        hijack::take(check(reply).await?).await
    }

    async fn send(&self, request: Request) -> Result<Response<Incoming>, Error> {
        check(self.exchange(request, HeaderMap::new()).await?).await
    }

    async fn exchange(
        &self,
        request: Request,
        headers: HeaderMap,
    ) -> Result<Response<Incoming>, Error> {
        let mut sender = match self.take_idle() {
            Some(sender) => sender,
            None => self.dial().await?,
        };
        let target = match self.version.is_empty() {
            true => request.target(),
            false => format!("/v{}{}", self.version, request.target()),
        };
        let mut wire = hyper::Request::new(request.body);
        *wire.method_mut() = request.method;
        *wire.uri_mut() = target
            .parse()
            .ok()
            .ok_or_else(|| Error::usage(format!("invalid name in {target}")))?;
        *wire.headers_mut() = headers;
        let one = (REGISTRY_AUTH, request.registry_auth.as_deref());
        let all = (REGISTRY_CONFIG, request.registry_config.as_deref());
        for (name, auth) in [one, all] {
            if let Some(Ok(mut value)) = auth.map(header::HeaderValue::from_str) {
                value.set_sensitive(true);
                wire.headers_mut().insert(name, value);
            }
        }
        wire.headers_mut().insert(
            header::HOST,
            header::HeaderValue::from_static("api.moby.localhost"),
        );
        wire.headers_mut().insert(
            header::USER_AGENT,
            header::HeaderValue::from_static(concat!("hakone/", env!("CARGO_PKG_VERSION"))),
        );
        if let Some(kind) = request.kind {
            wire.headers_mut()
                .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        }
        let reply = sender.send_request(wire).await?;
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        Ok(reply)
    }

    /// Takes the idle connection when its last reply was read to the end.
    fn take_idle(&self) -> Option<SendRequest<request::Body>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.take().filter(SendRequest::is_ready)
    }

    async fn dial(&self) -> Result<SendRequest<request::Body>, Error> {
        let stream = transport::open(&self.address, self.identity.as_ref()).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // The task ends when the sender is dropped and its last reply was read; nothing to join.
        drop(tokio::spawn(connection.with_upgrades()));
        Ok(sender)
    }

    async fn collect(&self, reply: Response<Incoming>) -> Result<Bytes, Error> {
        Ok(reply.into_body().collect().await?.to_bytes())
    }
}

/// Passes success and turns the rest into the daemon's words. "Not modified" is a success to all clients.
async fn check(reply: Response<Incoming>) -> Result<Response<Incoming>, Error> {
    let status = reply.status();
    if status.is_success()
        || matches!(
            status,
            StatusCode::SWITCHING_PROTOCOLS | StatusCode::NOT_MODIFIED
        )
    {
        return Ok(reply);
    }
    let bytes = reply.into_body().collect().await?.to_bytes();
    let message = match serde_json::from_slice::<ErrorBody>(&bytes) {
        Ok(body) => body.message.trim().to_owned(),
        Err(_) => String::from_utf8_lossy(&bytes).trim().to_owned(),
    };
    Err(Error::Daemon {
        status: status.as_u16(),
        message,
    })
}

fn negotiate(headers: &HeaderMap) -> String {
    let theirs = headers
        .get("Api-Version")
        .and_then(|value| value.to_str().ok());
    let parsed = |text: &str| text.parse::<ApiVersion>().ok();
    match theirs {
        Some(text) if parsed(text) < parsed(NEWEST) && parsed(text).is_some() => text.to_owned(),
        _ => NEWEST.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_version_wins() {
        let with = |version: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("Api-Version", header::HeaderValue::from_static(version));
            negotiate(&headers)
        };
        assert_eq!(with("1.41"), "1.41");
        assert_eq!(with("1.99"), NEWEST);
        assert_eq!(negotiate(&HeaderMap::new()), NEWEST);
    }
}
