//! Lets a service of a namespace answer on another port than it is bound to, without connection tracking.
//!
//! The embedded resolver is asked at port 53, but a container may want to bind that port on all addresses itself. So the
//! resolver sits on a free port, and a small nftables table of the container's own namespace rewrites the port in what
//! is asked and answered. Queries are rewritten before connection tracking and answers after it, so that rules which the
//! container loads itself see one consistent flow.

use std::net::Ipv4Addr;

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send,
        socket_with,
    },
};

use crate::{
    Error,
    kernel::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NLMSG_ERROR},
    message::{Message, messages},
    socket::errno,
};

const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_NEWRULE: u16 = 6;
const NFPROTO_IPV4: u8 = 2;
const NF_INET_LOCAL_OUT: u32 = 3;
const NFT_REG_1: u32 = 1;
const NFT_PAYLOAD_NETWORK_HEADER: u32 = 1;
const NFT_PAYLOAD_TRANSPORT_HEADER: u32 = 2;
const NFT_PAYLOAD_CSUM_INET: u32 = 1;
const NFT_META_L4PROTO: u32 = 16;

/// The table's name; the container sees it in `nft list ruleset`.
const TABLE: &str = "hakone_resolver";
/// Before connection tracking (-200) and after everything.
const QUERIES: (&str, i32) = ("queries", -300);
const ANSWERS: (&str, i32) = ("answers", 300);

/// A protocol as the rewriting needs it: its number and where its header has the checksum.
const TCP: (u8, u32) = (6, 16);
const UDP: (u8, u32) = (17, 6);

/// A service on another port than clients ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The service's address, a loopback one.
    pub address: Ipv4Addr,
    /// The port that clients ask.
    pub asked: u16,
    /// The port the service is bound to for TCP.
    pub tcp: u16,
    /// The port the service is bound to for UDP.
    pub udp: u16,
}

/// Where a port stands in a packet.
#[derive(Clone, Copy)]
enum Side {
    Source,
    Destination,
}

/// Puts a redirection in place in the calling thread's namespace, in one transaction, whatever stood there before.
///
/// # Errors
/// When the kernel has no nftables or refuses the rules.
pub fn redirect(redirect: Redirect) -> Result<(), Error> {
    // Deleting a table makes the closing of the socket wait for a grace period of the kernel, some ten milliseconds; a
    // fresh namespace has none to delete.
    match load(transaction(redirect, Before::Nothing)) {
        Err(Errno::EXIST) => load(transaction(redirect, Before::Another)),
        loaded => loaded,
    }
    .map_err(|source| Error::Refused {
        action: "redirect port",
        object: redirect.asked.to_string(),
        source,
    })
}

/// What stood in the place of the table.
#[derive(Clone, Copy)]
enum Before {
    Nothing,
    Another,
}

fn load(transaction: Vec<Message>) -> Result<(), Errno> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::NETFILTER),
    )?;
    let mut bytes = Vec::with_capacity(4096);
    for (sequence, message) in (1..).zip(transaction) {
        bytes.extend(message.finish(sequence));
    }
    send(&socket, &bytes, SendFlags::empty())?;
    // The last change alone is acknowledged; a refusal of any other arrives before it.
    let mut buffer = [0_u8; 8192];
    let length = recv(&socket, &mut buffer[..], RecvFlags::empty())?.1;
    let received = buffer.get(..length).unwrap_or_default();
    let answer = messages(received).find(|message| message.kind == NLMSG_ERROR);
    match errno(&answer.ok_or(Errno::BADMSG)?) {
        None => Ok(()),
        Some(refused) => Err(refused),
    }
}

fn transaction(redirect: Redirect, before: Before) -> Vec<Message> {
    let (query, answer) = (Side::Destination, Side::Source);
    let rewrite = |side, protocol, bound| match side {
        Side::Destination => rule(
            QUERIES.0,
            redirect.address,
            (side, protocol),
            (redirect.asked, bound),
        ),
        Side::Source => rule(
            ANSWERS.0,
            redirect.address,
            (side, protocol),
            (bound, redirect.asked),
        ),
    };
    let cleared = match before {
        Before::Nothing => vec![],
        Before::Another => vec![table(NFT_MSG_DELTABLE, 0)],
    };
    let begin = vec![batch(NFNL_MSG_BATCH_BEGIN)];
    let filled = vec![
        table(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL),
        chain(QUERIES),
        chain(ANSWERS),
        rewrite(query, UDP, redirect.udp),
        rewrite(answer, UDP, redirect.udp),
        rewrite(query, TCP, redirect.tcp),
        rewrite(answer, TCP, redirect.tcp).acknowledge(),
        batch(NFNL_MSG_BATCH_END),
    ];
    [begin, cleared, filled].concat()
}

