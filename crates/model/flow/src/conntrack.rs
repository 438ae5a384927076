//! What connection tracking tells of a flow: that it began, or that it ended and what went over it.

use std::net::{IpAddr, SocketAddr};

use hakone_base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::attribute::{attributes, exact};

const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const COUNTERS_ORIGINAL: u16 = 9;
const COUNTERS_REPLY: u16 = 10;
const ID: u16 = 12;
const TIMES: u16 = 20;
const TUPLE_ADDRESSES: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const PROTOCOL_NUMBER: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;
const COUNTER_PACKETS: u16 = 1;
const COUNTER_BYTES: u16 = 2;
const TIME_BEGUN: u16 = 1;

/// A flow as connection tracking tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// Its number, as long as it lasts; `None` from a kernel that does not tell.
    pub id: Option<u32>,
    /// Who began it, and whom it named.
    pub original: Tuple,
    /// Who answers, and to whom: what translation made of the original, turned round.
    pub reply: Tuple,
    /// What went from who began it.
    pub sent: Option<Volume>,
    /// What came back.
    pub received: Option<Volume>,
    /// When it began.
    pub began: Option<Timestamp>,
}

/// One direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// The sender.
    pub source: IpAddr,
    /// The receiver.
    pub destination: IpAddr,
    /// The IANA protocol number.
    pub protocol: u8,
    /// The sender's port, for a protocol that has ports.
    pub source_port: Option<u16>,
    /// The receiver's port.
    pub destination_port: Option<u16>,
}

/// How much went over a flow in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Bytes, headers of IP included.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
}

impl Tracked {
    /// Reads what the kernel tells of a flow, behind `struct nfgenmsg`.
    #[must_use]
    pub fn read(list: &[u8]) -> Option<Self> {
        read(list)
    }

    /// Gives the TCP connection of a client with a server that nothing translated.
    #[must_use]
    pub const fn tcp(client: SocketAddr, server: SocketAddr) -> Self {
        Self {
            id: None,
            original: Tuple::tcp(client, server),
            reply: Tuple::tcp(server, client),
            sent: None,
            received: None,
            began: None,
        }
    }
}

impl Tuple {
    const fn tcp(from: SocketAddr, to: SocketAddr) -> Self {
        Self {
            source: from.ip(),
            destination: to.ip(),
            protocol: 6,
            source_port: Some(from.port()),
            destination_port: Some(to.port()),
        }
    }
}

/// Reads what follows `struct nfgenmsg`.
pub(crate) fn read(list: &[u8]) -> Option<Tracked> {
    let (mut original, mut reply) = (None, None);
    let (mut sent, mut received) = (None, None);
    let (mut id, mut began) = (None, None);
    for (kind, value) in attributes(list) {
        match kind {
            TUPLE_ORIGINAL => original = tuple(value),
            TUPLE_REPLY => reply = tuple(value),
            COUNTERS_ORIGINAL => sent = volume(value),
            COUNTERS_REPLY => received = volume(value),
            ID => id = exact(value).map(u32::from_be_bytes),
            TIMES => began = number(value, TIME_BEGUN),
            _ => {}
        }
    }
    Some(Tracked {
        id,
        original: original?,
        reply: reply?,
        sent,
        received,
        began: began.and_then(|nanos| Some(Timestamp::from_nanos(i64::try_from(nanos).ok()?))),
    })
}

fn tuple(list: &[u8]) -> Option<Tuple> {
    let (mut ends, mut transport) = (None, None);
    for (kind, value) in attributes(list) {
        match kind {
            TUPLE_ADDRESSES => ends = addresses(value),
            TUPLE_PROTOCOL => transport = ports(value),
            _ => {}
        }
    }
    let ((source, destination), (protocol, source_port, destination_port)) = (ends?, transport?);
    Some(Tuple {
        source,
        destination,
        protocol,
        source_port,
        destination_port,
    })
}

/// The kinds of IPv4 are 1 and 2, those of IPv6 3 and 4.
fn addresses(list: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let (mut source, mut destination) = (None, None);
    for (kind, value) in attributes(list) {
        match kind {
            1 => source = exact::<4>(value).map(IpAddr::from),
            2 => destination = exact::<4>(value).map(IpAddr::from),
            3 => source = exact::<16>(value).map(IpAddr::from),
            4 => destination = exact::<16>(value).map(IpAddr::from),
            _ => {}
        }
    }
    source.zip(destination)
}

type Ports = (u8, Option<u16>, Option<u16>);

fn ports(list: &[u8]) -> Option<Ports> {
    let (mut protocol, mut source, mut destination) = (None, None, None);
    for (kind, value) in attributes(list) {
        match kind {
            PROTOCOL_NUMBER => protocol = exact(value).map(|[number]| number),
            SOURCE_PORT => source = exact(value).map(u16::from_be_bytes),
            DESTINATION_PORT => destination = exact(value).map(u16::from_be_bytes),
            _ => {}
        }
    }
    Some((protocol?, source, destination))
}

fn volume(list: &[u8]) -> Option<Volume> {
    Some(Volume {
        bytes: number(list, COUNTER_BYTES)?,
        packets: number(list, COUNTER_PACKETS)?,
    })
}

fn number(list: &[u8], wanted: u16) -> Option<u64> {
    let mut all = attributes(list);
    let (_, value) = all.find(|(kind, _)| *kind == wanted)?;
    Some(u64::from_be_bytes(exact(value)?))
}
