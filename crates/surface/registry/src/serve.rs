//! Accepts connections, over TLS or in the clear, and answers until told to stop. Collects from time to time.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{interval, timeout},
};
use tracing::{debug, info, warn};

use crate::{
    Error, Running,
    certificates::Certificates,
    dispatch::{Peer, Server, answer},
    patience::Patient,
};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Bytes of a head, and of what is read at once.
const BUFFER: usize = 128 * 1024;
/// How long open requests may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// Connections by address.
type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// Serves until `stop` turns true; says where when it does.
///
/// # Errors
/// When an address or a certificate cannot be used.
pub async fn serve(
    running: Running,
    stop: watch::Receiver<bool>,
    ready: impl FnOnce(&[SocketAddr]),
) -> Result<(), Error> {
    let tls = running.settings.tls.as_ref();
    let certificates = tls.map(Certificates::load).transpose()?.map(Arc::new);
    let mut listeners = Vec::new();
    for address in &running.settings.address {
        let failed = |source| Error::Listen {
            address: address.to_string(),
            source,
        };
        listeners.push(TcpListener::bind(address).await.map_err(failed)?);
    }
    let addresses: Vec<SocketAddr> = listeners
        .iter()
        .filter_map(|one| one.local_addr().ok())
        .collect();
    info!(?addresses, tls = certificates.is_some(), "registry serves");
    ready(&addresses);
    let gate = Arc::new(Semaphore::new(running.settings.limits.connections.max(1)));
    let door = Door {
        server: running.server,
        certificates,
        gate,
        counts: Counts::default(),
        each: running.settings.limits.connections_per_address.max(1),
        head: running.settings.limits.head,
        stop,
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(collect(
        running.registry,
        running.settings.collect.every,
        door.stop.clone(),
    ));
    for listener in listeners {
        tasks.spawn(door.clone().accept(listener));
    }
    tasks.join_all().await;
    Ok(())
}

async fn collect(
    registry: hakone_registry_service::Registry,
    every: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let mut clock = interval(every.max(Duration::from_secs(1)));
    clock.tick().await;
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            _ = clock.tick() => {
                if let Err(error) = registry.collect().await {
                    warn!(%error, "collection failed");
                }
            }
        }
    }
}

/// Waits for the end; a registry that is gone has ended too.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    stop.wait_for(|stop| *stop).await.ok();
}

#[derive(Clone)]
struct Door {
    server: Arc<Server>,
    certificates: Option<Arc<Certificates>>,
    gate: Arc<Semaphore>,
    counts: Counts,
    each: usize,
    head: Duration,
    stop: watch::Receiver<bool>,
}

impl Door {
    async fn accept(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                Some(_) = connections.join_next() => {}
                accepted = self.next(&listener) => match accepted {
                    Ok((stream, from, permit)) => { connections.spawn(self.clone().welcome(stream, from, permit)); }
                    // Out of descriptors, mostly: without a pause this loop would spin.
                    Err(error) => {
                        warn!(%error, "could not accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            }
        }
        timeout(GRACE, connections.join_all()).await.ok();
    }

    /// Waits for room first: who comes when there is none waits in the kernel's queue.
    async fn next(
        &self,
        listener: &TcpListener,
    ) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.gate)
            .acquire_owned()
            .await
            .map_err(std::io::Error::other)?;
        let (stream, from) = listener.accept().await?;
        Ok((stream, from, permit))
    }

    async fn welcome(self, stream: TcpStream, from: SocketAddr, _permit: OwnedSemaphorePermit) {
        let Some(_count) = Count::take(&self.counts, from.ip(), self.each) else {
            debug!(peer = %from, "too many connections of one address");
            return;
        };
        stream.set_nodelay(true).ok();
        let peer = Peer {
            address: from.ip(),
            secure: self.certificates.is_some(),
        };
        match self.certificates.as_deref().map(Certificates::acceptor) {
            None => self.speak(stream, peer).await,
            Some(acceptor) => match timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => self.speak(stream, peer).await,
                Ok(Err(error)) => debug!(%error, peer = %from, "TLS client refused"),
                Err(_) => debug!(peer = %from, "TLS handshake took too long"),
            },
        }
    }

    async fn speak<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        self,
        stream: S,
        peer: Peer,
    ) {
        let window = self.server.window;
        let server = self.server;
        let service = service_fn(move |request| {
            let answering = answer(Arc::clone(&server), request, peer);
            async move { Ok::<_, std::convert::Infallible>(Box::pin(answering).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(Patient::new(stream, window)), service);
        tokio::pin!(connection);
        let mut stop = self.stop;
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopped(&mut stop) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(%error, peer = %peer.address, "connection ended early");
        }
    }
}

/// One connection of an address, counted while it lasts.
struct Count(Counts, IpAddr);

impl Count {
    fn take(counts: &Counts, address: IpAddr, most: usize) -> Option<Self> {
        let mut held = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Self(Arc::clone(counts), address))
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.1);
            }
        }
    }
}
