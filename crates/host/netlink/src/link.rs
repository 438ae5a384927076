//! Links: bridges, pairs of virtual Ethernet interfaces, and what one does with any link.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use hakone_base::{BridgeName, IfName, MacAddr};

use crate::{
    LinkIndex, Request,
    kernel::{
        AF_UNSPEC, IFF_UP, IFLA_ADDRESS, IFLA_BR_AGEING_TIME, IFLA_BR_FORWARD_DELAY,
        IFLA_BR_MCAST_QUERIER, IFLA_BR_MCAST_SNOOPING, IFLA_BR_STP_STATE, IFLA_IFNAME,
        IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU, IFLA_NET_NS_FD,
        NLM_F_CREATE, NLM_F_EXCL, RTM_DELLINK, RTM_NEWLINK, VETH_INFO_PEER,
    },
    message::Message,
    request::acknowledged,
};

/// Time after which a bridge forgets a learned address, in hundredths of a second (the kernel's own default).
const AGEING: u32 = 30_000;

/// A bridge to make.
#[derive(Clone, Debug)]
pub struct Bridge<'a> {
    /// Its name.
    pub name: &'a BridgeName,
    /// Its Ethernet address; `None` lets the kernel choose, and change it with the ports.
    pub mac: Option<MacAddr>,
    /// Its largest packet.
    pub mtu: u32,
}

/// A pair of virtual Ethernet interfaces to make: one end here, the other in another namespace.
#[derive(Clone, Debug)]
pub struct Veth<'a> {
    /// The name of the end in this namespace.
    pub name: &'a IfName,
    /// The bridge of which it becomes a port, if any.
    pub bridge: Option<LinkIndex>,
    /// The largest packet of both ends.
    pub mtu: u32,
    /// The other end.
    pub peer: Peer<'a>,
}

/// The end of a pair in the other namespace.
#[derive(Clone, Debug)]
pub struct Peer<'a> {
    /// Its name there.
    pub name: &'a IfName,
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// The namespace.
    pub netns: BorrowedFd<'a>,
}

/// Makes a bridge: no spanning tree, multicast snooping with the bridge as querier. VLAN filtering is off unless asked for,
/// and kernels without it refuse to hear of it.
pub fn add_bridge(bridge: &Bridge<'_>) -> Request {
    let options = |data: Message| {
        data.number(IFLA_BR_FORWARD_DELAY, 0)
            .number(IFLA_BR_AGEING_TIME, AGEING)
            .number(IFLA_BR_STP_STATE, 0)
            .switch(IFLA_BR_MCAST_SNOOPING, true)
            .switch(IFLA_BR_MCAST_QUERIER, true)
    };
    let mut message = create()
        .text(IFLA_IFNAME, bridge.name.as_str())
        .number(IFLA_MTU, bridge.mtu)
        .nested(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, "bridge")
                .nested(IFLA_INFO_DATA, options)
        });
    if let Some(mac) = bridge.mac {
        message = message.attribute(IFLA_ADDRESS, &mac.octets());
    }
    Request::new("add bridge", bridge.name.as_str(), message)
}

/// Makes a pair, both ends down: the kernel refuses `IFF_UP` for a peer in the making.
pub fn add_veth(veth: &Veth<'_>) -> Request {
    let peer = |data: Message| {
        data.nested(VETH_INFO_PEER, |peer| {
            peer.raw(&ifinfomsg(AF_UNSPEC, 0, 0, 0))
                .text(IFLA_IFNAME, veth.peer.name.as_str())
                .attribute(IFLA_ADDRESS, &veth.peer.mac.octets())
                .number(IFLA_MTU, veth.mtu)
                .attribute(IFLA_NET_NS_FD, &veth.peer.netns.as_raw_fd().to_ne_bytes())
        })
    };
    let mut message = create()
        .text(IFLA_IFNAME, veth.name.as_str())
        .number(IFLA_MTU, veth.mtu)
        .nested(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, "veth")
                .nested(IFLA_INFO_DATA, peer)
        });
    if let Some(bridge) = veth.bridge {
        message = message.number(IFLA_MASTER, bridge.0);
    }
    Request::new("add link", veth.name.as_str(), message)
}

/// Brings a link up.
pub fn bring_up(link: LinkIndex) -> Request {
    Request::new("bring up link", number(link), change(link, IFF_UP, IFF_UP))
}

/// Brings a link up by its name.
pub fn bring_up_named(name: &IfName) -> Request {
    let message = change(LinkIndex(0), IFF_UP, IFF_UP).text(IFLA_IFNAME, name.as_str());
    Request::new("bring up link", name.as_str(), message)
}

/// Takes a link down.
pub fn bring_down(link: LinkIndex) -> Request {
    Request::new("take down link", number(link), change(link, 0, IFF_UP))
}

/// Makes a link a port of a bridge, out of whichever it was one of.
pub fn plug_into(bridge: LinkIndex, link: LinkIndex) -> Request {
    let message = change(link, 0, 0).number(IFLA_MASTER, bridge.0);
    Request::new("plug in link", number(link), message)
}

/// Gives a link, which must be down, another name.
pub fn rename(link: LinkIndex, name: &IfName) -> Request {
    let message = change(link, 0, 0).text(IFLA_IFNAME, name.as_str());
    Request::new("rename link to", name.as_str(), message)
}

/// Sets the largest packet of a link.
pub fn set_mtu(link: LinkIndex, mtu: u32) -> Request {
    let message = change(link, 0, 0).number(IFLA_MTU, mtu);
    Request::new("set MTU of link", number(link), message)
}

/// Sets the Ethernet address of a link.
pub fn set_mac(link: LinkIndex, mac: MacAddr) -> Request {
    let message = change(link, 0, 0).attribute(IFLA_ADDRESS, &mac.octets());
    Request::new("set address of link", number(link), message)
}

/// Moves a link, which must be down, into another namespace under a name that is free there.
pub fn move_to(link: LinkIndex, netns: BorrowedFd<'_>, name: &IfName) -> Request {
    let message = change(link, 0, 0)
        .text(IFLA_IFNAME, name.as_str())
        .attribute(IFLA_NET_NS_FD, &netns.as_raw_fd().to_ne_bytes());
    Request::new("move link as", name.as_str(), message)
}

/// Deletes a link by name; a pair loses both ends.
pub fn delete_link(name: &IfName) -> Request {
    let fixed = ifinfomsg(AF_UNSPEC, 0, 0, 0);
    let message = Message::new(RTM_DELLINK, acknowledged(0), &fixed);
    Request::new(
        "delete link",
        name.as_str(),
        message.text(IFLA_IFNAME, name.as_str()),
    )
}

/// `struct ifinfomsg`.
pub(crate) fn ifinfomsg(family: u8, index: u32, flags: u32, mask: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    let words = [u32::from_ne_bytes([family, 0, 0, 0]), index, flags, mask];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

pub(crate) fn create() -> Message {
    let flags = acknowledged(NLM_F_CREATE | NLM_F_EXCL);
    Message::new(RTM_NEWLINK, flags, &ifinfomsg(AF_UNSPEC, 0, 0, 0))
}

pub(crate) fn change(link: LinkIndex, flags: u32, mask: u32) -> Message {
    let fixed = ifinfomsg(AF_UNSPEC, link.0, flags, mask);
    Message::new(RTM_NEWLINK, acknowledged(0), &fixed)
}

pub(crate) fn number(link: LinkIndex) -> String {
    format!("number {}", link.0)
}
