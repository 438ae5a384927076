//! What a packet claims: read as far as it makes sense, believed in nothing.

use std::net::IpAddr;

use hakone_base::MacAddr;

use crate::attribute::array;

const TYPE_V4: [u8; 2] = [0x08, 0x00];
const TYPE_V6: [u8; 2] = [0x86, 0xdd];
const TYPE_ARP: [u8; 2] = [0x08, 0x06];
/// IPv6 headers that stand before what is transported; a chain longer than this is left unread.
const CHAIN: usize = 8;

/// The claims of a packet's headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Who says to have sent it, by Ethernet address.
    pub ether: Option<MacAddr>,
    /// The protocol's name or number.
    pub protocol: Option<String>,
    /// Who says to have sent it.
    pub source: Option<IpAddr>,
    /// Whom it is for.
    pub destination: Option<IpAddr>,
    /// From which port.
    pub source_port: Option<u16>,
    /// To which port.
    pub destination_port: Option<u16>,
    /// Its length as it says.
    pub length: Option<u64>,
}

/// Reads a frame: its Ethernet header, and what follows it.
#[must_use]
pub fn read_frame(ethernet: &[u8], payload: &[u8]) -> Packet {
    let ether = array(ethernet, 6).map(MacAddr::new);
    let kind = array::<2>(ethernet, 12);
    let packet = match kind {
        Some(TYPE_V4 | TYPE_V6) => read_packet(payload),
        Some(TYPE_ARP) => arp(payload),
        Some(kind) => Packet {
            protocol: Some(format!("ethertype 0x{:04x}", u16::from_be_bytes(kind))),
            ..Packet::default()
        },
        None => Packet::default(),
    };
    Packet { ether, ..packet }
}

/// Reads a packet of IPv4 or IPv6.
#[must_use]
pub fn read_packet(bytes: &[u8]) -> Packet {
    let read = match bytes.first().map(|byte| byte >> 4) {
        Some(4) => v4(bytes),
        Some(6) => v6(bytes),
        _ => None,
    };
    read.unwrap_or_default()
}

/// Names a protocol as people know it.
#[must_use]
pub(crate) fn protocol_name(number: u8) -> String {
    match number {
        1 => "icmp".into(),
        2 => "igmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        58 => "icmpv6".into(),
        132 => "sctp".into(),
        136 => "udplite".into(),
        other => other.to_string(),
    }
}

fn arp(payload: &[u8]) -> Packet {
    Packet {
        protocol: Some("arp".into()),
        source: array::<4>(payload, 14).map(IpAddr::from),
        destination: array::<4>(payload, 24).map(IpAddr::from),
        ..Packet::default()
    }
}

fn v4(bytes: &[u8]) -> Option<Packet> {
    let [first] = array(bytes, 0)?;
    let [protocol] = array(bytes, 9)?;
    let offset = u16::from_be_bytes(array(bytes, 6)?) & 0x1fff;
    let header = usize::from(first & 15) * 4;
    let transport = bytes.get(header..).filter(|_| offset == 0 && header >= 20);
    Some(with_ports(
        Packet {
            protocol: Some(protocol_name(protocol)),
            source: array::<4>(bytes, 12).map(IpAddr::from),
            destination: array::<4>(bytes, 16).map(IpAddr::from),
            length: array(bytes, 2).map(|length| u16::from_be_bytes(length).into()),
            ..Packet::default()
        },
        protocol,
        transport,
    ))
}

fn v6(bytes: &[u8]) -> Option<Packet> {
    let payload = u16::from_be_bytes(array(bytes, 4)?);
    let [next] = array(bytes, 6)?;
    let (protocol, transport) = behind(next, bytes.get(40..).unwrap_or_default());
    Some(with_ports(
        Packet {
            protocol: Some(protocol_name(protocol)),
            source: array::<16>(bytes, 8).map(IpAddr::from),
            destination: array::<16>(bytes, 24).map(IpAddr::from),
            length: Some(u64::from(payload) + 40),
            ..Packet::default()
        },
        protocol,
        transport,
    ))
}

/// Walks through extension headers; `None` when no transport header is in sight.
fn behind(mut header: u8, mut rest: &[u8]) -> (u8, Option<&[u8]>) {
    for _ in 0..CHAIN {
        let length = match header {
            0 | 43 | 60 => array(rest, 1).map(|[length]| (usize::from(length) + 1) * 8),
            44 => {
                let offset = array(rest, 2).map_or(0, u16::from_be_bytes) & 0xfff8;
                (offset == 0).then_some(8)
            }
            51 => array(rest, 1).map(|[length]| (usize::from(length) + 2) * 4),
            _ => return (header, Some(rest)),
        };
        let next = array::<1>(rest, 0);
        match (next, length.and_then(|length| rest.get(length..))) {
            (Some([next]), Some(following)) => (header, rest) = (next, following),
            (Some([next]), None) => return (next, None),
            (None, _) => return (header, None),
        }
    }
    (header, None)
}

fn with_ports(packet: Packet, protocol: u8, transport: Option<&[u8]>) -> Packet {
    let ports = transport.filter(|_| matches!(protocol, 6 | 17 | 132 | 136));
    let port = |at| array(ports?, at).map(u16::from_be_bytes);
    Packet {
        source_port: port(0),
        destination_port: port(2),
        ..packet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_behind_options_and_extension_headers_are_found() {
        let mut v4 = vec![
            0x46, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        v4.extend([0x94, 4, 0, 0, 0, 53, 0x1f, 0x90]);
        let read = read_packet(&v4);
        assert_eq!(
            (read.source_port, read.destination_port),
            (Some(53), Some(8080))
        );
        let mut v6 = vec![0x60, 0, 0, 0, 0, 16, 0, 64];
        v6.extend([0; 32]);
        v6.extend([6, 0, 1, 4, 0, 0, 0, 0, 0, 80, 0, 81]);
        let read = read_packet(&v6);
        assert_eq!(
            (read.protocol.as_deref(), read.destination_port),
            (Some("tcp"), Some(81))
        );
    }

    #[test]
    fn a_later_fragment_has_no_ports() {
        let mut v4 = vec![
            0x45, 0, 0, 28, 0, 0, 0, 1, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        v4.extend([0, 53, 0, 54]);
        assert_eq!(read_packet(&v4).destination_port, None);
    }

    #[test]
    fn a_frame_of_an_unknown_kind_is_named_by_its_number() {
        let frame = [0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 9, 0x88, 0xb5];
        let read = read_frame(&frame, &[1, 2, 3]);
        assert_eq!(read.protocol.as_deref(), Some("ethertype 0x88b5"));
        assert_eq!(read.ether.unwrap().to_string(), "02:00:00:00:00:09");
    }
}
