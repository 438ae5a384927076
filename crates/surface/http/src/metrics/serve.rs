//! Answers scrapes on an address of their own, so that monitoring needs no access to the API.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tracing::{debug, warn};

use crate::{
    Services,
    reply::{self, Body},
};

/// How long a scraper may take for its headers.
const HEADERS: Duration = Duration::from_secs(10);
/// How long a connection is kept at all: a scraper comes again every few seconds.
const LIFE: Duration = Duration::from_secs(300);
/// Connections at a time.
const MOST: usize = 32;

/// Why metrics cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("could not serve metrics on {address}: {source}")]
pub struct MetricsError {
    address: SocketAddr,
    source: io::Error,
}

/// Opens the address and serves it in the background until `stop` turns true; gives the address opened.
///
/// # Errors
/// When the address is taken.
pub async fn serve(
    address: SocketAddr,
    services: Arc<Services>,
    stop: watch::Receiver<bool>,
) -> Result<SocketAddr, MetricsError> {
    let failed = |source| MetricsError { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    if !bound.ip().is_loopback() {
        warn!(%address, "metrics are served to everyone who reaches this address");
    }
    tokio::spawn(accept(listener, services, stop));
    Ok(bound)
}

async fn accept(listener: TcpListener, services: Arc<Services>, mut stop: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(MOST));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                let services = Arc::clone(&services);
                connections.spawn(async move {
                    speak(stream, services).await;
                    drop(permit);
                });
            }
            // Out of descriptors, mostly: without a pause this loop would spin.
            Err(error) => {
                warn!(%error, "could not accept a scraper");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn speak(stream: TcpStream, services: Arc<Services>) {
    let answer = service_fn(move |request| {
        let reply = answer(&services, &request);
        async move { Ok::<_, Infallible>(reply) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .serve_connection(TokioIo::new(stream), answer);
    if let Ok(Err(error)) = tokio::time::timeout(LIFE, connection).await {
        debug!(%error, "a scraper's connection ended early");
    }
}

fn answer(services: &Services, request: &Request<Incoming>) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => {
            let text = Bytes::from(super::page(services));
            reply::bytes(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                text,
            )
        }
        _ => reply::bytes(
            StatusCode::NOT_FOUND,
            "text/plain",
            Bytes::from_static(b"404 page not found\n"),
        ),
    }
}
