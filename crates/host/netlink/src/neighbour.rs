//! Permanent neighbours and forwarding entries: what the kernel is told, nobody on the wire can change.

use std::net::{IpAddr, Ipv6Addr};

use hakone_base::MacAddr;

use crate::{
    LinkIndex, Request,
    address::{family, octets},
    kernel::{
        AF_BRIDGE, NDA_DST, NDA_LLADDR, NLM_F_CREATE, NLM_F_REPLACE, NTF_MASTER, NTF_PROXY,
        NUD_NOARP, NUD_PERMANENT, RTM_DELNEIGH, RTM_NEWNEIGH,
    },
    message::Message,
    request::acknowledged,
};

/// Tells a link for good which Ethernet address an IP address has.
pub fn add_neighbour(link: LinkIndex, address: IpAddr, mac: MacAddr) -> Request {
    let fixed = ndmsg(family(address), link, NUD_PERMANENT, 0);
    let message = Message::new(
        RTM_NEWNEIGH,
        acknowledged(NLM_F_CREATE | NLM_F_REPLACE),
        &fixed,
    )
    .attribute(NDA_DST, &octets(address))
    .attribute(NDA_LLADDR, &mac.octets());
    Request::new("add neighbour", address.to_string(), message)
}

/// Forgets a neighbour.
pub fn delete_neighbour(link: LinkIndex, address: IpAddr) -> Request {
    let fixed = ndmsg(family(address), link, 0, 0);
    let message =
        Message::new(RTM_DELNEIGH, acknowledged(0), &fixed).attribute(NDA_DST, &octets(address));
    Request::new("delete neighbour", address.to_string(), message)
}

/// Lets the host answer on a link for an IPv6 address that is behind another port of it (`proxy_ndp`).
pub fn add_proxy(link: LinkIndex, address: Ipv6Addr) -> Request {
    let fixed = ndmsg(family(address.into()), link, NUD_PERMANENT, NTF_PROXY);
    let flags = acknowledged(NLM_F_CREATE | NLM_F_REPLACE);
    let message = Message::new(RTM_NEWNEIGH, flags, &fixed).attribute(NDA_DST, &address.octets());
    Request::new("answer for", address.to_string(), message)
}

/// Ends the answering for an address.
pub fn delete_proxy(link: LinkIndex, address: Ipv6Addr) -> Request {
    let fixed = ndmsg(family(address.into()), link, 0, NTF_PROXY);
    let message =
        Message::new(RTM_DELNEIGH, acknowledged(0), &fixed).attribute(NDA_DST, &address.octets());
    Request::new("stop answering for", address.to_string(), message)
}

/// Tells a bridge for good behind which port an Ethernet address is; it goes with the port.
pub fn add_forwarding(port: LinkIndex, mac: MacAddr) -> Request {
    let fixed = ndmsg(AF_BRIDGE, port, NUD_NOARP, NTF_MASTER);
    let message = Message::new(
        RTM_NEWNEIGH,
        acknowledged(NLM_F_CREATE | NLM_F_REPLACE),
        &fixed,
    )
    .attribute(NDA_LLADDR, &mac.octets());
    Request::new("add forwarding entry", mac.to_string(), message)
}

/// `struct ndmsg`.
fn ndmsg(family: u8, link: LinkIndex, state: u16, flags: u8) -> [u8; 12] {
    let mut bytes = [0; 12];
    let words = [u32::from(family), link.0];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    let [low, high] = state.to_ne_bytes();
    if let Some(tail) = bytes.get_mut(8..) {
        tail.copy_from_slice(&[low, high, flags, 0]);
    }
    if let Some(first) = bytes.first_mut() {
        *first = family;
    }
    bytes
}
