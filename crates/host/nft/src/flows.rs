//! Makes connection tracking forget the flows to a UDP port whose leading changed, and those of an address that left.
//!
//! A flow keeps the translation that its first packet got. TCP ends its flows by itself; a UDP client that goes on with the
//! same socket would be led to a container that is gone, for as long as it goes on, or past one that just came.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::OwnedFd,
};

use hakone_base::{Port, Protocol, PublishedPort};
use hakone_policy::Ends;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send,
        socket_with,
    },
};

use crate::{
    Error,
    kernel::{
        CONNTRACK, DELETE_FLOW, GET_FLOW, NFPROTO_IPV4, NFPROTO_IPV6, NLM_F_ACK, NLM_F_DUMP,
        NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, attribute as a,
    },
    message::{Message, Received, find, messages},
};

/// Room for a datagram of a dump, as the kernel sends them.
const DATAGRAM: usize = 64 * 1024;
/// What the kernel is to compare: protocol and destination port (`CTA_FILTER_F_CTA_PROTO_NUM`, `_DST_PORT`).
const COMPARED: u32 = 1 << 3 | 1 << 5;

/// A flow to one of the ports, and the bytes by which the kernel knows it.
struct Flow {
    destination: IpAddr,
    port: u16,
    original: Vec<u8>,
}

/// Forgets the flows to these ports at addresses of this host; ports of other protocols than UDP are left out. Gives the
/// number of flows forgotten. Works on the calling thread's network namespace.
///
/// # Errors
/// When the kernel has no connection tracking or refuses.
pub fn forget_flows(ports: &[PublishedPort]) -> Result<usize, Error> {
    let is_udp = |port: &&PublishedPort| port.target.protocol == Protocol::Udp;
    let ports: Vec<&PublishedPort> = ports.iter().filter(is_udp).collect();
    let mut forgotten = 0;
    if ports.is_empty() {
        return Ok(forgotten);
    }
    let socket = open()?;
    for port in ports {
        for flow in flows(&socket, port.host_address.is_ipv6(), port.host_port)? {
            if leads_to(port, &flow) {
                forget(&socket, port.host_address.is_ipv6(), &flow.original)?;
                forgotten += 1;
            }
        }
    }
    Ok(forgotten)
}

/// Forgets the flows from or to these addresses, translated or not, so that what a rule no longer allows does not go on as
/// something known. Gives the number of flows forgotten. Works on the calling thread's network namespace.
///
/// # Errors
/// When the kernel has no connection tracking or refuses.
pub fn forget_addresses(addresses: &[IpAddr]) -> Result<usize, Error> {
    let socket = open()?;
    let mut forgotten = 0;
    for ipv6 in [false, true] {
        if !addresses.iter().any(|address| address.is_ipv6() == ipv6) {
            continue;
        }
        let concerned = |message: &Received<'_>| {
            let original = message.attribute(a::FLOW_ORIGINAL)?;
            let ends = [original, message.attribute(a::FLOW_REPLY)?].map(ends);
            let known = ends.iter().flatten().any(|end| addresses.contains(end));
            known.then(|| original.to_vec())
        };
        for flow in list(&socket, message(GET_FLOW, NLM_F_DUMP, ipv6), concerned)? {
            forget(&socket, ipv6, &flow)?;
            forgotten += 1;
        }
    }
    Ok(forgotten)
}

/// Forgets the flows that somebody does not want, by both ends with translations followed. Gives those that were forgotten.
/// Works on the calling thread's network namespace.
///
/// # Errors
/// When the kernel has no connection tracking or refuses.
pub fn forget_unwanted(unwanted: impl Fn(&Ends) -> bool) -> Result<Vec<Ends>, Error> {
    let socket = open()?;
    let mut forgotten = Vec::new();
    for ipv6 in [false, true] {
        let concerned = |message: &Received<'_>| {
            let original = message.attribute(a::FLOW_ORIGINAL)?;
            let found = both_ends(original, message.attribute(a::FLOW_REPLY)?)?;
            unwanted(&found).then(|| (found, original.to_vec()))
        };
        for (ends, flow) in list(&socket, message(GET_FLOW, NLM_F_DUMP, ipv6), concerned)? {
            forget(&socket, ipv6, &flow)?;
            forgotten.push(ends);
        }
    }
    Ok(forgotten)
}

/// Lists all flows that stand: of each what follows `struct nfgenmsg` when the kernel tells of it. Works on the calling thread's
/// network namespace.
///
/// # Errors
/// When the kernel has no connection tracking or refuses.
pub fn standing_flows() -> Result<Vec<Vec<u8>>, Error> {
    let socket = open()?;
    let mut all = Vec::new();
    for ipv6 in [false, true] {
        let told = |message: &Received<'_>| message.attributes().map(<[u8]>::to_vec);
        all.extend(list(&socket, message(GET_FLOW, NLM_F_DUMP, ipv6), told)?);
    }
    Ok(all)
}

/// Who began stands in the first direction, whom it reached in the other: that one answers by its own address and port.
fn both_ends(original: &[u8], reply: &[u8]) -> Option<Ends> {
    let protocol = find(reply, a::TUPLE_PROTOCOL)?;
    let [number] = *find(protocol, a::PROTOCOL_NUMBER)? else {
        return None;
    };
    let port = find(protocol, a::PROTOCOL_FROM).and_then(|bytes| bytes.try_into().ok());
    Some(Ends {
        source: *ends(original).first()?,
        destination: *ends(reply).first()?,
        protocol: number,
        port: port.map(u16::from_be_bytes),
    })
}

