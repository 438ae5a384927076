//! Attach over a WebSocket: for programs that cannot take a raw connection over.
//!
//! The output of both streams comes as messages without frames of its own, as dockerd sends it. A page of another origin could
//! make a browser that holds a client certificate connect here, so an `Origin` must be that of the address asked for.

use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use hakone_base::ApiVersion;
use hakone_container::{AttachOptions, AttachStream};
use hakone_supervision::Header;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{
        CONNECTION, HOST, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};
use tracing::debug;

use crate::{
    Services,
    error::Error,
    reply::{self, Body, Reply},
    request::Call,
};

/// The largest message taken from a client.
const MESSAGE: usize = 1 << 20;
/// Bytes of output in one message at most.
const CHUNK: usize = 32 * 1024;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Joins a client to a container's streams.
pub(crate) async fn attach(services: &Services, id: &str, call: Call) -> Reply {
    let Some(accept) = accept(call.headers()) else {
        let text = bytes::Bytes::from_static(b"not websocket protocol");
        return Ok(reply::bytes(StatusCode::BAD_REQUEST, "text/plain", text));
    };
    if is_foreign(call.headers()) {
        return Err(Error::Origin);
    }
    let version = call.version;
    let stream = services.containers.attach(id, options(&call)).await;
    let stream = stream.map_err(|error| Error::service(&error))?;
    let upgrade = hyper::upgrade::on(call.into_request());
    let binary = version >= ApiVersion::new(1, 28);
    tokio::spawn(carry(upgrade, stream, binary));
    Ok(switch(&accept))
}

/// Which streams; before 1.42 the flags did not exist and all three were meant.
fn options(call: &Call) -> AttachOptions {
    let all = call.version < ApiVersion::new(1, 42);
    AttachOptions {
        detach_keys: call.text("detachKeys").map(str::to_owned),
        logs: call.flag("logs"),
        stream: call.flag("stream"),
        stdin: all || call.flag("stdin"),
        stdout: all || call.flag("stdout"),
        stderr: all || call.flag("stderr"),
    }
}

/// Gives the answer to the client's key, when the request is a handshake (RFC 6455, 4.2.1).
fn accept(headers: &HeaderMap) -> Option<String> {
    let holds = |name: HeaderName, word: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| {
            let mut words = value.split(',');
            words.any(|one| one.trim().eq_ignore_ascii_case(word))
        })
    };
    let wanted = holds(UPGRADE, "websocket")
        && holds(CONNECTION, "upgrade")
        && holds(SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|_| wanted)?;
    Some(derive_accept_key(key.as_bytes()))
}

/// Reports whether a page of another site asks. Programs send no origin, or that of the address.
fn is_foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    let origin = origin.to_str().unwrap_or_default();
    let site = origin.split_once("://").map_or("", |(_, site)| site);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.is_none_or(|host| !site.eq_ignore_ascii_case(host))
}

fn switch(accept: &str) -> Response<Body> {
    let mut response = reply::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

/// Ends when the output ends or the client goes; the input may end earlier.
async fn carry(upgrade: OnUpgrade, stream: AttachStream, binary: bool) {
    let Ok(connection) = upgrade.await else {
        debug!("client went away before its connection was taken over");
        return;
    };
    let mut config = WebSocketConfig::default();
    config.max_message_size = Some(MESSAGE);
    config.max_frame_size = Some(MESSAGE);
    let socket =
        WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, Some(config));
    let (sink, messages) = socket.await.split();
    tokio::select! {
        () = outward(stream.output, stream.terminal, sink, binary) => {}
        () = inward(messages, stream.input) => {}
    }
}

async fn outward(
    mut output: impl AsyncRead + Unpin,
    terminal: bool,
    mut sink: SplitSink<Socket, Message>,
    binary: bool,
) {
    while let Some(bytes) = chunk(&mut output, terminal).await {
        let message = match binary {
            true => Message::Binary(bytes.into()),
            false => Message::Text(String::from_utf8_lossy(&bytes).into_owned().into()),
        };
        if sink.send(message).await.is_err() {
            return;
        }
    }
    sink.close().await.ok();
}

/// Reads the next bytes of output, out of their frames when there is no terminal.
async fn chunk(output: &mut (impl AsyncRead + Unpin), terminal: bool) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(CHUNK);
    if terminal {
        let read = output.read_buf(&mut bytes).await.ok()?;
        return (read > 0).then_some(bytes);
    }
    let mut header = [0; hakone_supervision::HEADER];
    output.read_exact(&mut header).await.ok()?;
    bytes.resize(Header::parse(header).ok()?.length, 0);
    output.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

async fn inward(mut messages: SplitStream<Socket>, mut input: impl AsyncWrite + Unpin) {
    while let Some(Ok(message)) = messages.next().await {
        let bytes = match message {
            Message::Text(text) => bytes::Bytes::from(text),
            Message::Binary(bytes) => bytes,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            Message::Close(_) => return,
        };
        if input.write_all(&bytes).await.is_err() || input.flush().await.is_err() {
            break;
        }
    }
    input.shutdown().await.ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().cloned();
        pairs
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn the_answer_is_that_of_the_standards_example() {
        let handshake = headers(&[
            (UPGRADE, "WebSocket"),
            (CONNECTION, "keep-alive, Upgrade"),
            (SEC_WEBSOCKET_VERSION, "13"),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
        ]);
        let answer = accept(&handshake);
        assert_eq!(answer.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(accept(&headers(&[(UPGRADE, "tcp")])), None);
    }

    #[test]
    fn a_page_of_another_site_is_foreign() {
        let from = |origin| headers(&[(HOST, "engine:2376"), (ORIGIN, origin)]);
        assert!(is_foreign(&from("https://evil.example")));
        assert!(is_foreign(&from("null")));
        assert!(!is_foreign(&from("https://engine:2376")));
        assert!(!is_foreign(&headers(&[(HOST, "engine:2376")])));
    }
}
