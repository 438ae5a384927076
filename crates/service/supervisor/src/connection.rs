//! One client of the control socket.
//!
//! What goes out is queued and sent as fast as the client takes it. The queue has no bound of its own: who fills it
//! asks [`Connection::is_behind`] first, and stops reading from the process while a client is behind.

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd as _, OwnedFd},
    time::{Duration, Instant},
};

use hakone_supervision::{
    Decoder, FrameKind, Header, MAX_HELD_PER_MESSAGE, Message, Streams, encode,
};
use rustix::{
    cmsg_space,
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, send, sendmsg,
    },
};

/// Queued bytes from which on a client counts as behind.
const BEHIND: usize = 256 * 1024;
/// How long a client that is behind may take nothing before it is cut off (see the decision record).
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// Memory that an idle queue keeps.
const KEPT: usize = 4 * 1024;

/// What a connection is for; decided by its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Requests and replies.
    Questions,
    /// Notices.
    Watch,
    /// A stream of the process with this key.
    Stream { process: u32, streams: Streams },
    /// Nothing more than to send what is queued.
    Closing,
}

/// One client of the control socket.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: OwnedFd,
    pub(crate) purpose: Purpose,
    pub(crate) decoder: Decoder,
    /// Descriptors that came and were not asked for yet.
    pub(crate) received: Vec<OwnedFd>,
    /// Whether the client may still send.
    pub(crate) open: bool,
    queue: Vec<u8>,
    sent: usize,
    progress: Instant,
}

impl Connection {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            purpose: Purpose::Questions,
            decoder: Decoder::default(),
            received: Vec::new(),
            open: true,
            queue: Vec::new(),
            sent: 0,
            progress: Instant::now(),
        }
    }

    pub(crate) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Reads what came; nothing at the client's end of sending.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_HELD_PER_MESSAGE))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let count = recvmsg(&self.socket, &mut parts, &mut ancillary, flags)?.bytes;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.received.extend(descriptors);
            }
        }
        Ok(count)
    }

    /// Queues a message and sends what can be sent.
    pub(crate) fn say<T: Message>(&mut self, message: &T) {
        // Our own messages are far below the limit.
        if let Ok(bytes) = encode(message) {
            self.enqueue(&bytes, &[]);
        }
    }

    /// Queues bytes of a process and sends what can be sent.
    pub(crate) fn stream(&mut self, kind: FrameKind, bytes: &[u8]) {
        if let Ok(header) = Header::new(kind, bytes.len()) {
            self.enqueue(&header.to_bytes(), bytes);
        }
    }

    /// Sends a message with descriptors; waits for no one: such a client has nothing else queued.
    pub(crate) fn give<T: Message>(
        &mut self,
        message: &T,
        descriptors: &[OwnedFd],
    ) -> Result<(), Errno> {
        let Ok(bytes) = encode(message) else {
            return Err(Errno::MSGSIZE);
        };
        let borrowed: Vec<_> = descriptors.iter().map(|each| each.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_HELD_PER_MESSAGE))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !borrowed.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&borrowed)) {
            return Err(Errno::MSGSIZE);
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sent = sendmsg(&self.socket, &[IoSlice::new(&bytes)], &mut ancillary, flags)?;
        match sent == bytes.len() {
            true => Ok(()),
            false => Err(Errno::MSGSIZE),
        }
    }

    /// Sends what can be sent; a failure closes the connection for both sides.
    pub(crate) fn flush(&mut self) {
        while let Some(rest) = self.queue.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match send(
                &self.socket,
                rest,
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            ) {
                Ok(count) => {
                    self.sent += count;
                    self.progress = Instant::now();
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return self.compact(),
                Err(_) => return self.give_up(),
            }
        }
        self.queue.clear();
        self.queue.shrink_to(KEPT);
        self.sent = 0;
    }

    /// Throws away what is queued: nobody will read it.
    pub(crate) fn give_up(&mut self) {
        self.purpose = Purpose::Closing;
        self.open = false;
        self.queue = Vec::new();
        self.sent = 0;
    }

    /// Reports whether something waits to be sent.
    pub(crate) fn is_queued(&self) -> bool {
        self.sent < self.queue.len()
    }

    /// Reports whether so much waits to be sent that the process must wait as well.
    pub(crate) fn is_behind(&self) -> bool {
        self.queue.len() - self.sent >= BEHIND
    }

    /// Tells since when the client has taken nothing, if something waits for it.
    pub(crate) fn stuck_since(&self) -> Option<Instant> {
        self.is_queued().then_some(self.progress)
    }

    /// Reports whether the connection can be forgotten.
    pub(crate) fn is_done(&self) -> bool {
        let useless =
            self.purpose == Purpose::Closing || (self.purpose == Purpose::Questions && !self.open);
        useless && !self.is_queued()
    }

    fn enqueue(&mut self, head: &[u8], body: &[u8]) {
        if self.purpose == Purpose::Closing && !self.open {
            return;
        }
        if self.is_queued() {
            self.queue.extend_from_slice(head);
            self.queue.extend_from_slice(body);
            return self.flush();
        }
        self.progress = Instant::now();
        let parts = [IoSlice::new(head), IoSlice::new(body)];
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match sendmsg(
            &self.socket,
            &parts,
            &mut SendAncillaryBuffer::default(),
            flags,
        ) {
            Ok(count) => self.keep(head, body, count),
            Err(Errno::AGAIN | Errno::INTR) => self.keep(head, body, 0),
            Err(_) => self.give_up(),
        }
    }

    /// Queues what is left of two parts of which `sent` bytes are gone.
    fn keep(&mut self, head: &[u8], body: &[u8], sent: usize) {
        let from_body = sent.saturating_sub(head.len());
        self.queue
            .extend_from_slice(head.get(sent..).unwrap_or_default());
        self.queue
            .extend_from_slice(body.get(from_body..).unwrap_or_default());
    }

    fn compact(&mut self) {
        self.queue.drain(..self.sent);
        self.sent = 0;
    }
}