/// Gives both addresses of one direction of a flow.
fn ends(tuple: &[u8]) -> Vec<IpAddr> {
    let addresses = find(tuple, a::TUPLE_ADDRESSES).unwrap_or_default();
    let v4 = [a::ADDRESS_FROM, a::ADDRESS_TO].map(|kind| {
        let bytes = <[u8; 4]>::try_from(find(addresses, kind)?).ok()?;
        Some(IpAddr::from(bytes))
    });
    let v6 = [a::ADDRESS_FROM_V6, a::ADDRESS_TO_V6].map(|kind| {
        let bytes = <[u8; 16]>::try_from(find(addresses, kind)?).ok()?;
        Some(IpAddr::from(bytes))
    });
    v4.into_iter().chain(v6).flatten().collect()
}

fn leads_to(port: &PublishedPort, flow: &Flow) -> bool {
    let here = match port.host_address.is_unspecified() {
        true => is_local(flow.destination),
        false => flow.destination == port.host_address,
    };
    here && flow.port == port.host_port.get()
}

/// An address can be bound where it is local, and nowhere else.
fn is_local(address: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}

pub(crate) fn open() -> Result<OwnedFd, Error> {
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    let protocol = Some(netlink::NETFILTER);
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?)
}

/// Lists the UDP flows to a port. A kernel before 5.8 does not filter and lists all; the caller looks itself.
fn flows(socket: &OwnedFd, ipv6: bool, port: Port) -> Result<Vec<Flow>, Error> {
    let mut request = message(GET_FLOW, NLM_F_DUMP, ipv6);
    request.nest(a::FLOW_ORIGINAL, |tuple| {
        tuple.nest(a::TUPLE_PROTOCOL, |protocol| {
            protocol.bytes(a::PROTOCOL_NUMBER, &[Protocol::Udp.number()]);
            protocol.bytes(a::PROTOCOL_TO, &port.get().to_be_bytes());
        });
    });
    request.nest(a::FLOW_FILTER, |filter| {
        filter.bytes(a::FILTER_ORIGINAL, &COMPARED.to_ne_bytes());
    });
    list(socket, request, read)
}

/// Reads a dump.
pub(crate) fn list<T>(
    socket: &OwnedFd,
    request: Message,
    read: impl Fn(&Received<'_>) -> Option<T>,
) -> Result<Vec<T>, Error> {
    send(socket, &request.finish(1), SendFlags::empty())?;
    let mut found = Vec::new();
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let length = recv(socket, &mut *buffer, RecvFlags::TRUNC)?.1;
        let datagram = buffer.get(..length).ok_or(Error::Reply)?;
        for message in messages(datagram) {
            match message.kind {
                NLMSG_DONE => return Ok(found),
                NLMSG_ERROR => acknowledge(&message)?,
                _ => found.extend(read(&message)),
            }
        }
    }
}

fn read(message: &Received<'_>) -> Option<Flow> {
    let original = message.attribute(a::FLOW_ORIGINAL)?;
    let protocol = find(original, a::TUPLE_PROTOCOL)?;
    if find(protocol, a::PROTOCOL_NUMBER)? != [Protocol::Udp.number()] {
        return None;
    }
    let addresses = find(original, a::TUPLE_ADDRESSES)?;
    let destination = match find(addresses, a::ADDRESS_TO) {
        Some(v4) => <[u8; 4]>::try_from(v4).ok()?.into(),
        None => <[u8; 16]>::try_from(find(addresses, a::ADDRESS_TO_V6)?)
            .ok()?
            .into(),
    };
    let port = find(protocol, a::PROTOCOL_TO)?;
    Some(Flow {
        destination,
        port: u16::from_be_bytes(port.try_into().ok()?),
        original: original.to_vec(),
    })
}

/// Deletes a flow; one that ended by itself meanwhile is no failure.
pub(crate) fn forget(socket: &OwnedFd, ipv6: bool, original: &[u8]) -> Result<(), Error> {
    let mut asked = message(DELETE_FLOW, NLM_F_ACK, ipv6);
    asked.nested(a::FLOW_ORIGINAL, original);
    match request(socket, asked) {
        Err(Error::Socket(Errno::NOENT)) => Ok(()),
        other => other,
    }
}

/// Sends a request and waits for its acknowledgement.
pub(crate) fn request(socket: &OwnedFd, asked: Message) -> Result<(), Error> {
    send(socket, &asked.finish(2), SendFlags::empty())?;
    let mut buffer = vec![0; DATAGRAM];
    let length = recv(socket, &mut *buffer, RecvFlags::TRUNC)?.1;
    let datagram = buffer.get(..length).ok_or(Error::Reply)?;
    acknowledge(&messages(datagram).next().ok_or(Error::Reply)?)
}

pub(crate) fn acknowledge(answer: &Received<'_>) -> Result<(), Error> {
    match answer.code().ok_or(Error::Reply)? {
        0 => Ok(()),
        code => Err(Error::Socket(Errno::from_raw_os_error(-code))),
    }
}

pub(crate) fn message(kind: u16, flags: u16, ipv6: bool) -> Message {
    let family = match ipv6 {
        true => NFPROTO_IPV6,
        false => NFPROTO_IPV4,
    };
    Message::new((CONNTRACK << 8) | kind, NLM_F_REQUEST | flags, family, 0)
}