fn batch(kind: u16) -> Message {
    let [high, low] = NFNL_SUBSYS_NFTABLES.to_be_bytes();
    Message::new(kind, NLM_F_REQUEST, &[0, 0, high, low])
}

fn change(kind: u16, flags: u16) -> Message {
    let kind = NFNL_SUBSYS_NFTABLES << 8 | kind;
    Message::new(kind, NLM_F_REQUEST | flags, &[NFPROTO_IPV4, 0, 0, 0])
}

fn table(kind: u16, flags: u16) -> Message {
    change(kind, flags).text(1, TABLE)
}

fn chain((name, priority): (&str, i32)) -> Message {
    let hook = |hook: Message| {
        hook.big_endian(1, NF_INET_LOCAL_OUT)
            .attribute(2, &priority.to_be_bytes())
    };
    change(NFT_MSG_NEWCHAIN, NLM_F_CREATE)
        .text(1, TABLE)
        .text(3, name)
        .nested(4, hook)
        .text(7, "filter")
}

/// `ip saddr|daddr ADDRESS, protocol, sport|dport FROM` sets that port to the second.
fn rule(
    chain: &str,
    address: Ipv4Addr,
    (side, (protocol, checksum)): (Side, (u8, u32)),
    (from, to): (u16, u16),
) -> Message {
    let (address_at, port_at) = match side {
        Side::Source => (12, 0),
        Side::Destination => (16, 2),
    };
    let expressions = |list: Message| {
        let list = fetch(list, NFT_PAYLOAD_NETWORK_HEADER, address_at, 4);
        let list = compare(list, &address.octets());
        let list = expression(list, "meta", |meta| {
            meta.big_endian(1, NFT_REG_1)
                .big_endian(2, NFT_META_L4PROTO)
        });
        let list = compare(list, &[protocol]);
        let list = fetch(list, NFT_PAYLOAD_TRANSPORT_HEADER, port_at, 2);
        let list = compare(list, &from.to_be_bytes());
        let list = expression(list, "immediate", |immediate| {
            let value = |data: Message| data.attribute(1, &to.to_be_bytes());
            immediate.big_endian(1, NFT_REG_1).nested(2, value)
        });
        store(list, port_at, checksum)
    };
    change(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND)
        .text(1, TABLE)
        .text(2, chain)
        .nested(4, expressions)
}

fn fetch(list: Message, header: u32, offset: u32, length: u32) -> Message {
    expression(list, "payload", |payload| {
        payload
            .big_endian(1, NFT_REG_1)
            .big_endian(2, header)
            .big_endian(3, offset)
            .big_endian(4, length)
    })
}

fn store(list: Message, offset: u32, checksum: u32) -> Message {
    expression(list, "payload", |payload| {
        payload
            .big_endian(5, NFT_REG_1)
            .big_endian(2, NFT_PAYLOAD_TRANSPORT_HEADER)
            .big_endian(3, offset)
            .big_endian(4, 2)
            .big_endian(6, NFT_PAYLOAD_CSUM_INET)
            .big_endian(7, checksum)
    })
}

fn compare(list: Message, value: &[u8]) -> Message {
    expression(list, "cmp", |cmp| {
        cmp.big_endian(1, NFT_REG_1)
            .big_endian(2, 0)
            .nested(3, |data| data.attribute(1, value))
    })
}

fn expression(list: Message, name: &str, data: impl FnOnce(Message) -> Message) -> Message {
    list.nested(1, |element| element.text(1, name).nested(2, data))
}

impl Message {
    fn big_endian(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    fn acknowledge(mut self) -> Self {
        self.add_flags(NLM_F_ACK);
        self
    }
}
