//! The socket: sends batches, collects acknowledgements, reads dumps.

use std::os::fd::OwnedFd;

use rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with},
};

use crate::{
    Error, Request,
    kernel::{NLM_F_DUMP, NLM_F_MULTI, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR},
    message::{Message, Received, messages},
};

/// Largest datagram that rtnetlink sends: dumps come in pieces of at most 32 KiB.
const DATAGRAM: usize = 64 * 1024;

/// An rtnetlink socket of the namespace in which it was opened.
#[derive(Debug)]
pub struct Socket {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket in the calling thread's namespace.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn open() -> Result<Self, Error> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None, // NETLINK_ROUTE is protocol zero
        )?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: vec![0; DATAGRAM],
        })
    }

    /// Sends all requests in one system call; the kernel applies each, in order, also after a refusal.
    ///
    /// # Errors
    /// The first refusal that its request does not tolerate.
    pub fn execute(&mut self, requests: impl IntoIterator<Item = Request>) -> Result<(), Error> {
        let requests: Vec<Request> = requests.into_iter().collect();
        if requests.is_empty() {
            return Ok(());
        }
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::with_capacity(requests.len() * 128);
        for request in &requests {
            bytes.extend(request.message.clone().finish(self.next()));
        }
        send(&self.socket, &bytes, SendFlags::empty())?;
        self.acknowledgements(&requests, first)
    }

    /// Asks a question with one answer; `None` when the object does not exist.
    pub(crate) fn ask<T>(
        &mut self,
        question: Message,
        read: impl Fn(&Received<'_>) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let sequence = self.next();
        send(&self.socket, &question.finish(sequence), SendFlags::empty())?;
        loop {
            let ours = self.receive()?.find(|message| message.sequence == sequence);
            match ours {
                None => {}
                Some(message) if message.kind == NLMSG_ERROR => {
                    return refusal(&message).map(|()| None);
                }
                Some(message) => return read(&message).map(Some).ok_or(Error::Reply),
            }
        }
    }

    /// Reads a whole table.
    pub(crate) fn dump<T>(
        &mut self,
        kind: u16,
        fixed: &[u8],
        read: impl Fn(&Received<'_>) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let sequence = self.next();
        let question = Message::new(kind, NLM_F_REQUEST | NLM_F_DUMP, fixed).finish(sequence);
        send(&self.socket, &question, SendFlags::empty())?;
        let mut found = Vec::new();
        while !self.read_piece(sequence, &read, &mut found)? {}
        Ok(found)
    }

    /// Reads one datagram of a dump; true after the last.
    fn read_piece<T>(
        &mut self,
        sequence: u32,
        read: &impl Fn(&Received<'_>) -> Option<T>,
        found: &mut Vec<T>,
    ) -> Result<bool, Error> {
        for message in self
            .receive()?
            .filter(|message| message.sequence == sequence)
        {
            match message.kind {
                NLMSG_DONE => return Ok(true),
                NLMSG_ERROR => return refusal(&message).map(|()| true),
                _ => found.extend(read(&message)),
            }
            if message.flags & NLM_F_MULTI == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn receive(&mut self) -> Result<impl Iterator<Item = Received<'_>>, Error> {
        let length = recv(&self.socket, &mut *self.buffer, RecvFlags::TRUNC)?.1;
        let datagram = self.buffer.get(..length).ok_or(Error::Reply)?;
        Ok(messages(datagram))
    }

    fn acknowledgements(&mut self, requests: &[Request], first: u32) -> Result<(), Error> {
        let mut refused = None;
        let mut missing = requests.len();
        while missing > 0 {
            let answers = self
                .receive()?
                .filter(|message| message.kind == NLMSG_ERROR);
            // Others are answers to an earlier batch whose reading was cut short.
            let answers = answers.filter_map(|message| {
                let place = usize::try_from(message.sequence.wrapping_sub(first));
                Some((requests.get(place.ok()?)?, message))
            });
            for (request, message) in answers {
                missing -= 1;
                refused = refused.or_else(|| judge(request, &message));
            }
        }
        refused.map_or(Ok(()), Err)
    }

    fn next(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }
}

/// Turns an acknowledgement into the error that it reports, if the request minds it.
fn judge(request: &Request, message: &Received<'_>) -> Option<Error> {
    let source = errno(message)?;
    (!request.tolerates(source)).then(|| Error::Refused {
        action: request.action,
        object: request.object.clone(),
        source,
    })
}

/// Reads the refusal of a question: an object that does not exist is an answer.
fn refusal(message: &Received<'_>) -> Result<(), Error> {
    match errno(message) {
        None | Some(Errno::NODEV) => Ok(()),
        Some(source) => Err(Error::Socket(source)),
    }
}

pub(crate) fn errno(message: &Received<'_>) -> Option<Errno> {
    let code = i32::from_ne_bytes(message.payload.get(..4)?.try_into().ok()?);
    (code != 0).then(|| Errno::from_raw_os_error(-code))
}
