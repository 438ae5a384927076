//! A datagram socket to another program that may come, go, and be slow: connected when needed, never waited for.

use std::{io, os::unix::net::UnixDatagram, path::PathBuf};

/// A peer known by its path.
#[derive(Debug)]
pub(crate) struct Peer {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Peer {
    /// Connects, so that a wrong path shows at once.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let socket = Some(connect(&path)?);
        Ok(Self { path, socket })
    }

    /// Sends at once or not at all; a peer that restarted is found again.
    pub(crate) fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => connect(&self.path)?,
        };
        let sent = socket.send(datagram);
        let sent = match sent {
            Err(error) if is_gone(&error) => {
                let again = connect(&self.path)?;
                let sent = again.send(datagram);
                self.socket = Some(again);
                sent
            }
            sent => {
                self.socket = Some(socket);
                sent
            }
        };
        sent.map(drop)
    }
}

fn connect(path: &PathBuf) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect(path)?;
    Ok(socket)
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotConnected};
    matches!(
        error.kind(),
        ConnectionRefused | ConnectionReset | NotConnected
    )
}
