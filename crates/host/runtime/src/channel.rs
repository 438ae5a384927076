//! The talk between a new process and its parent: one packet a message, closed by `execve`.
//!
//! The kernel counts by user the descriptors that are in packets nobody has read, and refuses more. So one container could keep all
//! others of its user from starting: a child that is refused names its descriptor, and the parent fetches it.

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
};

use rustix::{
    io::{Errno, fcntl_dupfd_cloexec},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg,
        socketpair,
    },
    process::{PidfdGetfdFlags, pidfd_getfd},
};

use crate::StartError;

const LONGEST: usize = 16 * 1024;

/// One end of the talk.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
    /// Who speaks on the other side, where that is known.
    peer: Option<OwnedFd>,
}

/// What is said.
#[derive(Debug)]
pub(crate) enum Message {
    /// Child: write my id maps. Parent: they are written.
    Map,
    /// Child: something was gone without.
    Warning(String),
    /// Child: here is the master side of my terminal.
    Console(OwnedFd),
    /// Helper: here is what I mounted.
    Mount(OwnedFd),
    /// Child: here is the listener of my filter.
    Listener(OwnedFd),
    /// Child: all is prepared. Parent: go on.
    Ready,
    /// Child: I give up.
    Failed(StartError),
}

impl Channel {
    /// Two ends, both closed by `execve`.
    pub(crate) fn pair() -> Result<(Self, Self), StartError> {
        let (one, other) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(StartError::step("make socket pair"))?;
        let end = |socket| Self { socket, peer: None };
        Ok((end(one), end(other)))
    }

    /// Knows who speaks on the other side, so that what it cannot send is fetched.
    pub(crate) fn with(mut self, peer: &OwnedFd) -> Result<Self, StartError> {
        let peer = fcntl_dupfd_cloexec(peer, 3).map_err(StartError::step("duplicate pidfd"))?;
        self.peer = Some(peer);
        Ok(self)
    }

    /// Says `message`.
    pub(crate) fn send(&self, message: &Message) -> Result<(), Errno> {
        let (kind, text) = encode(message);
        let mut bytes = vec![kind];
        bytes.extend(text.bytes().take(LONGEST - 1));
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let given: [BorrowedFd<'_>; 1];
        if let Message::Console(descriptor)
        | Message::Listener(descriptor)
        | Message::Mount(descriptor) = message
        {
            given = [descriptor.as_fd()];
            ancillary.push(SendAncillaryMessage::ScmRights(&given));
        }
        let parts = [IoSlice::new(&bytes)];
        let sent = sendmsg(&self.socket, &parts, &mut ancillary, SendFlags::NOSIGNAL);
        match (sent, message) {
            (
                Err(Errno::TOOMANYREFS),
                Message::Console(given) | Message::Listener(given) | Message::Mount(given),
            ) => self.offer(kind, given.as_raw_fd()),
            (sent, _) => sent.map(drop),
        }
    }

    /// Names a descriptor, and waits until the other side has fetched it.
    fn offer(&self, kind: u8, number: RawFd) -> Result<(), Errno> {
        let kind = kind.to_ascii_uppercase();
        let word = [&[kind][..], &number.to_ne_bytes()].concat();
        send(&self.socket, &word, SendFlags::NOSIGNAL)?;
        match recv(&self.socket, &mut [0; 1], RecvFlags::empty())?.1 {
            0 => Err(Errno::PIPE),
            _ => Ok(()),
        }
    }

    /// Fetches a descriptor that was named; gives what was meant.
    fn fetch(&self, bytes: &[u8]) -> Result<Option<Message>, Errno> {
        let (&[kind, n0, n1, n2, n3], Some(peer)) = (bytes, &self.peer) else {
            return Err(Errno::BADMSG);
        };
        let number = RawFd::from_ne_bytes([n0, n1, n2, n3]);
        let fetched = pidfd_getfd(peer, number, PidfdGetfdFlags::empty())?;
        send(&self.socket, b"k", SendFlags::NOSIGNAL)?;
        Ok(decode(&[kind.to_ascii_lowercase()], Some(fetched)))
    }

    /// Waits for the other side; none when it is gone or has become another program.
    pub(crate) fn receive(&self) -> Result<Option<Message>, Errno> {
        let mut bytes = vec![0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            match recvmsg(
                &self.socket,
                &mut parts,
                &mut ancillary,
                RecvFlags::CMSG_CLOEXEC,
            ) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        };
        bytes.truncate(received.bytes);
        if bytes.first().is_some_and(u8::is_ascii_uppercase) {
            return self.fetch(&bytes);
        }
        let descriptor = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _other => None,
        });
        Ok(decode(&bytes, descriptor))
    }
}

fn encode(message: &Message) -> (u8, &str) {
    match message {
        Message::Map => (b'm', ""),
        Message::Warning(text) => (b'w', text),
        Message::Console(_) => (b'c', ""),
        Message::Listener(_) => (b'l', ""),
        Message::Mount(_) => (b'd', ""),
        Message::Ready => (b'r', ""),
        Message::Failed(StartError::NotFound(text)) => (b'n', text),
        Message::Failed(StartError::Permission(text)) => (b'p', text),
        Message::Failed(StartError::Other(text)) => (b'o', text),
    }
}

fn decode(bytes: &[u8], descriptor: Option<OwnedFd>) -> Option<Message> {
    let (kind, text) = bytes.split_first()?;
    let text = || String::from_utf8_lossy(text).into_owned();
    match kind {
        b'm' => Some(Message::Map),
        b'w' => Some(Message::Warning(text())),
        b'c' => descriptor.map(Message::Console),
        b'l' => descriptor.map(Message::Listener),
        b'd' => descriptor.map(Message::Mount),
        b'r' => Some(Message::Ready),
        b'n' => Some(Message::Failed(StartError::NotFound(text()))),
        b'p' => Some(Message::Failed(StartError::Permission(text()))),
        _other => Some(Message::Failed(StartError::Other(text()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_arrives_as_it_was_sent() {
        let (one, other) = Channel::pair().unwrap();
        let error = StartError::Permission("exec: \"/x\": permission denied".into());
        one.send(&Message::Failed(error.clone())).unwrap();
        drop(one);
        let Some(Message::Failed(heard)) = other.receive().unwrap() else {
            panic!("no failure");
        };
        assert_eq!(heard, error);
        assert!(other.receive().unwrap().is_none());
    }
}
