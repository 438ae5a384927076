//! Serves one container's questions, within a quota of its own: no neighbour's flood reaches it (attack `dns_flood`).

use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};

use hakone_base::ContainerId;
use hakone_dns::{Decision, Transport};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};

use super::{listening::Listening, scope::Names, upstream};
use crate::{Error, service::Inner};

/// Questions of one container that may wait for an answer from outside; more are dropped, and asked again.
const OUTSTANDING: usize = 256;
/// TCP connections of one container.
const CONNECTIONS: usize = 32;
/// How long a TCP client may stay silent.
const SILENCE: Duration = Duration::from_secs(10);
/// Largest question over UDP that makes sense (EDNS).
const QUESTION: usize = 4096;
/// Questions that are answered in a row.
const TURN: usize = 64;
/// How long to wait after an error of the socket.
const BREATHER: Duration = Duration::from_millis(50);

/// Starts serving over both protocols; the handles end it.
pub(crate) fn serve(
    service: &Arc<Inner>,
    container: &ContainerId,
    listening: Listening,
) -> Result<[AbortHandle; 2], Error> {
    let _entered = service.runtime.enter();
    let names = Arc::new(Names::new(service, container));
    let quota = Arc::new(Semaphore::new(OUTSTANDING));
    let udp = UdpSocket::from_std(listening.udp).map_err(Error::Resolver)?;
    let tcp = TcpListener::from_std(listening.tcp).map_err(Error::Resolver)?;
    let over_udp = datagrams(udp, Arc::clone(&names), Arc::clone(&quota));
    let over_tcp = connections(tcp, names, quota);
    Ok([
        service.runtime.spawn(over_udp).abort_handle(),
        service.runtime.spawn(over_tcp).abort_handle(),
    ])
}

async fn datagrams(socket: UdpSocket, names: Arc<Names>, quota: Arc<Semaphore>) {
    let mut desk = Desk {
        socket: Arc::new(socket),
        names,
        quota,
        waiting: JoinSet::new(),
    };
    let mut buffer = vec![0; QUESTION];
    loop {
        let Ok((length, client)) = desk.socket.recv_from(&mut buffer).await else {
            sleep(BREATHER).await;
            continue;
        };
        desk.serve(buffer.get(..length).unwrap_or_default(), client)
            .await;
        // What waits already is served without asking the runtime; then others have their turn.
        for _ in 1..TURN {
            let Ok((length, client)) = desk.socket.try_recv_from(&mut buffer) else {
                break;
            };
            desk.serve(buffer.get(..length).unwrap_or_default(), client)
                .await;
        }
        while desk.waiting.try_join_next().is_some() {}
    }
}

/// Where datagrams are answered.
struct Desk {
    socket: Arc<UdpSocket>,
    names: Arc<Names>,
    quota: Arc<Semaphore>,
    waiting: JoinSet<()>,
}

impl Desk {
    /// Answers at once what is known here.
    async fn serve(&mut self, question: &[u8], client: SocketAddr) {
        match self.names.decide(question, Transport::Udp) {
            Decision::Answer(answer) => {
                let sent = self.socket.try_send_to(&answer, client);
                if sent.is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
                    self.socket.send_to(&answer, client).await.ok();
                }
            }
            Decision::Forward => self.forward(question.to_vec(), client),
            Decision::Drop => {}
        }
    }

    fn forward(&mut self, question: Vec<u8>, client: SocketAddr) {
        if let Ok(place) = Arc::clone(&self.quota).try_acquire_owned() {
            let (socket, names) = (Arc::clone(&self.socket), Arc::clone(&self.names));
            self.waiting
                .spawn(forward(place, socket, names, (question, client)));
        }
    }
}

async fn forward(
    place: OwnedSemaphorePermit,
    socket: Arc<UdpSocket>,
    names: Arc<Names>,
    (question, client): (Vec<u8>, SocketAddr),
) {
    let answer = upstream::ask(&question, &names.upstreams(), Transport::Udp).await;
    socket.send_to(&answer, client).await.ok();
    drop(place);
}

async fn connections(listener: TcpListener, names: Arc<Names>, quota: Arc<Semaphore>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut clients = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((mut client, _)) = listener.accept().await else {
            sleep(BREATHER).await;
            continue;
        };
        let (names, quota) = (Arc::clone(&names), Arc::clone(&quota));
        clients.spawn(async move {
            while let Ok(Some(())) = timeout(SILENCE, exchange(&mut client, &names, &quota)).await {
            }
            drop(place);
        });
        while clients.try_join_next().is_some() {}
    }
}

/// Answers one question of a TCP client; `None` when there are no more.
async fn exchange(client: &mut TcpStream, names: &Names, quota: &Semaphore) -> Option<()> {
    let length = client.read_u16().await.ok()?;
    let mut question = vec![0; usize::from(length)];
    client.read_exact(&mut question).await.ok()?;
    let answer = match names.decide(&question, Transport::Tcp) {
        Decision::Answer(answer) => answer,
        Decision::Forward => {
            let _place = quota.try_acquire().ok()?;
            upstream::ask(&question, &names.upstreams(), Transport::Tcp).await
        }
        Decision::Drop => return None,
    };
    client
        .write_u16(u16::try_from(answer.len()).ok()?)
        .await
        .ok()?;
    client.write_all(&answer).await.ok()
}
