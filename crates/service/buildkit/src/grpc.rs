//! Answers gRPC calls on a connection that was upgraded from HTTP/1: which path is which method, and how large a message may be.

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;
use hyper::{Request, Response, body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::{Status, body::Body, server::Grpc};
use tonic_prost::ProstCodec;

/// The largest message taken from a client; definitions are the large ones.
const MESSAGE: usize = 16 << 20;
/// Calls that one connection may have open.
const CALLS: u32 = 64;
/// How often a silent client is asked whether it lives, and how long it may take to answer.
const PING: Duration = Duration::from_secs(20);
/// Bytes of the headers of one call.
const HEADERS: u32 = 64 << 10;

/// Answers the calls of one connection until it ends.
pub(crate) async fn serve<I, F, Answer>(io: I, answer: F) -> Result<(), hyper::Error>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    F: Fn(Request<Incoming>) -> Answer + Send,
    Answer: Future<Output = Response<Body>> + Send + 'static,
{
    http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(CALLS)
        .max_header_list_size(HEADERS)
        .serve_connection(
            TokioIo::new(io),
            service_fn(|request| {
                let answer = answer(request);
                async move { Ok::<_, Infallible>(answer.await) }
            }),
        )
        .await
}

/// Answers a call that has one message and one answer.
pub(crate) async fn unary<M, R, F, Answer>(request: Request<Incoming>, handler: F) -> Response<Body>
where
    M: Message + Default + 'static,
    R: Message + 'static,
    F: FnMut(tonic::Request<M>) -> Answer,
    Answer: Future<Output = Result<tonic::Response<R>, Status>>,
{
    let codec = ProstCodec::<R, M>::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(MESSAGE);
    grpc.unary(Handler(handler), request).await
}

/// Answers a call with a stream.
pub(crate) async fn streaming<M, R, S, F, Answer>(
    request: Request<Incoming>,
    handler: F,
) -> Response<Body>
where
    M: Message + Default + 'static,
    R: Message + 'static,
    S: Stream<Item = Result<R, Status>> + Send + 'static,
    F: FnMut(tonic::Request<M>) -> Answer,
    Answer: Future<Output = Result<tonic::Response<S>, Status>>,
{
    let codec = ProstCodec::<R, M>::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(MESSAGE);
    grpc.server_streaming(Handler(handler), request).await
}

/// Answers a method that does not exist here.
pub(crate) fn unknown(path: &str) -> Response<Body> {
    Status::unimplemented(format!("unknown method {path}")).into_http()
}

/// A closure as the service that tonic calls.
struct Handler<F>(F);

impl<F, Answer, M, R> tower_service::Service<tonic::Request<M>> for Handler<F>
where
    F: FnMut(tonic::Request<M>) -> Answer,
    Answer: Future<Output = Result<tonic::Response<R>, Status>>,
{
    type Response = tonic::Response<R>;
    type Error = Status;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<M>) -> Answer {
        (self.0)(request)
    }
}
