//! Takes over a connection for attach and exec.
//!
//! With `Upgrade` the reply is `101 UPGRADED` and bytes flow both ways; without it the output is the body of a 200.
//! The client half-closes its side at once when it has no stdin: that must end the input, never the output.

use hakone_base::ApiVersion;
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    ext::ReasonPhrase,
    header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE},
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, split};
use tokio_util::io::ReaderStream;
use tracing::debug;

use crate::reply::{self, Body};

/// How the output is framed; it decides the content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A terminal's plain bytes.
    Raw,
    /// Frames of stdout and stderr.
    Multiplexed,
}

/// The two directions between the client and a process.
pub(crate) struct Duplex {
    pub(crate) output: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) input: Option<Box<dyn AsyncWrite + Send + Unpin>>,
}

/// A request that may become a stream, split so that the process can be started in between.
pub(crate) struct Hijack {
    upgrade: Option<OnUpgrade>,
    kind: &'static str,
}

impl Hijack {
    /// Looks at the headers; the type name of framed streams exists since API 1.42.
    pub(crate) fn new(
        mut request: Request<Incoming>,
        version: ApiVersion,
        framing: Framing,
    ) -> Self {
        let wants = request.headers().contains_key(UPGRADE);
        let kind = match framing {
            Framing::Multiplexed if version >= ApiVersion::new(1, 42) => {
                "application/vnd.docker.multiplexed-stream"
            }
            Framing::Multiplexed | Framing::Raw => "application/vnd.docker.raw-stream",
        };
        Self {
            upgrade: wants.then(|| hyper::upgrade::on(&mut request)),
            kind,
        }
    }

    /// Answers, and lets the bytes flow.
    pub(crate) fn answer(self, duplex: Duplex) -> Response<Body> {
        match self.upgrade {
            None => reply::stream(self.kind, ReaderStream::new(duplex.output)),
            Some(upgrade) => {
                tokio::spawn(carry(upgrade, duplex));
                upgraded(self.kind)
            }
        }
    }
}

fn upgraded(kind: &'static str) -> Response<Body> {
    let mut response = reply::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
        .extensions_mut()
        .insert(ReasonPhrase::from_static(b"UPGRADED"));
    response
}

/// Ends when the output ends; the input may end earlier.
async fn carry(upgrade: OnUpgrade, duplex: Duplex) {
    let Ok(connection) = upgrade.await else {
        debug!("client went away before its connection was taken over");
        return;
    };
    let (mut from_client, mut to_client) = split(TokioIo::new(connection));
    let Duplex { mut output, input } = duplex;
    let outward = async {
        tokio::io::copy(&mut output, &mut to_client).await.ok();
        to_client.shutdown().await.ok();
    };
    let inward = async {
        match input {
            Some(mut input) => {
                tokio::io::copy(&mut from_client, &mut input).await.ok();
                input.shutdown().await.ok();
            }
            None => {
                tokio::io::copy(&mut from_client, &mut tokio::io::sink())
                    .await
                    .ok();
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = outward => {}
        () = inward => {}
    }
}
