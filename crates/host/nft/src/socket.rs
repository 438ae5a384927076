//! The socket: one transaction a system call, and the kernel's answers to it.
//!
//! The kernel works a batch off inside `send`, so all answers wait when it returns. A batch carries the generation of the
//! rules that it was made for; when another program was faster the kernel says so and the batch is sent again.

use std::{
    os::fd::OwnedFd,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, getsockname, netlink,
        netlink::SocketAddrNetlink, recv, send, socket_with, sockopt,
    },
};

use hakone_policy::ruleset::{Family, Name};

use crate::{
    Error, Object,
    kernel::{
        BATCH_BEGIN, BATCH_END, BATCH_GENERATION, GETGEN, GETTABLE, NEWGEN, NEWTABLE, NFTABLES,
        NLM_F_REQUEST, NLMSG_ERROR, attribute,
    },
    message::{Message, Received, messages},
    request::{Request, protocol},
};

/// Room for a datagram of answers; the kernel sends each on its own, with the refused message behind it.
const DATAGRAM: usize = 64 * 1024;
/// Room for the answers to a batch of which every message is refused.
const ANSWERS: usize = 4 << 20;
/// How long the kernel's module may take to load, and how often it is asked for meanwhile.
const LOADING: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);
/// How often a batch is sent again when other programs were faster.
const ATTEMPTS: usize = 20;

