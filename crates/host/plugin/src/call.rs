//! Asks a plugin one question: `POST /Method` with JSON, and its answer within a time and a size.

use std::time::Duration;

use bytes::Bytes;
use hakone_plugin_model::{Activation, Address, MEDIA, Nothing, Outcome};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{ACCEPT, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::{Error, tls};

/// How long a plugin may think.
const DEADLINE: Duration = Duration::from_secs(30);
/// The longest answer.
const LIMIT: usize = 1 << 20;
/// How much of a plugin's complaint is passed on.
const COMPLAINT: usize = 1024;

/// A plugin and its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    name: String,
    address: Address,
}

impl Plugin {
    pub(crate) fn new(name: &str, address: Address) -> Self {
        Self {
            name: name.to_owned(),
            address,
        }
    }

    /// Gives its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives its address.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Asks what it can do, and that it can do `wanted`.
    ///
    /// # Errors
    /// When it does not answer, or lacks that.
    pub async fn activate(&self, wanted: &'static str) -> Result<(), Error> {
        if matches!(&self.address, Address::Tls(one) if one.tls.insecure) {
            tracing::warn!(
                plugin = self.name,
                "anybody is believed to be this plugin: its file says InsecureSkipVerify"
            );
        }
        let told: Activation = self.call("Plugin.Activate", &Nothing {}).await?;
        match told.implements.iter().any(|one| one == wanted) {
            true => Ok(()),
            false => Err(Error::Lacks {
                name: self.name.clone(),
                wanted,
            }),
        }
    }

    /// Asks one question. Cancellation safe: the plugin may have acted when the caller stops waiting.
    ///
    /// # Errors
    /// When it does not answer in time, in form, or says that it failed.
    pub async fn call<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        method: &str,
        question: &Q,
    ) -> Result<A, Error> {
        let body = serde_json::to_vec(question).map_err(|error| self.broken(method, &error))?;
        let answered = timeout(DEADLINE, self.exchange(method, body.into())).await;
        let (status, text) = answered.map_err(|_elapsed| Error::Late {
            name: self.name.clone(),
            method: method.to_owned(),
            seconds: DEADLINE.as_secs(),
        })??;
        // Failures come with any status: old plugins answer 200 with `Err`.
        let outcome = serde_json::from_slice::<Outcome>(&text).unwrap_or_default();
        if !outcome.err.is_empty() || status != StatusCode::OK {
            return Err(refused(method, status, &outcome, &text));
        }
        serde_json::from_slice(&text).map_err(|error| self.broken(method, &error))
    }

    async fn exchange(&self, method: &str, body: Bytes) -> Result<(StatusCode, Bytes), Error> {
        let broken = |error: &dyn std::fmt::Display| self.broken(method, error);
        let reply = match &self.address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                let missing = |_refused| Error::NotFound(self.name.clone());
                self.send(stream.map_err(missing)?, method, body).await
            }
            Address::Loopback(address) => {
                let stream = TcpStream::connect(address).await;
                let missing = |_refused| Error::NotFound(self.name.clone());
                self.send(stream.map_err(missing)?, method, body).await
            }
            Address::Tls(address) => {
                let place = (address.host.as_str(), address.port);
                let missing = |_refused| Error::NotFound(self.name.clone());
                let stream = TcpStream::connect(place).await.map_err(missing)?;
                let stream = tls::connect(address, stream).await;
                let stream = stream.map_err(|error| broken(&format!("TLS: {error}")))?;
                self.send(stream, method, body).await
            }
        }?;
        let status = reply.status();
        let body = Limited::new(reply.into_body(), LIMIT).collect().await;
        Ok((status, body.map_err(|error| broken(&error))?.to_bytes()))
    }

    async fn send<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        &self,
        stream: S,
        method: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, Error> {
        let broken = |error: &dyn std::fmt::Display| self.broken(method, error);
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| broken(&error))?;
        // It ends with the sender, which lives as long as this question.
        tokio::spawn(connection);
        let request = Request::post(format!("/{method}"))
            .header(HOST, "plugin")
            .header(ACCEPT, MEDIA)
            .header(CONTENT_TYPE, MEDIA)
            .body(Full::new(body));
        let request = request.map_err(|error| broken(&error))?;
        let sent = sender.send_request(request).await;
        sent.map_err(|error| broken(&error))
    }

    fn broken(&self, method: &str, reason: &dyn std::fmt::Display) -> Error {
        Error::Broken {
            name: self.name.clone(),
            method: method.to_owned(),
            reason: reason.to_string(),
        }
    }
}

fn refused(method: &str, status: StatusCode, outcome: &Outcome, text: &[u8]) -> Error {
    let words = match outcome.err.is_empty() {
        false => outcome.err.clone(),
        true => format!("{status}: {}", String::from_utf8_lossy(text)),
    };
    Error::Refused {
        method: method.to_owned(),
        reason: words.chars().take(COMPLAINT).collect(),
    }
}
