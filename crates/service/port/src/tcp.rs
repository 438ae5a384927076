//! Proxies TCP connections: each side's end of stream is passed on alone, so that a half-closed connection keeps working.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use socket2::Type;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::proxy::Road;

/// Connections that one port serves at a time; more wait in the kernel's queue.
const CONNECTIONS: usize = 1024;
/// How long a container may take to answer a new connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long to wait when the process is out of descriptors.
const BREATHER: Duration = Duration::from_millis(100);

/// Accepts and serves until it is aborted; its connections end with it.
pub(crate) async fn serve(listener: TcpListener, road: Road) {
    let target = road.target;
    let road = Arc::new(road);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((client, from)) => {
                let road = Arc::clone(&road);
                connections.spawn(async move {
                    let server = connect(&road, from);
                    relay(client, server, target).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%target, %error, "could not accept for a published port");
                sleep(BREATHER).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connect(road: &Road, client: SocketAddr) -> io::Result<TcpStream> {
    let socket = road.socket(client, Type::STREAM)?;
    TcpSocket::from_std_stream(socket.into())
        .connect(road.target)
        .await
}

async fn relay(
    mut client: TcpStream,
    server: impl Future<Output = io::Result<TcpStream>>,
    target: SocketAddr,
) {
    let Ok(Ok(mut server)) = timeout(CONNECT, server).await else {
        // Nobody answers: a reset tells the client sooner than an end of stream.
        client.set_zero_linger().ok();
        return;
    };
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    if let Err(error) = copy_bidirectional(&mut client, &mut server).await {
        tracing::trace!(%target, %error, "proxied connection broke");
    }
}
