//! Hears what is done to the links of a namespace, by whomever: their settings, addresses, neighbours and forwarding entries.
//!
//! The kernel tells each change to whoever joins its group; most do not say who did it. So a notice is a reason to look, and what is
//! right already is left alone: that is what keeps our own changes from being answered.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use hakone_base::MacAddr;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink, recv,
        socket_with, sockopt,
    },
};

use crate::{
    Error, LinkIndex,
    address::read as read_address,
    kernel::{
        AF_BRIDGE, NDA_DST, NDA_LLADDR, NDA_MASTER, NETCONFA_IFINDEX, NUD_PERMANENT, RTM_DELADDR,
        RTM_DELLINK, RTM_DELNEIGH, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH, RTM_NEWNETCONF,
        RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_NETCONF, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_NETCONF,
        RTMGRP_LINK, RTMGRP_NEIGH,
    },
    message::{Received, attributes, messages, u16_at, u32_at},
};

/// Room for a datagram of notices.
const DATAGRAM: usize = 64 * 1024;
/// Room for what happens while nobody listens; beyond it the kernel tells of a loss.
const BACKLOG: usize = 1 << 20;
/// Datagrams that one reading takes, so that a flood cannot hold the reader for ever.
const READING: usize = 1024;

/// A listener for changes of the links of one namespace.
#[derive(Debug)]
pub struct LinkMonitor {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

/// What was heard since the last reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noticed {
    /// Links that came, went or changed, or whose addresses or parameters did.
    pub links: BTreeSet<LinkIndex>,
    /// Neighbours and forwarding entries that came, went or changed, in their order.
    pub entries: Vec<Entry>,
    /// Whether notices were lost: anything may have changed.
    pub lost: bool,
}

/// A neighbour of a link, or the port behind which a bridge looks for an Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The link, or the port.
    pub link: LinkIndex,
    /// The bridge of a forwarding entry.
    pub bridge: Option<LinkIndex>,
    /// The neighbour's address; none of a forwarding entry.
    pub address: Option<IpAddr>,
    /// Its Ethernet address, where it is known.
    pub mac: Option<MacAddr>,
    /// Whether nobody on the wire can change it.
    pub permanent: bool,
    /// Whether it is no more.
    pub gone: bool,
}

impl LinkMonitor {
    /// Begins to listen in the calling thread's namespace.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn open() -> Result<Self, Error> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        // Without the privilege the ordinary limit stands; a loss is told, and everything is looked at.
        sockopt::set_socket_recv_buffer_size_force(&socket, BACKLOG).ok();
        let addresses = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
        let parameters = RTMGRP_IPV4_NETCONF | RTMGRP_IPV6_NETCONF;
        let groups = RTMGRP_LINK | RTMGRP_NEIGH | addresses | parameters;
        bind(&socket, &SocketAddrNetlink::new(0, groups))?;
        Ok(Self {
            socket,
            buffer: vec![0; DATAGRAM],
        })
    }

    /// Reads all that waits, without waiting itself.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn read(&mut self) -> Result<Noticed, Error> {
        let mut noticed = Noticed::default();
        for _ in 0..READING {
            let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
            match recv(&self.socket, &mut *self.buffer, flags) {
                Err(Errno::AGAIN) => break,
                Err(Errno::NOBUFS) => noticed.lost = true,
                received => match self.buffer.get(..received?.1) {
                    Some(datagram) => messages(datagram).for_each(|one| noticed.note(&one)),
                    None => noticed.lost = true,
                },
            }
        }
        Ok(noticed)
    }
}

impl AsFd for LinkMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for LinkMonitor {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl Noticed {
    /// Reports whether nothing was heard.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.links.is_empty() && self.entries.is_empty() && !self.lost
    }

    fn note(&mut self, message: &Received<'_>) {
        match message.kind {
            RTM_NEWLINK | RTM_DELLINK | RTM_NEWADDR | RTM_DELADDR => {
                self.links.extend(u32_at(message.payload, 4).map(LinkIndex));
            }
            RTM_NEWNETCONF => self.links.extend(parameters_of(message)),
            RTM_NEWNEIGH | RTM_DELNEIGH => self.entries.extend(entry(message)),
            _ => {}
        }
    }
}

/// Parameters of `all` and `default` have numbers below zero: no link's.
fn parameters_of(message: &Received<'_>) -> Option<LinkIndex> {
    let mut attributes = attributes(message.payload.get(4..)?);
    let (_, index) = attributes.find(|(kind, _)| *kind == NETCONFA_IFINDEX)?;
    let index = u32_at(index, 0).filter(|index| *index <= i32::MAX.unsigned_abs());
    index.map(LinkIndex)
}

/// `struct ndmsg`, then attributes.
pub(crate) fn entry(message: &Received<'_>) -> Option<Entry> {
    let mut entry = Entry {
        link: LinkIndex(u32_at(message.payload, 4)?),
        bridge: None,
        address: None,
        mac: None,
        permanent: u16_at(message.payload, 8)? & NUD_PERMANENT != 0,
        gone: message.kind == RTM_DELNEIGH,
    };
    let is_forwarding = message.payload.first() == Some(&AF_BRIDGE);
    for (kind, value) in attributes(message.payload.get(12..)?) {
        match kind {
            NDA_MASTER => entry.bridge = u32_at(value, 0).map(LinkIndex),
            NDA_DST => entry.address = read_address(value),
            NDA_LLADDR => entry.mac = value.try_into().ok().map(MacAddr::new),
            _ => {}
        }
    }
    // An entry of neither kind is of some other protocol.
    (is_forwarding == entry.address.is_none()).then_some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{add_forwarding, add_neighbour, bring_up};

    fn noticed(bytes: &[u8]) -> Noticed {
        let mut noticed = Noticed::default();
        messages(bytes).for_each(|one| noticed.note(&one));
        noticed
    }

    #[test]
    fn what_a_neighbour_is_told_to_be_is_read_back() {
        let (address, mac) = (
            "10.1.0.2".parse().unwrap(),
            MacAddr::new([2, 0, 0, 0, 0, 1]),
        );
        let told = add_neighbour(LinkIndex(7), address, mac).message.finish(1);
        let entry = Entry {
            link: LinkIndex(7),
            bridge: None,
            address: Some(address),
            mac: Some(mac),
            permanent: true,
            gone: false,
        };
        assert_eq!(noticed(&told).entries, [entry]);
    }

    #[test]
    fn a_forwarding_entry_has_a_port_and_no_address() {
        let mac = MacAddr::new([2, 0, 0, 0, 0, 1]);
        let heard = noticed(&add_forwarding(LinkIndex(9), mac).message.finish(1));
        let [entry] = heard.entries[..] else {
            panic!("{heard:?}");
        };
        assert_eq!(
            (entry.link, entry.address, entry.mac),
            (LinkIndex(9), None, Some(mac))
        );
    }

    #[test]
    fn a_link_is_named_by_its_number_and_torn_notices_are_no_notices() {
        let bytes = bring_up(LinkIndex(5)).message.finish(1);
        assert_eq!(noticed(&bytes).links, BTreeSet::from([LinkIndex(5)]));
        (0..bytes.len()).for_each(|cut| assert!(noticed(&bytes[..cut]).is_empty()));
    }
}
