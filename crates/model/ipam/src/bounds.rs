//! Subnets as spans of numbers, so that both families share one arithmetic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hakone_base::Subnet;
use ipnet::IpNet;

/// The family of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// Addresses from first to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) family: Family,
    pub(crate) first: u128,
    pub(crate) last: u128,
}

impl Bounds {
    /// Spans a whole subnet.
    pub(crate) fn of(subnet: Subnet) -> Self {
        let net = subnet.net();
        Self {
            family: Family::of(net.network()),
            first: number(net.network()),
            last: number(net.broadcast()),
        }
    }

    /// Spans what endpoints may have: not the network's own address, nor the broadcast address of IPv4. A prefix of one or
    /// two addresses has neither (RFC 3021, RFC 6164).
    pub(crate) fn usable(subnet: Subnet) -> Self {
        let all = Self::of(subnet);
        let small = all.last - all.first < 2;
        match (small, all.family) {
            (true, _) => all,
            (false, Family::V4) => Self {
                first: all.first + 1,
                last: all.last - 1,
                ..all
            },
            (false, Family::V6) => Self {
                first: all.first + 1,
                ..all
            },
        }
    }

    /// Cuts to what both spans have; `None` when that is nothing.
    pub(crate) fn within(self, other: Self) -> Option<Self> {
        let first = self.first.max(other.first);
        let last = self.last.min(other.last);
        (self.family == other.family && first <= last).then_some(Self {
            first,
            last,
            ..self
        })
    }

    pub(crate) fn contains(self, address: IpAddr) -> bool {
        Family::of(address) == self.family && (self.first..=self.last).contains(&number(address))
    }

    pub(crate) fn address(self, number: u128) -> IpAddr {
        self.family.address(number)
    }
}

impl Family {
    pub(crate) const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Turns a number back; one beyond the family's size, which no span holds, becomes its last address.
    pub(crate) fn address(self, number: u128) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into(),
            Self::V6 => Ipv6Addr::from(number).into(),
        }
    }

    /// Gives the length of an address in bits.
    pub(crate) const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

/// Takes an address as a number.
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// Makes the subnet that starts at a number.
pub(crate) fn subnet_at(family: Family, first: u128, prefix: u8) -> Option<Subnet> {
    IpNet::new(family.address(first), prefix)
        .ok()
        .map(Subnet::new)
}
