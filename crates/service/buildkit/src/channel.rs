//! Calls the client of a session: gRPC over a connection that the client opened and handed over.
//!
//! One HTTP/2 connection a session; pings find out when a client is gone without a word. Messages that come back have a limit.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;
use hyper::{
    Request, Response, Uri,
    body::Incoming,
    client::conn::http2::{self, SendRequest},
    http::uri::PathAndQuery,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::{
    Status, Streaming,
    body::Body,
    metadata::{AsciiMetadataKey, AsciiMetadataValue},
};
use tonic_prost::ProstCodec;

use crate::neighbour::BoxFuture;

/// The largest message taken from a client; file contents come in pieces of 32 kB.
const MESSAGE: usize = 4 << 20;
/// How often a silent client is asked whether it lives, and how long it may take to answer.
const PING: Duration = Duration::from_secs(20);
/// How long an ordinary question may take; people may be asked for a password meanwhile.
const ANSWER: Duration = Duration::from_secs(60);
/// Bytes that may be on the way to us.
const WINDOW: u32 = 2 << 20;

/// The way to a client.
#[derive(Clone, Debug)]
pub(crate) struct Channel(SendRequest<Body>);

/// What keeps a [`Channel`] working: it ends with the connection.
pub(crate) type Driver = BoxFuture<'static, Result<(), hyper::Error>>;

impl Channel {
    /// Takes over a connection.
    pub(crate) async fn open<I>(io: I) -> Result<(Self, Driver), hyper::Error>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(2 * WINDOW)
            .handshake(TokioIo::new(io))
            .await?;
        Ok((Self(sender), Box::pin(connection)))
    }

    /// Asks one question.
    pub(crate) async fn ask<M, R>(&self, path: &'static str, message: M) -> Result<R, Status>
    where
        M: Message + 'static,
        R: Message + Default + 'static,
    {
        let mut grpc = self.grpc();
        let asked = async {
            grpc.ready().await.map_err(|error| lost(&error))?;
            let path = PathAndQuery::from_static(path);
            let codec = ProstCodec::<M, R>::default();
            grpc.unary(tonic::Request::new(message), path, codec).await
        };
        match tokio::time::timeout(ANSWER, asked).await {
            Ok(answer) => answer.map(tonic::Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded("the client does not answer")),
        }
    }

    /// Opens a stream in both directions.
    pub(crate) async fn stream<M, R>(
        &self,
        path: &'static str,
        headers: &[(String, String)],
        outgoing: impl Stream<Item = M> + Send + 'static,
    ) -> Result<Streaming<R>, Status>
    where
        M: Message + 'static,
        R: Message + Default + 'static,
    {
        let mut request = tonic::Request::new(outgoing);
        for (key, value) in headers {
            let key: AsciiMetadataKey = key.parse().map_err(|_invalid| unsendable())?;
            let value: AsciiMetadataValue = value.parse().map_err(|_invalid| unsendable())?;
            request.metadata_mut().append(key, value);
        }
        let mut grpc = self.grpc();
        grpc.ready().await.map_err(|error| lost(&error))?;
        let codec = ProstCodec::<M, R>::default();
        let opened = grpc.streaming(request, PathAndQuery::from_static(path), codec);
        Ok(opened.await?.into_inner())
    }

    fn grpc(&self) -> tonic::client::Grpc<Self> {
        let origin = Uri::from_static("http://client");
        tonic::client::Grpc::with_origin(self.clone(), origin).max_decoding_message_size(MESSAGE)
    }
}

fn unsendable() -> Status {
    Status::invalid_argument("a name cannot be sent to the client")
}

fn lost(error: &hyper::Error) -> Status {
    Status::unavailable(format!("the client is gone: {error}"))
}

impl tower_service::Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
