//! Where an address lies: outside, in somebody's own network, on this very host, or nowhere that a registry can be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The part of the world that an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Reachable from everywhere.
    Public,
    /// In a private network: RFC 1918, shared address space, unique local addresses.
    Private,
    /// On this host.
    Loopback,
    /// On this link alone; clouds serve the machine's own secrets there.
    LinkLocal,
    /// No host: unspecified, multicast, reserved.
    Nowhere,
}

/// Serves a virtual machine its own secrets as link-local addresses do, but is a public address (Azure).
const WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

impl Place {
    /// Tells where an address lies; one that carries an IPv4 address lies where that does.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => match carried(address) {
                Some(inner) => Self::of_v4(inner),
                None => Self::of_v6(address),
            },
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            _ if address == WIRE_SERVER => Self::LinkLocal,
            [127, ..] => Self::Loopback,
            [169, 254, ..] => Self::LinkLocal,
            [10, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            | [100, 64..=127, ..]
            | [198, 18..=19, ..] => Self::Private,
            [0, ..] | [192, 0, 0, _] | [224..=255, ..] => Self::Nowhere,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            [0xfe80..=0xfebf, ..] => Self::LinkLocal,
            [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Self::Private,
            [0, 0, 0, 0, 0, 0, 0, 0] | [0xff00..=0xffff, ..] | [0x0100, 0, 0, 0, ..] => {
                Self::Nowhere
            }
            _ => Self::Public,
        }
    }
}

/// Finds the IPv4 address in a mapped, compatible, translated (RFC 6052) or 6to4 address.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0..=1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => join(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        Place::of(text.parse().unwrap())
    }

    #[test]
    fn addresses_lie_where_they_lie() {
        for (address, meant) in [
            ("127.0.0.1", Place::Loopback),
            ("127.9.9.9", Place::Loopback),
            ("::1", Place::Loopback),
            ("169.254.169.254", Place::LinkLocal),
            ("168.63.129.16", Place::LinkLocal),
            ("fe80::1", Place::LinkLocal),
            ("10.99.0.1", Place::Private),
            ("100.100.100.200", Place::Private),
            ("fd00:ec2::254", Place::Private),
            ("0.0.0.0", Place::Nowhere),
            ("255.255.255.255", Place::Nowhere),
            ("ff02::1", Place::Nowhere),
            ("34.1.2.3", Place::Public),
            ("2600::1", Place::Public),
        ] {
            assert_eq!(place(address), meant, "{address}");
        }
    }

    #[test]
    fn an_address_in_disguise_lies_where_the_one_inside_does() {
        for disguised in [
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ] {
            assert_eq!(place(disguised), Place::Loopback, "{disguised}");
        }
        assert_eq!(place("::ffff:169.254.169.254"), Place::LinkLocal);
    }
}
