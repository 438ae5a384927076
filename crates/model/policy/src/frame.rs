//! A frame as a container sends it: real bytes, and the places in them that rules of a bridge look at.
//!
//! The model, the kernel test and the kernel see the same bytes. What lies where is read as nftables reads it; the promises in
//! `intent/frame.rs` read the bytes on their own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hakone_base::{IfName, MacAddr};

use crate::ruleset::{Field, Hook, IpFamily, Value};

use IpFamily::{V4, V6};

/// Length of an Ethernet header without a tag.
const ETHERNET: usize = 14;
/// Length of an IPv6 header.
const IPV6: usize = 40;
/// Ethernet types of IPv4 and IPv6.
const TYPE_V4: [u8; 2] = [0x08, 0x00];
const TYPE_V6: [u8; 2] = [0x86, 0xdd];
/// Headers that stand between IPv6 and what it transports, as the kernel walks them (`ipv6_ext_hdr`).
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NOTHING: u8 = 59;
const OPTIONS: u8 = 60;

/// A frame that comes into a bridge by one of its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The port.
    pub port: IfName,
    /// Everything from the destination address on, tags included, the checksum not.
    pub bytes: Vec<u8>,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Nobody sees it.
    Dropped,
    /// It goes where it was sent.
    Switched,
    /// It goes to the host under this address, which routes and judges it.
    Led(MacAddr),
}

/// What a packet transports, and where that begins.
struct Transport {
    protocol: u8,
    offset: usize,
    /// Whether it is a later fragment, which has no transport header.
    is_tail: bool,
}

impl Frame {
    /// Gives the hook at which rules see the frame; `None` when the bridge drops it before any rule.
    ///
    /// Addresses that bridges keep for themselves go to the host alone, past `prerouting`. Spanning tree's own does not, for
    /// our bridges speak none.
    pub(crate) fn hook(&self) -> Option<Hook> {
        match self.get::<6>(0)? {
            [0x01, 0x80, 0xc2, 0, 0, 1] => None,
            [0x01, 0x80, 0xc2, 0, 0, 2..=15] => Some(Hook::Input),
            _ => Some(Hook::Prerouting),
        }
    }

    /// Reads a field; `None` when the frame has none or is too short.
    pub(crate) fn field(&self, field: Field) -> Option<Value> {
        match field {
            Field::InputInterface => Some(Value::IfName(self.port.clone())),
            Field::EtherGroup => self.raw::<5>(0),
            Field::EtherSource => Some(Value::Ether(MacAddr::new(self.get(6)?))),
            Field::EtherType => self.raw::<2>(12),
            Field::ArpFormat => self.raw::<6>(ETHERNET),
            Field::ArpEther => Some(Value::Ether(MacAddr::new(self.get(ETHERNET + 8)?))),
            Field::ArpSource => self.address_v4(14),
            Field::Source(V4) => self.of(V4)?.address_v4(12),
            Field::Destination(V4) => self.of(V4)?.address_v4(16),
            Field::Source(V6) => self.of(V6)?.address_v6(8),
            Field::Destination(V6) => self.of(V6)?.address_v6(24),
            Field::HeaderLength => self.raw::<1>(ETHERNET),
            Field::FirstOption => self.raw::<4>(ETHERNET + 20),
            Field::DestinationClass => self.masked(ETHERNET + 16, field),
            Field::FragmentOffset => self.masked(ETHERNET + 6, field),
            Field::FragmentOffset6 => self.masked(ETHERNET + 42, field),
            Field::NextHeader => Some(Value::Protocol(self.of(V6)?.get::<1>(ETHERNET + 6)?[0])),
            Field::InnerHeader => self.raw::<1>(ETHERNET + 40),
            Field::InnerHead => self.raw::<2>(ETHERNET + 40),
            Field::InnerType => self.raw::<1>(ETHERNET + 48),
            Field::NeighbourTarget => {
                let target = Ipv6Addr::from(self.get::<16>(ETHERNET + 48)?);
                Some(Value::Target(target.into()))
            }
            Field::Reported(V4) => {
                let target = Ipv4Addr::from(self.transported::<4>(24)?);
                Some(Value::Target(target.into()))
            }
            Field::Reported(V6) => {
                let target = Ipv6Addr::from(self.transported::<16>(32)?);
                Some(Value::Target(target.into()))
            }
            Field::Protocol => Some(Value::Protocol(self.transport()?.protocol)),
            Field::SourcePort => Some(Value::Port(u16::from_be_bytes(self.transported(0)?))),
            Field::DestinationPort => Some(Value::Port(u16::from_be_bytes(self.transported(2)?))),
            Field::IgmpType | Field::IcmpType => Some(Value::Raw(self.transported::<1>(0)?.into())),
            Field::Icmp6Type => Some(Value::Icmp6Type(self.transported::<1>(0)?[0])),
            Field::TcpFlags => Some(Value::Raw(vec![self.transported::<1>(13)?[0] & 0x17])),
            Field::OutputInterface | Field::NextHop(_) => None,
        }
    }

