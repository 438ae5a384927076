//! The talk between a new process and its parent: one packet a message, closed by `execve`.

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
};

use crate::StartError;

const LONGEST: usize = 16 * 1024;

/// One end of the talk.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

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
        Ok((Self(one), Self(other)))
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
        sendmsg(&self.0, &parts, &mut ancillary, SendFlags::NOSIGNAL).map(drop)
    }

    /// Waits for the other side; none when it is gone or has become another program.
    pub(crate) fn receive(&self) -> Result<Option<Message>, Errno> {
        let mut bytes = vec![0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.0, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        };
        bytes.truncate(received.bytes);
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
