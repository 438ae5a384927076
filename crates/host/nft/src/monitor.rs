//! Hears of every change that other programs make to the namespace's rules.
//!
//! The kernel tells each transaction of nf_tables to whoever joins its group: what was changed, then who did it and which
//! generation that made. Our own transactions are left out before they are queued, by a filter on the sender's port, so that
//! a large load of ours neither wakes nor overruns the listener. Whether and when to mend is the listener's decision.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use hakone_policy::TABLE;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink,
        netlink::SocketAddrNetlink, recv, socket_with, sockopt,
    },
};
use socket2::{SockFilter, SockRef};

use crate::{
    Error, Firewall,
    divert::DIVERT,
    kernel::{
        GROUP_NFTABLES, NEWGEN, NFPROTO_BRIDGE, NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6,
        NFPROTO_NETDEV, NFTABLES, attribute,
    },
    message::{Received, messages},
};

/// Room for a datagram of notices: the kernel packs them to a page.
const DATAGRAM: usize = 64 * 1024;
/// Room for what others change while nobody listens; beyond it the kernel tells of a loss.
const BACKLOG: usize = 4 << 20;
/// Datagrams that one reading takes, so that a flood cannot hold the reader for ever.
const READING: usize = 1024;
/// The tables of iptables in which the administrator's chains stand, or rules of ours.
const SHARED: [&str; 4] = ["raw", "mangle", "nat", "filter"];

/// A listener for other programs' changes of the rules of one namespace.
#[derive(Debug)]
pub struct Monitor {
    socket: OwnedFd,
    buffer: Vec<u8>,
    /// What the transaction whose end is still to come has touched.
    pending: Touched,
}

/// What others did since the last reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The last change of a table of ours.
    pub own: Option<Edit>,
    /// The last change of a table of iptables.
    pub shared: Option<Edit>,
    /// Whether notices were lost: anything may have changed.
    pub lost: bool,
}

/// A transaction of another program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The generation of the rules that it made.
    pub generation: u32,
    /// The number of the process that sent it.
    pub process: u32,
    /// The name of the process, as it calls itself.
    pub program: String,
}

#[derive(Clone, Copy, Debug, Default)]
struct Touched {
    own: bool,
    shared: bool,
}

impl Monitor {
    /// Begins to listen in the calling thread's namespace, deaf to the firewall's own transactions.
    ///
    /// # Errors
    /// When the kernel has no netfilter sockets.
    pub fn open(firewall: &Firewall) -> Result<Self, Error> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        let socket = socket_with(family, kind, flags, Some(netlink::NETFILTER))?;
        // Without the privilege the ordinary limit stands; a loss is told and means a whole load.
        sockopt::set_socket_recv_buffer_size_force(&socket, BACKLOG).ok();
        let own = firewall.port()?;
        let leave_out = SockRef::from(&socket).attach_filter(&all_but(own));
        leave_out.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::INVAL))?;
        bind(
            &socket,
            &SocketAddrNetlink::new(0, 1 << (GROUP_NFTABLES - 1)),
        )?;
        Ok(Self {
            socket,
            buffer: vec![0; DATAGRAM],
            pending: Touched::default(),
        })
    }

    /// Reads all that waits, without waiting itself.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn read(&mut self) -> Result<Heard, Error> {
        let mut heard = Heard::default();
        for _ in 0..READING {
            let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
            match recv(&self.socket, &mut *self.buffer, flags) {
                Err(Errno::AGAIN) => break,
                Err(Errno::NOBUFS) => heard.lost = true,
                received => self.take(received?.1, &mut heard),
            }
        }
        Ok(heard)
    }

    fn take(&mut self, length: usize, heard: &mut Heard) {
        let Some(datagram) = self.buffer.get(..length) else {
            heard.lost = true;
            return;
        };
        for message in messages(datagram) {
            note(&message, &mut self.pending, heard);
        }
    }
}

