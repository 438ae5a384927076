//! Addresses of links and networks: MAC addresses, subnets, interface names.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddr([u8; 6]);

/// Why a text is not a unicast MAC address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid MAC address: {0}")]
pub struct MacAddrError(String);

impl MacAddr {
    /// Takes six bytes as they stand on the wire.
    #[must_use]
    pub const fn new(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }

    /// Derives Docker's address for an IPv4 endpoint: `02:42` and the four bytes of the address.
    #[must_use]
    pub const fn of_ipv4(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x02, 0x42, a, b, c, d])
    }

    /// Gives the six bytes.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Derives the IPv6 address that an interface gives itself on its link (RFC 4291, modified EUI-64).
    #[must_use]
    pub const fn link_local(self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        const fn pair(high: u8, low: u8) -> u16 {
            u16::from_be_bytes([high, low])
        }
        Ipv6Addr::new(
            0xfe80,
            0,
            0,
            0,
            pair(a ^ 2, b),
            pair(c, 0xff),
            pair(0xfe, d),
            pair(e, f),
        )
    }
}

impl FromStr for MacAddr {
    type Err = MacAddrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || MacAddrError(text.to_owned());
        let mut bytes = [0_u8; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts
                .next()
                .filter(|part| part.len() == 2)
                .ok_or_else(refuse)?;
            *byte = u8::from_str_radix(part, 16).ok().ok_or_else(refuse)?;
        }
        match parts.next() {
            None => Ok(Self(bytes)),
            Some(_) => Err(refuse()),
        }
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl TryFrom<String> for MacAddr {
    type Error = MacAddrError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MacAddr> for String {
    fn from(mac: MacAddr) -> Self {
        mac.to_string()
    }
}

/// A network prefix with its host bits cleared, `172.18.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet(IpNet);

/// Why a text is not a subnet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid CIDR address: {0}")]
pub struct SubnetError(String);

impl Subnet {
    /// Clears the host bits of a prefix.
    #[must_use]
    pub fn new(net: IpNet) -> Self {
        Self(net.trunc())
    }

    /// Gives the prefix.
    #[must_use]
    pub fn net(&self) -> IpNet {
        self.0
    }

    /// Gives the first address, the network's own.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.0.network()
    }

    /// Gives the prefix length.
    #[must_use]
    pub fn prefix_len(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Reports whether the address lies inside.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Reports whether the two share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.contains(&other.0) || other.0.contains(&self.0)
    }

    /// Reports whether this is an IPv6 prefix.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        matches!(self.0, IpNet::V6(_))
    }
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<IpNet>()
            .map(Self::new)
            .ok()
            .ok_or_else(|| SubnetError(text.to_owned()))
    }
}

impl TryFrom<String> for Subnet {
    type Error = SubnetError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A network interface's name: 1 to 15 bytes, no slash, no white space (`IFNAMSIZ`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IfName(Box<str>);

/// The name of a bridge interface on the host.
pub type BridgeName = IfName;

/// Why a text is not an interface name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid interface name: {0:?}")]
pub struct IfNameError(String);

impl IfName {
    /// Gives the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IfName {
    type Err = IfNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let odd = |b: u8| b == b'/' || b == b':' || b == b'"' || !b.is_ascii_graphic();
        let fits =
            (1..=15).contains(&text.len()) && text != "." && text != ".." && !text.bytes().any(odd);
        match fits {
            true => Ok(Self(text.into())),
            false => Err(IfNameError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for IfName {
    type Error = IfNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<IfName> for String {
    fn from(name: IfName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_clears_host_bits_and_finds_overlaps() {
        let wide: Subnet = "172.18.5.1/16".parse().unwrap();
        assert_eq!(wide.to_string(), "172.18.0.0/16");
        assert!(wide.overlaps(&"172.18.9.0/24".parse().unwrap()));
        assert!(!wide.overlaps(&"172.19.0.0/16".parse().unwrap()));
    }

    #[test]
    fn a_mac_address_prints_what_was_parsed() {
        let mac: MacAddr = "02:42:AC:11:00:02".parse().unwrap();
        assert_eq!(mac, MacAddr::of_ipv4(Ipv4Addr::new(172, 17, 0, 2)));
        assert_eq!(mac.to_string(), "02:42:ac:11:00:02");
        assert!("02:42:ac:11:00".parse::<MacAddr>().is_err());
    }

    #[test]
    fn an_interface_name_fits_the_kernel() {
        assert!("hakone0".parse::<IfName>().is_ok());
        assert!("sixteen-letters-".parse::<IfName>().is_err());
        assert!("a/b".parse::<IfName>().is_err());
    }
}
