//! Builds frames, byte by byte, and finds their marks again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hakone_base::MacAddr;

/// The Ethernet address of everybody.
pub(crate) const ALL: MacAddr = MacAddr::new([0xff; 6]);
pub(crate) const TYPE_V4: u16 = 0x0800;
pub(crate) const TYPE_ARP: u16 = 0x0806;
pub(crate) const TYPE_V6: u16 = 0x86dd;
pub(crate) const ICMP: u8 = 1;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMP6: u8 = 58;
/// The port that marked datagrams go to.
pub(crate) const PORT: u16 = 7000;

/// What makes the frames of one run known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub u64);

impl Mark {
    /// Gives the bytes that stand in a frame.
    #[must_use]
    pub fn of(self, name: &str) -> Vec<u8> {
        let mut bytes = format!("HAKONE-TRIAL:{:016x}:{name};", self.0).into_bytes();
        // Some frames are padded; the mark is longer than any padding.
        bytes.resize(bytes.len().max(48), b'.');
        bytes
    }

    /// Finds the name in whatever arrived.
    #[must_use]
    pub fn find(self, bytes: &[u8]) -> Option<String> {
        let head = format!("HAKONE-TRIAL:{:016x}:", self.0).into_bytes();
        let at = bytes
            .windows(head.len())
            .position(|window| window == head)?;
        let rest = bytes.get(at + head.len()..)?;
        let end = rest.iter().take(64).position(|byte| *byte == b';')?;
        String::from_utf8(rest.get(..end)?.to_vec()).ok()
    }
}

pub(crate) fn ether(to: MacAddr, from: MacAddr, kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [to.octets(), from.octets()].concat();
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame.resize(frame.len().max(60), 0);
    frame
}

/// ARP, with a mark behind it that nobody reads but who looks for it.
pub(crate) fn arp(
    operation: u16,
    (mac, address): (MacAddr, Ipv4Addr),
    target: Ipv4Addr,
    mark: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![0, 1, 8, 0, 6, 4];
    bytes.extend(operation.to_be_bytes());
    bytes.extend(mac.octets());
    bytes.extend(address.octets());
    bytes.extend([0; 6]);
    bytes.extend(target.octets());
    bytes.extend(mark);
    bytes
}

/// An IPv4 packet; options fill whole words.
pub(crate) fn v4(
    from: Ipv4Addr,
    to: Ipv4Addr,
    protocol: u8,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let words = u8::try_from(5 + options.len() / 4).unwrap_or(5);
    let length = u16::try_from(20 + options.len() + payload.len()).unwrap_or(u16::MAX);
    let [high, low] = length.to_be_bytes();
    let mut header = vec![0x40 | words, 0, high, low, 0, 7, 0, 0, 64, protocol, 0, 0];
    header.extend(from.octets());
    header.extend(to.octets());
    header.extend(options);
    let sum = checksum(&header);
    if let Some(place) = header.get_mut(10..12) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
    header.extend(payload);
    header
}

pub(crate) fn v6(from: Ipv6Addr, to: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend(
        u16::try_from(payload.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes(),
    );
    bytes.extend([next, 255]);
    bytes.extend(from.octets());
    bytes.extend(to.octets());
    bytes.extend(payload);
    bytes
}

/// A datagram over either; over IPv4 it needs no sum.
pub(crate) fn udp((from, to): (IpAddr, IpAddr), ports: (u16, u16), data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap_or(u16::MAX);
    let mut bytes = [ports.0, ports.1, length, 0].map(u16::to_be_bytes).concat();
    bytes.extend(data);
    if let (IpAddr::V6(from), IpAddr::V6(to)) = (from, to) {
        let sum = match checksum(&with_ends(from, to, UDP, &bytes)) {
            0 => u16::MAX,
            sum => sum,
        };
        set(&mut bytes, 6, sum);
    }
    bytes
}

pub(crate) fn icmp(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend(rest);
    let sum = checksum(&bytes);
    set(&mut bytes, 2, sum);
    bytes
}

pub(crate) fn icmp6(from: Ipv6Addr, to: Ipv6Addr, kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend(rest);
    let sum = checksum(&with_ends(from, to, ICMP6, &bytes));
    set(&mut bytes, 2, sum);
    bytes
}

fn set(bytes: &mut [u8], at: usize, sum: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
}

fn with_ends(from: Ipv6Addr, to: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [from.octets(), to.octets()].concat();
    bytes.extend(u32::try_from(payload.len()).unwrap_or(0).to_be_bytes());
    bytes.extend([0, 0, 0, next]);
    bytes.extend(payload);
    bytes
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_wherever_it_lies_and_only_that_of_the_run() {
        let mark = Mark(7);
        let bytes = [&[1, 2, 3][..], &mark.of("arp_spoof"), &[0; 9]].concat();
        assert_eq!(mark.find(&bytes).as_deref(), Some("arp_spoof"));
        assert_eq!(Mark(8).find(&bytes), None);
        assert_eq!(mark.find(b"HAKONE-TRIAL:0000000000000007:torn"), None);
    }

    #[test]
    fn sums_are_those_of_the_standards() {
        let from = Ipv4Addr::new(172, 16, 10, 99);
        let packet = v4(from, Ipv4Addr::new(172, 16, 10, 12), UDP, &[], &[]);
        assert_eq!(
            checksum(&packet),
            0,
            "a header with its sum sums up to nothing"
        );
        let (a, b) = (Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
        let packet = icmp6(a, b, 128, &[0, 1, 0, 2]);
        assert_eq!(checksum(&with_ends(a, b, ICMP6, &packet)), 0);
    }
}
