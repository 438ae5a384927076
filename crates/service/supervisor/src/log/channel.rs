//! One connection to a log server, and how far it is. Nothing blocks: what cannot be done now is done when the socket is ready.

use std::{
    net::SocketAddr,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use hakone_supervision::LogPeer;
use rustix::{
    event::PollFlags,
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect,
        getpeername, recv, send, socket_with, sockopt::socket_error,
    },
};

use super::secure::Session;

/// What is kept of a server's words: several receipts.
const HEARD: usize = 256;

/// A connection.
#[derive(Debug)]
pub(super) struct Channel {
    socket: OwnedFd,
    state: State,
    /// Bytes of the first message that are gone.
    sent: usize,
    /// What the server said last, within a bound: receipts, where somebody asks for them.
    heard: Vec<u8>,
}

#[derive(Debug)]
enum State {
    /// A stream that is not through yet, and what it is to be.
    Connecting(Option<Session>),
    /// Messages are whole or not at all; the network may lose them.
    Lossy,
    /// Messages are whole or not at all.
    Datagrams,
    Stream,
    Secure(Session),
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is gone.
    Whole,
    /// It is gone, and nobody was there to hear it.
    Unheard,
    /// Nothing more can be done now.
    Nothing,
}

impl Channel {
    /// Begins a connection; each attempt takes the next of several addresses.
    pub(super) fn open(peer: &LogPeer, attempt: usize) -> Result<Self, Errno> {
        match peer {
            LogPeer::Udp(addresses) => {
                let address = addresses.first().ok_or(Errno::DESTADDRREQ)?;
                inet(*address, SocketType::DGRAM, State::Lossy)
            }
            LogPeer::Tcp(addresses) => {
                let address = pick(addresses, attempt)?;
                inet(address, SocketType::STREAM, State::Connecting(None))
            }
            LogPeer::Tls(tls) => {
                let address = pick(&tls.addresses, attempt)?;
                let session = Session::new(tls).ok_or(Errno::PROTO)?;
                let state = State::Connecting(Some(session));
                inet(address, SocketType::STREAM, state)
            }
            LogPeer::Unix(path) => local(path, SocketType::STREAM, State::Stream),
            LogPeer::Unixgram(paths) => any(paths),
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Tells what to wait for, while messages wait or none do.
    pub(super) fn wants(&self, queued: bool) -> PollFlags {
        let output = |wanted| match wanted {
            true => PollFlags::OUT,
            false => PollFlags::empty(),
        };
        match &self.state {
            State::Connecting(_) => PollFlags::OUT,
            State::Lossy | State::Datagrams => output(queued),
            State::Stream => PollFlags::IN | output(queued),
            State::Secure(session) => PollFlags::IN | output(session.wants_out(queued)),
        }
    }

    /// Reports whether the server has not said yet that it takes anything.
    pub(super) fn is_beginning(&self) -> bool {
        match &self.state {
            State::Connecting(_) => true,
            State::Secure(session) => session.is_beginning(),
            State::Lossy | State::Datagrams | State::Stream => false,
        }
    }

    /// Reports whether datagrams go out that the network may lose, so that nothing tells of a server that moved.
    pub(super) fn is_lossy(&self) -> bool {
        matches!(self.state, State::Lossy)
    }

    /// Reports whether no line is half sent.
    pub(super) fn is_between_lines(&self) -> bool {
        self.sent == 0 && !self.is_beginning() && !self.is_owing()
    }

    /// Reports whether something that was taken is not with the kernel yet.
    pub(super) fn is_owing(&self) -> bool {
        match &self.state {
            State::Secure(session) => session.is_owing(),
            State::Connecting(_) | State::Lossy | State::Datagrams | State::Stream => false,
        }
    }

    /// Moves the connection on, and the message, if there is one.
    pub(super) fn send(&mut self, message: Option<&[u8]>) -> Result<Taken, Errno> {
        if let State::Connecting(session) = &mut self.state {
            if !is_through(&self.socket)? {
                return Ok(Taken::Nothing);
            }
            self.state = match session.take() {
                Some(session) => State::Secure(session),
                None => State::Stream,
            };
        }
        match &mut self.state {
            State::Connecting(_) => Ok(Taken::Nothing),
            State::Lossy => match self.datagram(message) {
                // Nobody listens, or the network is full: such is this road.
                Err(
                    Errno::CONNREFUSED | Errno::NOBUFS | Errno::HOSTUNREACH | Errno::NETUNREACH,
                ) => Ok(Taken::Unheard),
                taken => taken,
            },
            State::Datagrams => self.datagram(message),
            State::Stream => self.stream(message),
            State::Secure(session) => session.send(&self.socket, message, &mut self.heard),
        }
    }

    /// Gives what the server said and nobody took yet.
    pub(super) fn heard(&mut self) -> &mut Vec<u8> {
        &mut self.heard
    }

    fn datagram(&self, message: Option<&[u8]>) -> Result<Taken, Errno> {
        let Some(message) = message else {
            return Ok(Taken::Nothing);
        };
        match put(&self.socket, message) {
            Ok(_) => Ok(Taken::Whole),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Taken::Nothing),
            Err(errno) => Err(errno),
        }
    }

    fn stream(&mut self, message: Option<&[u8]>) -> Result<Taken, Errno> {
        listen(&self.socket, &mut self.heard)?;
        let Some(message) = message else {
            return Ok(Taken::Nothing);
        };
        let rest = message.get(self.sent..).unwrap_or_default();
        match put(&self.socket, rest) {
            Ok(count) if count == rest.len() => {
                self.sent = 0;
                Ok(Taken::Whole)
            }
            Ok(count) => {
                self.sent += count;
                Ok(Taken::Nothing)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Taken::Nothing),
            Err(errno) => Err(errno),
        }
    }
}

/// Sends without waiting.
pub(super) fn put(socket: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
}

/// Keeps the end of what a server says: one that talks without being asked takes no memory.
pub(super) fn keep(heard: &mut Vec<u8>, said: &[u8]) {
    heard.extend_from_slice(said);
    let before = heard.len().saturating_sub(HEARD);
    heard.drain(..before);
}

/// Reads what a server says; its end is the end of the connection.
fn listen(socket: &OwnedFd, heard: &mut Vec<u8>) -> Result<(), Errno> {
    let mut said = [0; 512];
    match recv(socket, &mut said, RecvFlags::DONTWAIT) {
        Ok((0, _)) => Err(Errno::PIPE),
        Ok((count, _)) => {
            keep(heard, said.get(..count).unwrap_or_default());
            Ok(())
        }
        Err(Errno::AGAIN | Errno::INTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Reports whether a connection that was begun is made.
fn is_through(socket: &OwnedFd) -> Result<bool, Errno> {
    socket_error(socket)??;
    match getpeername(socket) {
        Ok(_) => Ok(true),
        Err(Errno::NOTCONN) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn pick(addresses: &[SocketAddr], attempt: usize) -> Result<SocketAddr, Errno> {
    let index = attempt.checked_rem(addresses.len());
    let found = index.and_then(|index| addresses.get(index));
    found.copied().ok_or(Errno::DESTADDRREQ)
}

fn inet(address: SocketAddr, kind: SocketType, state: State) -> Result<Channel, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = open(family, kind)?;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(channel(socket, state)),
        Err(errno) => Err(errno),
    }
}

fn any(paths: &[PathBuf]) -> Result<Channel, Errno> {
    let mut last = Err(Errno::NOENT);
    for path in paths {
        last = local(path, SocketType::DGRAM, State::Datagrams);
        if last.is_ok() {
            break;
        }
    }
    last
}

fn local(path: &Path, kind: SocketType, state: State) -> Result<Channel, Errno> {
    let socket = open(AddressFamily::UNIX, kind)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(channel(socket, state))
}

fn open(family: AddressFamily, kind: SocketType) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(family, kind, flags, None)
}

fn channel(socket: OwnedFd, state: State) -> Channel {
    Channel {
        socket,
        state,
        sent: 0,
        heard: Vec::new(),
    }
}
