//! Interfaces on top of another one: macvlan with an Ethernet address of its own, VLAN with a tag, and parents that lead nowhere.

use hakone_base::{IfName, MacAddr};

use crate::{
    LinkIndex, Request,
    kernel::{
        IFF_ALLMULTI, IFF_UP, IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINK,
        IFLA_LINKINFO, IFLA_MACVLAN_MODE, IFLA_MTU, IFLA_NET_NS_FD, IFLA_VLAN_ID,
    },
    link::{change, create, number},
    message::Message,
};
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Whom a macvlan interface reaches on its own host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacvlanMode {
    /// Nobody.
    Private,
    /// Whom the switch behind the parent sends its frames back to.
    Vepa,
    /// The others on the same parent.
    Bridge,
}

/// A macvlan interface to make.
#[derive(Clone, Debug)]
pub struct Macvlan<'a> {
    /// Its name.
    pub name: &'a IfName,
    /// The interface below.
    pub parent: LinkIndex,
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Its largest packet.
    pub mtu: u32,
    /// Whom it reaches.
    pub mode: MacvlanMode,
    /// The namespace it is made in; `None` is this one.
    pub netns: Option<BorrowedFd<'a>>,
}

/// Makes a macvlan interface, down.
pub fn add_macvlan(macvlan: &Macvlan<'_>) -> Request {
    let mode = match macvlan.mode {
        MacvlanMode::Private => 1,
        MacvlanMode::Vepa => 2,
        MacvlanMode::Bridge => 4,
    };
    let mut message = on_top(macvlan.name, macvlan.parent, "macvlan", |data| {
        data.number(IFLA_MACVLAN_MODE, mode)
    });
    message = message
        .attribute(IFLA_ADDRESS, &macvlan.mac.octets())
        .number(IFLA_MTU, macvlan.mtu);
    if let Some(netns) = macvlan.netns {
        message = message.attribute(IFLA_NET_NS_FD, &netns.as_raw_fd().to_ne_bytes());
    }
    Request::new("add macvlan", macvlan.name.as_str(), message)
}

/// Makes an interface for the frames of a parent that carry a tag, down.
pub fn add_vlan(name: &IfName, parent: LinkIndex, tag: u16) -> Request {
    let message = on_top(name, parent, "vlan", |data| {
        data.attribute(IFLA_VLAN_ID, &tag.to_ne_bytes())
    });
    Request::new("add vlan", name.as_str(), message)
}

/// Makes an interface that leads nowhere, of a kind that the kernel may or may not have: `dummy`, or a `bridge` without ports.
pub fn add_nowhere(name: &IfName, kind: &'static str) -> Request {
    let message = create()
        .text(IFLA_IFNAME, name.as_str())
        .nested(IFLA_LINKINFO, |info| info.text(IFLA_INFO_KIND, kind));
    Request::new("add link", name.as_str(), message)
}

/// Brings a link up that hears every group's frames: who listens to which is known behind it only.
pub fn bring_up_for_all_groups(link: LinkIndex) -> Request {
    let flags = IFF_UP | IFF_ALLMULTI;
    Request::new("bring up link", number(link), change(link, flags, flags))
}

pub(crate) fn on_top(
    name: &IfName,
    parent: LinkIndex,
    kind: &str,
    data: impl FnOnce(Message) -> Message,
) -> Message {
    create()
        .text(IFLA_IFNAME, name.as_str())
        .number(IFLA_LINK, parent.0)
        .nested(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, kind).nested(IFLA_INFO_DATA, data)
        })
}
