//! Addresses of interfaces.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{
    LinkIndex, Request,
    kernel::{
        AF_INET, AF_INET6, IFA_ADDRESS, IFA_BROADCAST, IFA_F_NODAD, IFA_LOCAL, NLM_F_CREATE,
        NLM_F_REPLACE, RTM_NEWADDR,
    },
    message::Message,
    request::acknowledged,
};

/// Gives a link an address with its prefix.
///
/// Duplicate address detection is off: we own the subnet, and a neighbour could answer every probe (attack `dad_denial`).
pub fn add_address(link: LinkIndex, address: IpNet) -> Request {
    let flags = match address {
        IpNet::V4(_) => 0,
        IpNet::V6(_) => IFA_F_NODAD,
    };
    let mut fixed = vec![family(address.addr()), address.prefix_len(), flags, 0];
    fixed.extend_from_slice(&link.0.to_ne_bytes());
    let octets = octets(address.addr());
    let mut message = Message::new(
        RTM_NEWADDR,
        acknowledged(NLM_F_CREATE | NLM_F_REPLACE),
        &fixed,
    )
    .attribute(IFA_LOCAL, &octets)
    .attribute(IFA_ADDRESS, &octets);
    if let IpNet::V4(net) = address
        && net.prefix_len() < 31
    {
        message = message.attribute(IFA_BROADCAST, &net.broadcast().octets());
    }
    Request::new("add address", address.to_string(), message)
}

pub(crate) fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => AF_INET,
        IpAddr::V6(_) => AF_INET6,
    }
}

pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Reads an address of the length that its family has.
pub(crate) fn read(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}
