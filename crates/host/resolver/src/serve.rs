//! Serves one container's questions, within a quota of its own: no neighbour's flood reaches it (attack `dns_flood`).

use std::{
    cell::Cell,
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use hakone_dns::{Decision, Transport};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, Interest},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinSet, spawn_blocking},
    time::{sleep, timeout},
};

use crate::{Names, View, batch::Batches, upstream};

/// Questions of one container that may wait for an answer from outside; more are dropped, and asked again.
pub(crate) const OUTSTANDING: usize = 256;
/// TCP connections of one container.
const CONNECTIONS: usize = 32;
/// How long a TCP client may stay silent.
const SILENCE: Duration = Duration::from_secs(10);
/// So many questions at a time are those of a client that asks many; resolvers of C libraries ask two.
const MANY: usize = 4;
/// How long more questions gather after those, so that each costs less. The kernel adds its slack of 50 us.
const GATHERING: Duration = Duration::from_micros(50);
/// How long to wait after an error of the socket.
const BREATHER: Duration = Duration::from_millis(50);

thread_local! {
    /// When the thread slept last.
    static GATHERED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Blocks the resolver's thread while questions gather, whoever sends them; not when it has just slept for another container, so
/// that many who ask much make it sleep once for all of them.
///
/// What a question costs is mostly the kernel's way in and out, and a client that asks many at once is as fast as we are: without
/// a pause each read finds the two or three that came during the last one. Network cards call it interrupt moderation. Nothing may
/// watch the sockets meanwhile, or each question wakes us: so the thread itself sleeps.
fn gather(own: &mut Option<Instant>) {
    let last = GATHERED.get();
    let just_now = last.is_some_and(|at| at.elapsed() < GATHERING);
    if just_now && last != *own {
        return;
    }
    thread::sleep(GATHERING);
    *own = Some(Instant::now());
    GATHERED.set(*own);
}

/// Answers questions of one container for ever.
pub(crate) async fn datagrams(socket: UdpSocket, names: Arc<dyn Names>, quota: Arc<Semaphore>) {
    let Ok(batches) = Batches::of(&socket) else {
        return;
    };
    let mut desk = Desk {
        socket: Arc::new(socket),
        batches,
        names,
        quota,
        waiting: JoinSet::new(),
        served: 0,
        gathered: None,
    };
    loop {
        let socket = Arc::clone(&desk.socket);
        let served = match socket.readable().await {
            Ok(()) => socket.try_io(Interest::READABLE, || desk.serve()),
            Err(error) => Err(error),
        };
        if served.is_err_and(|error| error.kind() != ErrorKind::WouldBlock) {
            sleep(BREATHER).await;
        }
        if std::mem::take(&mut desk.served) >= MANY {
            gather(&mut desk.gathered);
        }
        while desk.waiting.try_join_next().is_some() {}
    }
}

/// Where datagrams are answered.
struct Desk {
    socket: Arc<UdpSocket>,
    batches: Batches,
    names: Arc<dyn Names>,
    quota: Arc<Semaphore>,
    waiting: JoinSet<()>,
    /// How many were answered last.
    served: usize,
    /// When the thread slept last for it.
    gathered: Option<Instant>,
}

impl Desk {
    /// Answers at once, of what waits, all that is known here. A client whose buffer is full asks again.
    fn serve(&mut self) -> io::Result<()> {
        let Some(view) = self.names.view() else {
            // A container that is being released gets no answer; what it asks is read all the same.
            let read = self.batches.receive(&self.socket, |_, _| None);
            return until_drained(read?.1);
        };
        let mut abroad = Vec::new();
        let (answers, drained) =
            self.batches.receive(&self.socket, |question, client| {
                match view.decide(question, Transport::Udp) {
                    Decision::Answer(answer) => Some(answer),
                    Decision::Forward => {
                        abroad.push((question.to_vec(), client));
                        None
                    }
                    Decision::Drop => None,
                }
            })?;
        self.batches.send(&self.socket, &answers);
        self.served = answers.len();
        for (question, client) in abroad {
            self.forward(question, client);
        }
        until_drained(drained)
    }

    fn forward(&mut self, question: Vec<u8>, client: SocketAddr) {
        if let Ok(place) = Arc::clone(&self.quota).try_acquire_owned() {
            let (socket, names) = (Arc::clone(&self.socket), Arc::clone(&self.names));
            self.waiting
                .spawn(forward(place, socket, names, (question, client)));
        }
    }
}

/// Fewer than were asked for are all there were: the kernel tells of the next by itself, and need not be asked in vain.
fn until_drained(drained: bool) -> io::Result<()> {
    match drained {
        true => Err(ErrorKind::WouldBlock.into()),
        false => Ok(()),
    }
}

async fn forward(
    place: OwnedSemaphorePermit,
    socket: Arc<UdpSocket>,
    names: Arc<dyn Names>,
    (question, client): (Vec<u8>, SocketAddr),
) {
    if let Some(view) = names.view() {
        let answer = ask(&names, &view, &question, Transport::Udp).await;
        socket.send_to(&answer, client).await.ok();
    }
    drop(place);
}

/// Asks upstream; what the answer opens is open before the client has the answer.
async fn ask(names: &Arc<dyn Names>, view: &View, question: &[u8], over: Transport) -> Vec<u8> {
    let answer = upstream::ask(question, view.upstreams(), over).await;
    if let Some(opened) = view.opened(question, &answer) {
        let names = Arc::clone(names);
        spawn_blocking(move || names.open(opened)).await.ok();
    }
    answer
}

/// Answers questions over TCP of one container for ever.
pub(crate) async fn connections(
    listener: TcpListener,
    names: Arc<dyn Names>,
    quota: Arc<Semaphore>,
) {
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
async fn exchange(client: &mut TcpStream, names: &Arc<dyn Names>, quota: &Semaphore) -> Option<()> {
    let length = client.read_u16().await.ok()?;
    let mut question = vec![0; usize::from(length)];
    client.read_exact(&mut question).await.ok()?;
    let view = names.view()?;
    let answer = match view.decide(&question, Transport::Tcp) {
        Decision::Answer(answer) => answer,
        Decision::Forward => {
            let _place = quota.try_acquire().ok()?;
            ask(names, &view, &question, Transport::Tcp).await
        }
        Decision::Drop => return None,
    };
    client
        .write_u16(u16::try_from(answer.len()).ok()?)
        .await
        .ok()?;
    client.write_all(&answer).await.ok()
}
