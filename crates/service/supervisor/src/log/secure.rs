//! TLS to a log server, without blocking: rustls turns messages into records, the socket takes them when it can.

use std::{
    io::{self, Read, Write},
    os::fd::OwnedFd,
    sync::Arc,
};

use hakone_supervision::LogTls;
use hakone_tls::{Identity, Peers, authorities, client};
use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};
use rustls::{ClientConnection, pki_types::ServerName};

use super::channel::{Taken, keep, put};

/// A TLS session.
#[derive(Debug)]
pub(super) struct Session(Box<ClientConnection>);

impl Session {
    /// Prepares a session; nothing when a file or the name is of no use.
    pub(super) fn new(tls: &LogTls) -> Option<Self> {
        let peers = match tls.skip_verify {
            true => Peers::Anybody,
            false => Peers::Authorities(authorities(tls.ca.as_ref()).ok()?),
        };
        let identity = match &tls.identity {
            None => None,
            Some((certificate, key)) => {
                Some(Identity::read(certificate.as_ref(), key.as_ref()).ok()?)
            }
        };
        let config = client(peers, identity).ok()?;
        let name = ServerName::try_from(tls.name.clone()).ok()?;
        let session = ClientConnection::new(Arc::new(config), name).ok()?;
        Some(Self(Box::new(session)))
    }

    /// Reports whether there is something to send, while messages wait or none do.
    pub(super) fn wants_out(&self, queued: bool) -> bool {
        self.0.wants_write() || (queued && !self.0.is_handshaking())
    }

    /// Reports whether both sides still introduce themselves.
    pub(super) fn is_beginning(&self) -> bool {
        self.0.is_handshaking()
    }

    /// Reports whether records wait that hold what was taken.
    pub(super) fn is_owing(&self) -> bool {
        self.0.wants_write()
    }

    /// Moves the handshake on, then the message. One record's worth at a time waits here: the rest stays in its queue.
    pub(super) fn send(
        &mut self,
        socket: &OwnedFd,
        message: Option<&[u8]>,
        heard: &mut Vec<u8>,
    ) -> Result<Taken, Errno> {
        let mut socket = Socket(socket);
        self.receive(&mut socket, heard)?;
        self.flush(&mut socket)?;
        let (Some(message), false, false) =
            (message, self.0.is_handshaking(), self.0.wants_write())
        else {
            return Ok(Taken::Nothing);
        };
        // The session's own buffer takes more than the longest line.
        let written = self.0.writer().write_all(message);
        written.map_err(|_full| Errno::MSGSIZE)?;
        self.flush(&mut socket)?;
        Ok(Taken::Whole)
    }

    fn receive(&mut self, socket: &mut Socket<'_>, heard: &mut Vec<u8>) -> Result<(), Errno> {
        loop {
            match self.0.read_tls(socket) {
                Ok(0) => return Err(Errno::PIPE),
                Ok(_) => self.hear(heard)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(Errno::PIPE),
            }
        }
    }

    /// Takes records apart for what the server says in them.
    fn hear(&mut self, heard: &mut Vec<u8>) -> Result<(), Errno> {
        let state = self.0.process_new_packets();
        let waiting = state
            .map_err(|_alert| Errno::PROTO)?
            .plaintext_bytes_to_read();
        let mut said = vec![0; waiting];
        self.0.reader().read_exact(&mut said).ok();
        keep(heard, &said);
        Ok(())
    }

    fn flush(&mut self, socket: &mut Socket<'_>) -> Result<(), Errno> {
        while self.0.wants_write() {
            match self.0.write_tls(socket) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(Errno::PIPE),
            }
        }
        Ok(())
    }
}

/// The socket as rustls wants it.
struct Socket<'a>(&'a OwnedFd);

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (read, _) = recv(self.0, buffer, RecvFlags::DONTWAIT)?;
        Ok(read)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(put(self.0, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
