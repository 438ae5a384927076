//! Routes of the main table.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::{
    LinkIndex, Request,
    address::{family, octets},
    kernel::{
        NLM_F_CREATE, NLM_F_REPLACE, RT_SCOPE_LINK, RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, RTA_DST,
        RTA_GATEWAY, RTA_OIF, RTM_DELROUTE, RTM_NEWROUTE, RTN_UNICAST, RTPROT_BOOT,
    },
    message::Message,
    request::acknowledged,
};

/// Leads everything without a better route to a gateway.
pub fn default_route(link: LinkIndex, gateway: IpAddr) -> Request {
    add_route(link, everything(gateway), Some(gateway))
}

/// Leads a subnet over a link, directly or through a gateway; replaces what led there before.
pub fn add_route(link: LinkIndex, to: IpNet, gateway: Option<IpAddr>) -> Request {
    let scope = match gateway {
        Some(_) => RT_SCOPE_UNIVERSE,
        None => RT_SCOPE_LINK,
    };
    let flags = acknowledged(NLM_F_CREATE | NLM_F_REPLACE);
    let mut message = route(RTM_NEWROUTE, flags, to, scope).number(RTA_OIF, link.0);
    if let Some(gateway) = gateway {
        message = message.attribute(RTA_GATEWAY, &octets(gateway));
    }
    Request::new("add route to", to.to_string(), message)
}

/// Removes the route to a subnet.
pub fn delete_route(to: IpNet) -> Request {
    let message = route(RTM_DELROUTE, acknowledged(0), to, RT_SCOPE_UNIVERSE);
    Request::new("delete route to", to.to_string(), message)
}

fn route(kind: u16, flags: u16, to: IpNet, scope: u8) -> Message {
    // struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
    let mut fixed = vec![family(to.addr()), to.prefix_len(), 0, 0];
    fixed.extend_from_slice(&[RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST, 0, 0, 0, 0]);
    let message = Message::new(kind, flags, &fixed);
    match to.prefix_len() {
        0 => message,
        _ => message.attribute(RTA_DST, &octets(to.network())),
    }
}

fn everything(like: IpAddr) -> IpNet {
    match like {
        IpAddr::V4(_) => IpNet::V4(ipnet::Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
        IpAddr::V6(_) => IpNet::V6(ipnet::Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
    }
}