impl Heard {
    /// Reports whether anything was heard that concerns us.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.own.is_none() && self.shared.is_none() && !self.lost
    }

    /// Adds what was heard later.
    pub fn merge(&mut self, later: Self) {
        self.own = later.own.or(self.own.take());
        self.shared = later.shared.or(self.shared.take());
        self.lost |= later.lost;
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Monitor {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Every kind of object names its table in its first attribute; the end of a transaction is told by its generation.
fn note(message: &Received<'_>, pending: &mut Touched, heard: &mut Heard) {
    if message.kind == (NFTABLES << 8) | NEWGEN {
        let touched = std::mem::take(pending);
        let edit = edit(message);
        heard.own = edit.clone().filter(|_| touched.own).or(heard.own.take());
        heard.shared = edit.filter(|_| touched.shared).or(heard.shared.take());
        return;
    }
    let table = message.attribute(attribute::TABLE_NAME).map(text);
    match (message.family(), table.as_deref()) {
        (Some(NFPROTO_INET | NFPROTO_BRIDGE | NFPROTO_NETDEV), Some(TABLE | DIVERT)) => {
            pending.own = true;
        }
        (Some(NFPROTO_IPV4 | NFPROTO_IPV6), Some(table)) if SHARED.contains(&table) => {
            pending.shared = true;
        }
        _ => {}
    }
}

fn edit(message: &Received<'_>) -> Option<Edit> {
    let number = |kind| {
        let bytes = message.attribute(kind)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    Some(Edit {
        generation: number(attribute::GEN_ID)?,
        process: number(attribute::GEN_PROCESS).unwrap_or_default(),
        program: message
            .attribute(attribute::GEN_PROGRAM)
            .map(text)
            .unwrap_or_default(),
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(bytes)).into_owned()
}

/// The filter "the sender's port, in `struct nlmsghdr`, is not this one". The program loads words in network byte order.
fn all_but(port: u32) -> [SockFilter; 4] {
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const PORT_OFFSET: u32 = 12;
    let port = u32::from_be_bytes(port.to_ne_bytes());
    [
        SockFilter::new(LOAD_WORD, 0, 0, PORT_OFFSET),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, port),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kernel::{DELTABLE, NFTABLES},
        message::Message,
    };

    fn object(family: u8, table: &str) -> Vec<u8> {
        let mut message = Message::new((NFTABLES << 8) | DELTABLE, 0, family, 0);
        message.text(attribute::TABLE_NAME, table);
        message.finish(0)
    }

    fn end(generation: u32, program: &str) -> Vec<u8> {
        let mut message = Message::new((NFTABLES << 8) | NEWGEN, 0, 0, 0);
        message.number(attribute::GEN_ID, generation);
        message.number(attribute::GEN_PROCESS, 7);
        message.text(attribute::GEN_PROGRAM, program);
        message.finish(0)
    }

    fn hear(datagrams: &[Vec<u8>]) -> Heard {
        let (mut pending, mut heard) = (Touched::default(), Heard::default());
        for datagram in datagrams {
            messages(datagram).for_each(|message| note(&message, &mut pending, &mut heard));
        }
        heard
    }

    #[test]
    fn a_change_of_our_table_is_told_with_who_made_it() {
        let heard = hear(&[object(NFPROTO_INET, "hakone"), end(9, "nft")]);
        let edit = Edit {
            generation: 9,
            process: 7,
            program: "nft".into(),
        };
        assert_eq!((heard.own, heard.shared), (Some(edit), None));
    }

    #[test]
    fn tables_of_others_are_their_own_affair() {
        let strange = [
            object(NFPROTO_INET, "firewalld"),
            object(NFPROTO_IPV4, "hakone"),
            object(NFPROTO_IPV4, "security"),
            end(9, "nft"),
        ];
        assert!(hear(&strange).is_empty());
        assert!(
            hear(&[object(NFPROTO_IPV6, "filter"), end(9, "x")])
                .shared
                .is_some()
        );
    }

    #[test]
    fn a_transaction_whose_end_is_not_told_yet_is_no_change_yet() {
        let open = [end(8, "nft"), object(NFPROTO_BRIDGE, "hakone")];
        assert!(hear(&open).is_empty());
    }
}
