//! Accepts connections and answers their requests until told to stop.

use std::{sync::Arc, time::Duration};

use hakone_base::ApiVersion;
use hyper::{Request, Response, body::Incoming, header::HeaderValue, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::{Instrument as _, debug, info_span, warn};

use crate::{
    Services,
    again::Again,
    authorize::{self, Client, Gate, Judged, plugin},
    departure::{Departure, attended},
    dispatch, error,
    listen::Listener,
    reply::{Body, Reply},
    request::Call,
    routes::{Operation, State, lookup},
    version,
};

/// How long a client may take for its headers.
const HEADERS: Duration = Duration::from_secs(60);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How many may be at their handshake at once: nobody knows yet who they are, and each holds a descriptor of the daemon's.
const HANDSHAKES: usize = 256;

/// A listener and the gate before it.
pub type Door = (Listener, Arc<Gate>);

/// Serves all listeners until `stop` turns true, then lets open requests end within `grace`.
pub async fn serve(
    doors: Vec<Door>,
    services: Arc<Services>,
    stop: watch::Receiver<bool>,
    grace: Duration,
) {
    let mut accepting = JoinSet::new();
    for door in doors {
        accepting.spawn(accept(door, Arc::clone(&services), stop.clone()));
    }
    let mut connections = JoinSet::new();
    while let Some(ended) = accepting.join_next().await {
        if let Ok(open) = ended {
            connections.spawn(open.join_all());
        }
    }
    timeout(grace, connections.join_all()).await.ok();
}

async fn accept(door: Door, services: Arc<Services>, stop: watch::Receiver<bool>) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    let stopped = stopped(stop.clone());
    tokio::pin!(stopped);
    let turns = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        tokio::select! {
            biased;
            () = stopped.as_mut() => return connections,
            Some(_) = connections.join_next() => {}
            accepted = one(&door, &turns, &services, &stop) => match accepted {
                Ok(connection) => { connections.spawn(Again::new(connection)); }
                // Out of descriptors, mostly: without a pause this loop would spin.
                Err(error) => {
                    warn!(%error, "could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

type Connection = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

async fn one(
    (listener, gate): &Door,
    turns: &Arc<Semaphore>,
    services: &Arc<Services>,
    stop: &watch::Receiver<bool>,
) -> std::io::Result<Connection> {
    let (services, stop) = (Arc::clone(services), stop.clone());
    match listener {
        Listener::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            let peer = stream.peer_cred().ok();
            let peer = peer.map(|peer| (peer.uid(), peer.gid()));
            let client = Client::new(gate, peer);
            let visit = (client, Departure::of_unix(&stream));
            Ok(Box::pin(speak(stream, services, stop, visit)))
        }
        Listener::Tls(listener, acceptor) => {
            let (stream, turn) = stranger(listener, turns).await?;
            let acceptor = acceptor.clone();
            let client = Client::new(gate, None);
            let departure = Departure::of_tcp(&stream);
            Ok(Box::pin(async move {
                if let Some(stream) = introduced(&acceptor, stream, turn).await {
                    let client = client.with_certificates(certificates(&stream));
                    speak(stream, services, stop, (client, departure)).await;
                }
            }))
        }
    }
}

/// Accepts somebody when it is their turn; who has none waits in the kernel. Cancellation safe.
async fn stranger(
    listener: &TcpListener,
    turns: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let turn = Arc::clone(turns).acquire_owned().await;
    let turn = turn.map_err(std::io::Error::other)?;
    Ok((listener.accept().await?.0, turn))
}

/// Shakes hands within a time, and ends the turn.
async fn introduced(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    _turn: OwnedSemaphorePermit,
) -> Option<TlsStream<TcpStream>> {
    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => warn!(%error, "TLS client refused"),
        Err(_) => debug!("TLS handshake took too long"),
    }
    None
}

/// Copies the verified chain of a client.
fn certificates(stream: &TlsStream<TcpStream>) -> Vec<Vec<u8>> {
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    chain.iter().map(|one| one.as_ref().to_vec()).collect()
}

/// Who has come, and what tells when they have left.
type Visit = (Client, Departure);

async fn speak<S>(
    stream: S,
    services: Arc<Services>,
    stop: watch::Receiver<bool>,
    (client, departure): Visit,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let answer = hyper::service::service_fn(move |request| {
        let visit = (client.clone(), departure.clone());
        answer(Arc::clone(&services), request, visit)
    });
    let connection = http1::Builder::new()
        .half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .serve_connection(TokioIo::new(stream), answer)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended early");
    }
}

/// Waits for the daemon's end; a daemon that is gone has ended too.
async fn stopped(mut stop: watch::Receiver<bool>) {
    stop.wait_for(|stop| *stop).await.ok();
}

async fn answer(
    services: Arc<Services>,
    mut request: Request<Incoming>,
    (client, departure): Visit,
) -> Result<Response<Body>, std::convert::Infallible> {
    request.extensions_mut().insert(departure.clone());
    let span = info_span!("request", method = %request.method(), path = request.uri().path(), peer.uid = client.uid(), socket = client.gate().name);
    let response = route(&services, &client, request).instrument(span).await;
    let mut response = response.map(|body| attended(body, departure));
    let headers = response.headers_mut();
    headers.insert("Api-Version", services.headers.api_version.clone());
    headers.insert("Docker-Experimental", HeaderValue::from_static("false"));
    headers.insert("Ostype", HeaderValue::from_static("linux"));
    headers.insert("Server", services.headers.server.clone());
    Ok(response)
}

async fn route(
    services: &Arc<Services>,
    client: &Client,
    request: Request<Incoming>,
) -> Response<Body> {
    if request.method() == hyper::Method::OPTIONS {
        return crate::reply::empty(hyper::StatusCode::OK);
    }
    let path = request.uri().path().to_owned();
    let answered = match version::split(&path) {
        Err(error) => Err(error),
        Ok((version, path)) => match lookup(request.method(), path) {
            None => Err(error::Error::Unknown),
            Some((State::Later(subject), _)) => Err(error::Error::NotImplemented(subject)),
            Some((State::Served(operation), object)) => {
                let asked = (object, Call::new(version, request));
                served(services, client, operation, asked).await
            }
        },
    };
    answered.unwrap_or_else(|error| {
        debug!(%error, "request refused");
        error::reply(&error)
    })
}

/// Judges, asks the plugins, does, and asks them about the reply, be it a refusal.
async fn served(
    services: &Arc<Services>,
    client: &Client,
    operation: Operation,
    asked: Judged,
) -> Reply {
    let (object, mut call) = authorize::judge(services, client, operation, asked).await?;
    let question = plugin::request(services, client, operation, &mut call).await?;
    let done = dispatch::run(services, operation, object, call).await;
    let response = done.unwrap_or_else(|error| {
        debug!(%error, "request refused");
        error::reply(&error)
    });
    plugin::response(services, question, response).await
}

/// The headers that every reply carries.
#[derive(Clone, Debug)]
pub struct Headers {
    api_version: HeaderValue,
    server: HeaderValue,
}

impl Headers {
    /// Prepares them once; `version` is the engine's own.
    #[must_use]
    pub fn new(version: &str) -> Self {
        let value = |text: String| {
            HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("Docker"))
        };
        Self {
            api_version: value(ApiVersion::NEWEST.to_string()),
            server: value(format!("Docker/{version} (linux)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use rustls::{
        ServerConfig,
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    };

    use super::*;

    /// A server that never gets as far as its certificate.
    #[derive(Debug)]
    struct Nameless;

    impl ResolvesServerCert for Nameless {
        fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            None
        }
    }

    fn acceptor() -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Nameless));
        TlsAcceptor::from(Arc::new(config))
    }

    #[tokio::test]
    async fn who_says_nothing_takes_a_turn_and_no_more_until_it_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, turns) = (acceptor(), Arc::new(Semaphore::new(1)));
        let silent = TcpStream::connect(address).await.unwrap();
        let _next = TcpStream::connect(address).await.unwrap();
        let (stream, turn) = stranger(&listener, &turns).await.unwrap();
        let shaking = tokio::spawn(async move {
            let shaken = introduced(&acceptor, stream, turn).await;
            shaken.is_some()
        });
        // The next one is not accepted, so that it holds nothing of ours.
        assert!(stranger(&listener, &turns).now_or_never().is_none());
        drop(silent);
        assert!(!shaking.await.unwrap());
        assert!(stranger(&listener, &turns).await.is_ok());
    }
}