/// An nfnetlink socket of the namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    pub(crate) fn open() -> Result<Self, Error> {
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        let protocol = Some(netlink::NETFILTER);
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?;
        // Without the privilege the ordinary limit stands; an overrun is an error that `send` or `recv` reports.
        sockopt::set_socket_recv_buffer_size_force(&socket, ANSWERS).ok();
        bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: vec![0; DATAGRAM],
        })
    }

    /// Waits until the kernel's nf_tables answer. Asked for the first time it loads their module, and says that there are none
    /// while another thread's question has that in hand.
    pub(crate) fn wake(&mut self) -> Result<(), Error> {
        let start = Instant::now();
        loop {
            match self.generation() {
                Err(Error::Socket(Errno::INVAL)) if start.elapsed() < LOADING => sleep(PAUSE),
                Err(Error::Socket(Errno::INVAL)) => return Err(Error::Missing),
                other => return other.map(drop),
            }
        }
    }

    /// Gives the number by which the kernel knows this socket: its transactions are told under it.
    pub(crate) fn port(&self) -> Result<u32, Error> {
        let address = SocketAddrNetlink::try_from(getsockname(&self.socket)?)?;
        Ok(address.pid())
    }

    /// Applies all requests or none, and tells the generation that they made.
    pub(crate) fn commit(&mut self, requests: Vec<Request>) -> Result<u32, Error> {
        let mut objects = Vec::with_capacity(requests.len());
        let mut body = Vec::with_capacity(requests.len() * 128);
        let before = self.next();
        for request in requests {
            objects.push(request.object);
            body.extend(request.message.finish(self.next()));
        }
        for _ in 0..ATTEMPTS {
            let generation = self.generation()?;
            let begin = begin(generation).finish(before);
            let end = Message::new(BATCH_END, NLM_F_REQUEST, 0, NFTABLES).finish(self.next());
            self.send(&[&*begin, &*body, &*end].concat())?;
            match self.refusal(before.wrapping_add(1), &objects)? {
                None => return Ok(successor(generation)),
                Some((_, Errno::RESTART)) => {}
                Some((object, source)) => return Err(Error::Refused { object, source }),
            }
        }
        Err(Error::Contended)
    }

    /// Asks which generation the rules of this namespace have; every transaction of anybody makes a new one.
    pub(crate) fn generation(&mut self) -> Result<u32, Error> {
        let request = Message::new((NFTABLES << 8) | GETGEN, NLM_F_REQUEST, 0, 0);
        let id = self.ask(request, NEWGEN, attribute::GEN_ID)?;
        Ok(u32::from_be_bytes(id))
    }

    /// Asks for the number that the kernel gave a table when it was made; `None` when there is no such table.
    pub(crate) fn table(&mut self, family: Family, name: &Name) -> Result<Option<u64>, Error> {
        let kind = (NFTABLES << 8) | GETTABLE;
        let mut request = Message::new(kind, NLM_F_REQUEST, protocol(family), 0);
        request.text(attribute::TABLE_NAME, name.as_str());
        match self.ask(request, NEWTABLE, attribute::TABLE_HANDLE) {
            Err(Error::Socket(Errno::NOENT)) => Ok(None),
            handle => Ok(Some(u64::from_be_bytes(handle?))),
        }
    }

    /// Asks for one object and reads an attribute of it.
    fn ask<const N: usize>(
        &mut self,
        request: Message,
        kind: u16,
        wanted: u16,
    ) -> Result<[u8; N], Error> {
        let sequence = self.next();
        self.send(&request.finish(sequence))?;
        loop {
            let length = recv(&self.socket, &mut *self.buffer, RecvFlags::TRUNC)?.1;
            let datagram = self.buffer.get(..length).ok_or(Error::Reply)?;
            let answer = messages(datagram).find(|message| message.sequence == sequence);
            if let Some(answer) = answer {
                return read(&answer, kind, wanted);
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        let sent = send(&self.socket, bytes, SendFlags::empty());
        if sent != Err(Errno::MSGSIZE) {
            sent?;
            return Ok(());
        }
        let room = bytes.len().saturating_mul(2);
        sockopt::set_socket_send_buffer_size_force(&self.socket, room)
            .or_else(|_| sockopt::set_socket_send_buffer_size(&self.socket, room))?;
        send(&self.socket, bytes, SendFlags::empty())?;
        Ok(())
    }

    /// Reads all answers and gives the first refusal; the kernel answers refused messages only.
    fn refusal(
        &mut self,
        first: u32,
        objects: &[Object],
    ) -> Result<Option<(Object, Errno)>, Error> {
        let mut refusal = None;
        loop {
            let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
            let length = match recv(&self.socket, &mut *self.buffer, flags) {
                Err(Errno::AGAIN) => return Ok(refusal),
                received => received?.1,
            };
            let datagram = self
                .buffer
                .get(..length.min(DATAGRAM))
                .ok_or(Error::Reply)?;
            for message in messages(datagram).filter(|message| message.kind == NLMSG_ERROR) {
                let refused = judge(&message, first, objects)?;
                refusal = refusal.or(refused);
            }
        }
    }

    fn next(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }
}

/// Reads which object an answer is about, and why the kernel refused it.
fn judge(
    answer: &Received<'_>,
    first: u32,
    objects: &[Object],
) -> Result<Option<(Object, Errno)>, Error> {
    let code = answer.code().ok_or(Error::Reply)?;
    if code == 0 {
        return Ok(None);
    }
    let place = usize::try_from(answer.sequence.wrapping_sub(first)).ok();
    let object = place.and_then(|place| objects.get(place)).cloned();
    let errno = Errno::from_raw_os_error(-code);
    Ok(Some((object.unwrap_or(Object::Transaction), errno)))
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::Socket(errno)
    }
}

fn begin(generation: u32) -> Message {
    let mut message = Message::new(BATCH_BEGIN, NLM_F_REQUEST, 0, NFTABLES);
    message.number(BATCH_GENERATION, generation);
    message
}

/// The kernel counts up and skips zero.
fn successor(generation: u32) -> u32 {
    generation.wrapping_add(1).max(1)
}

fn read<const N: usize>(answer: &Received<'_>, kind: u16, wanted: u16) -> Result<[u8; N], Error> {
    if answer.kind != (NFTABLES << 8) | kind {
        let code = answer.code().ok_or(Error::Reply)?;
        return Err(Error::Socket(Errno::from_raw_os_error(-code)));
    }
    let value = answer.attribute(wanted).ok_or(Error::Reply)?;
    <[u8; N]>::try_from(value).ok().ok_or(Error::Reply)
}
