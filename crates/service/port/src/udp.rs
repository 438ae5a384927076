//! Proxies UDP: one socket towards the container for each client, forgotten when it falls silent.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use socket2::Type;
use tokio::{
    net::UdpSocket,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::proxy::Road;

/// Clients that one port serves at a time; the datagrams of more are dropped, as a full queue would.
const CLIENTS: usize = 1024;
/// How long a client's socket lives after its last answer.
const SILENCE: Duration = Duration::from_secs(90);
/// Largest datagram there is.
const DATAGRAM: usize = 65_535;
/// How long to wait after an error, which a container that is not listening causes with each datagram.
const BREATHER: Duration = Duration::from_millis(10);

/// Serves until it is aborted.
pub(crate) async fn serve(public: UdpSocket, road: Road) {
    let public = Arc::new(public);
    let mut clients: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut silent = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM];
    loop {
        tokio::select! {
            Some(Ok(gone)) = silent.join_next(), if !silent.is_empty() => {
                clients.remove(&gone);
            }
            received = public.recv_from(&mut buffer) => {
                let Ok((length, client)) = received else {
                    sleep(BREATHER).await;
                    continue;
                };
                let Some(datagram) = buffer.get(..length) else { continue };
                let known = clients.get(&client).map(Arc::clone);
                let session = match known {
                    Some(session) => Some(session),
                    None if clients.len() >= CLIENTS => None,
                    None => open(&road, client).await,
                };
                let Some(session) = session else { continue };
                session.send(datagram).await.ok();
                if clients.insert(client, Arc::clone(&session)).is_none() {
                    silent.spawn(answer(session, Arc::clone(&public), client));
                }
            }
        }
    }
}

async fn open(road: &Road, client: SocketAddr) -> Option<Arc<UdpSocket>> {
    let socket = road.socket(client, Type::DGRAM).ok()?;
    let socket = UdpSocket::from_std(socket.into()).ok()?;
    socket.connect(road.target).await.ok()?;
    Some(Arc::new(socket))
}

/// Passes the container's answers to one client until there are none for a while; gives the client.
async fn answer(session: Arc<UdpSocket>, public: Arc<UdpSocket>, client: SocketAddr) -> SocketAddr {
    let mut buffer = vec![0; DATAGRAM];
    while let Ok(received) = timeout(SILENCE, session.recv(&mut buffer)).await {
        match received {
            Ok(length) => {
                let datagram = buffer.get(..length).unwrap_or_default();
                public.send_to(datagram, client).await.ok();
            }
            Err(_) => sleep(BREATHER).await,
        }
    }
    client
}