    fn of(&self, family: IpFamily) -> Option<&Self> {
        let wanted = match family {
            V4 => TYPE_V4,
            V6 => TYPE_V6,
        };
        (self.get::<2>(12)? == wanted).then_some(self)
    }

    /// Finds the transport header as the kernel does: through the options of IPv4, through the headers of IPv6.
    fn transport(&self) -> Option<Transport> {
        match self.get::<2>(12)? {
            TYPE_V4 => {
                let offset = ETHERNET + self.header_v4()?;
                let fragment = u16::from_be_bytes(self.get(ETHERNET + 6)?) & 0x1fff;
                Some(Transport {
                    protocol: self.get::<1>(ETHERNET + 9)?[0],
                    offset,
                    is_tail: fragment != 0,
                })
            }
            TYPE_V6 => self.behind(self.get::<1>(ETHERNET + 6)?[0], ETHERNET + IPV6),
            _ => None,
        }
    }

    /// Walks on from a header of IPv6.
    fn behind(&self, mut header: u8, mut offset: usize) -> Option<Transport> {
        loop {
            let [next, length] = match header {
                HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | OPTIONS => self.get(offset)?,
                protocol => {
                    return Some(Transport {
                        protocol,
                        offset,
                        is_tail: false,
                    });
                }
            };
            let length = usize::from(length);
            if header == FRAGMENT && u16::from_be_bytes(self.get(offset + 2)?) & 0xfff8 != 0 {
                let known = !is_extension(next) || next == NOTHING;
                return known.then_some(Transport {
                    protocol: next,
                    offset: offset + 8,
                    is_tail: true,
                });
            }
            offset += match header {
                FRAGMENT => 8,
                AUTHENTICATION => (length + 2) * 4,
                _ => (length + 1) * 8,
            };
            header = next;
        }
    }

    fn transported<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let transport = self.transport().filter(|transport| !transport.is_tail)?;
        self.get(transport.offset + at)
    }

    /// Gives the length of the IPv4 header, when it is one.
    fn header_v4(&self) -> Option<usize> {
        let first = self.get::<1>(ETHERNET)?[0];
        let length = usize::from(first & 15) * 4;
        let whole = self.bytes.len() >= ETHERNET + length;
        (first >> 4 == 4 && length >= 20 && whole).then_some(length)
    }

    fn address_v4(&self, at: usize) -> Option<Value> {
        let bytes: [u8; 4] = self.get(ETHERNET + at)?;
        Some(Value::Address(IpAddr::from(bytes)))
    }

    fn address_v6(&self, at: usize) -> Option<Value> {
        let bytes: [u8; 16] = self.get(ETHERNET + at)?;
        Some(Value::Address(IpAddr::from(bytes)))
    }

    fn raw<const N: usize>(&self, at: usize) -> Option<Value> {
        Some(Value::Raw(self.get::<N>(at)?.into()))
    }

    fn masked(&self, at: usize, field: Field) -> Option<Value> {
        let bits = field.bits()?;
        let bytes = self.bytes.get(at..at + bits.len())?;
        let masked = bytes.iter().zip(bits).map(|(byte, bits)| byte & bits);
        Some(Value::Raw(masked.collect()))
    }

    fn get<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..at + N)?.try_into().ok()
    }
}

const fn is_extension(header: u8) -> bool {
    matches!(
        header,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | NOTHING | OPTIONS
    )
}
