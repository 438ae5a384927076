//! Takes over a connection for attach and exec.
//!
//! With `Upgrade` the reply is `101 UPGRADED` and bytes flow both ways; without it the output is the body of a 200.
//! The client half-closes its side at once when it has no stdin: that must end the input, never the output.

use std::{
    io::{self, Cursor},
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use hakone_base::ApiVersion;
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    ext::ReasonPhrase,
    header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE},
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    net::UnixStream,
};
use tokio_util::io::ReaderStream;
use tracing::debug;

use crate::reply::{self, Body};

/// Looks at the client before it is given time.
const EAGER: usize = 20;
/// How long a client may take to read the headers before the output is sent all the same.
const PATIENCE: Duration = Duration::from_secs(5);

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

/// Takes the connection and moves bytes.
async fn carry(upgrade: OnUpgrade, duplex: Duplex) {
    let Ok(connection) = upgrade.await else {
        debug!("client went away before its connection was taken over");
        return;
    };
    match connection.downcast::<TokioIo<UnixStream>>() {
        Ok(parts) => {
            let stream = parts.io.into_inner();
            if let Err(error) = settle(&stream).await {
                debug!(%error, "a client's socket does not tell what is unread");
            }
            let (reader, writer) = split(stream);
            // What came along with the request is the client's first input.
            let early = Cursor::new(parts.read_buf);
            flow(early.chain(reader), writer, duplex).await;
        }
        Err(connection) => {
            let (reader, writer) = split(TokioIo::new(connection));
            flow(reader, writer, duplex).await;
        }
    }
}

/// Waits until the client has read the reply's headers. Some read them through a buffer and then forget the buffer (docker-py): what
/// a fast process writes would come along with the headers and be lost. A client that reads nothing loses nothing by our going on.
async fn settle(stream: &UnixStream) -> io::Result<()> {
    for _ in 0..EAGER {
        if hakone_sys::unread(stream.as_fd())? == 0 {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
    let begin = Instant::now();
    while hakone_sys::unread(stream.as_fd())? > 0 && begin.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// Ends when the output ends; the input may end earlier.
async fn flow(
    mut from_client: impl AsyncRead + Unpin,
    mut to_client: impl AsyncWrite + Unpin,
    duplex: Duplex,
) {
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
