//! Says from first principles which frames a container may send: promise by promise, with no rule in sight.
//!
//! Reads the bytes on its own. What is no whole packet may pass or not: nobody believes it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hakone_base::{IfName, MacAddr};

use crate::{
    frame::{Frame, Passage},
    topology::{Bridge, Endpoint, Multicast, Topology},
};

/// A pause ends at the next machine, whoever sent it.
const PAUSE: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 1];

/// What a sender is.
struct Sender<'a> {
    endpoint: &'a Endpoint,
    multicast: bool,
}

impl Topology {
    /// Says what should become of a frame.
    #[must_use]
    pub fn passage(&self, frame: &Frame) -> Passage {
        match self.admits(frame) {
            false => Passage::Dropped,
            true => match self.bridge_of(&frame.port) {
                Some(bridge) if self.is_judged(bridge) && is_packet(&frame.bytes) => {
                    Passage::Led(bridge.mac)
                }
                Some(_) | None => Passage::Switched,
            },
        }
    }

    fn bridge_of(&self, port: &IfName) -> Option<&Bridge> {
        let member = |bridge: &Bridge| bridge.endpoints.iter().any(|one| one.port == *port);
        self.bridges.iter().find(|bridge| member(bridge))
    }

    /// Says whether a frame should get into its bridge.
    fn admits(&self, frame: &Frame) -> bool {
        let ours = frame.port.as_str().starts_with("hk");
        let Some((ether, content)) = frame.bytes.split_at_checked(12) else {
            return false;
        };
        let from = ether.get(6..).unwrap_or_default();
        let Some(sender) = self.sender(&frame.port) else {
            return !ours && !ether.starts_with(&PAUSE);
        };
        is_for_anybody(ether) && sender.may_send(from, content)
    }

    fn sender(&self, port: &IfName) -> Option<Sender<'_>> {
        let bridge = self.bridge_of(port)?;
        let endpoint = bridge.endpoints.iter().find(|one| one.port == *port)?;
        Some(Sender {
            endpoint,
            multicast: bridge.multicast == Multicast::Allowed,
        })
    }
}

/// What carries something to somebody: not ARP, and not what finds neighbours by IPv6.
fn is_packet(bytes: &[u8]) -> bool {
    match bytes.get(12..) {
        Some([0x08, 0x00, ..]) => true,
        Some([0x86, 0xdd, packet @ ..]) => {
            !matches!((packet.get(6), packet.get(40)), (Some(58), Some(135 | 136)))
        }
        Some(_) | None => false,
    }
}

/// Bridges talk to each other under these addresses; all but the first reach the host itself.
fn is_for_anybody(ether: &[u8]) -> bool {
    !matches!(ether, [0x01, 0x80, 0xc2, 0, 0, 1..=15, ..])
}

impl Sender<'_> {
    fn may_send(&self, from: &[u8], content: &[u8]) -> bool {
        from == self.endpoint.mac.octets()
            && match content {
                [0x08, 0x00, packet @ ..] => self.may_send_v4(packet),
                [0x86, 0xdd, packet @ ..] => self.may_send_v6(packet),
                [0x08, 0x06, packet @ ..] => self.may_resolve(packet),
                _ => false,
            }
    }

    /// An ARP packet speaks of its sender.
    fn may_resolve(&self, packet: &[u8]) -> bool {
        let [0, 1, 8, 0, 6, 4, _, _, rest @ ..] = packet else {
            return false;
        };
        let Some((ether, rest)) = rest.split_first_chunk::<6>() else {
            return false;
        };
        let address = rest.first_chunk::<4>();
        MacAddr::new(*ether) == self.endpoint.mac
            && address.is_some_and(|own| self.has(Ipv4Addr::from(*own).into()))
    }

    /// A packet has no options, by which it could choose its way, but the one that reports of groups have.
    fn may_send_v4(&self, packet: &[u8]) -> bool {
        let Some((head, _)) = packet.split_first_chunk::<20>() else {
            return false;
        };
        let length = usize::from(head[0] & 15) * 4;
        let [
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            protocol,
            _,
            _,
            s0,
            s1,
            s2,
            s3,
            d0,
            d1,
            d2,
            d3,
        ] = *head;
        let begins = u16::from_be_bytes([head[6] & 0x1f, head[7]]) == 0;
        let body = packet.get(length..).filter(|_| begins).unwrap_or_default();
        let source = IpAddr::from([s0, s1, s2, s3]);
        let plain = matches!(packet, [0x45, ..]);
        let alert = head[0] == 0x46 && packet.get(20..24) == Some(&[0x94, 4, 0, 0]);
        let forbidden = matches!(
            (protocol, body),
            (17, [0, 67, ..]) | (1, [5 | 9, ..]) | (2, [0x11, ..])
        );
        let lie = matches!((protocol, body), (1, [3 | 4 | 11 | 12, ..])) && !self.owns_packet(body);
        let group = Ipv4Addr::new(d0, d1, d2, d3).is_multicast();
        self.has(source) && (plain || alert) && !forbidden && !lie && (!group || self.multicast)
    }

    fn may_send_v6(&self, packet: &[u8]) -> bool {
        let Some((head, body)) = packet.split_first_chunk::<40>() else {
            return false;
        };
        let address = |at: usize| {
            let bytes = head.get(at..at + 16).and_then(<[u8]>::first_chunk::<16>);
            bytes.map_or(Ipv6Addr::UNSPECIFIED, |bytes| Ipv6Addr::from(*bytes))
        };
        let (source, destination) = (address(8), address(24));
        let group = destination.is_multicast();
        let probe = head[6] == 58 && matches!(body, [135, ..]) && self.owns_target(body);
        if source.is_unspecified() {
            return probe;
        }
        self.has(source.into())
            && match head[6] {
                58 => self.may_discover(body, group),
                0 => self.may_report(body),
                44 => Self::may_tear(body) && (!group || self.multicast),
                43 | 60 | 135 => false,
                17 if matches!(body, [0x02, 0x23, ..]) => false,
                _ => !group || self.multicast,
            }
    }

    /// Asks for anybody, answers for itself, sends errors of its own packets and echo to one receiver.
    fn may_discover(&self, body: &[u8], group: bool) -> bool {
        match body.first() {
            Some(135) => true,
            Some(136) => self.owns_target(body),
            Some(1..=4) => !group && self.owns_packet6(body),
            Some(128 | 129) => !group || self.multicast,
            Some(_) | None => false,
        }
    }

    fn may_report(&self, body: &[u8]) -> bool {
        let report = matches!(body, [58, 0, _, _, _, _, _, _, 131 | 132 | 143, ..]);
        report && self.multicast
    }

    /// A fragment is one of something that needs no more headers; discovery is never torn, nor is a lease.
    fn may_tear(body: &[u8]) -> bool {
        let Some(([next, _, high, low, ..], rest)) = body.split_first_chunk::<8>() else {
            return true;
        };
        let first = u16::from_be_bytes([*high, *low]) & 0xfff8 == 0;
        let forbidden = match (*next, rest) {
            (0 | 43 | 44 | 60 | 135, _) => true,
            (58, [1..=4 | 130 | 133..=137, ..]) | (17, [0x02, 0x23, ..]) => first,
            _ => false,
        };
        !forbidden
    }

    fn owns_target(&self, body: &[u8]) -> bool {
        let target = body.get(8..24).and_then(<[u8]>::first_chunk::<16>);
        target.is_some_and(|target| self.has(Ipv6Addr::from(*target).into()))
    }

    /// An error repeats the head of the packet that it is about: was that meant for the endpoint?
    fn owns_packet(&self, error: &[u8]) -> bool {
        let target = error.get(24..28).and_then(<[u8]>::first_chunk::<4>);
        target.is_some_and(|target| self.has(Ipv4Addr::from(*target).into()))
    }

    fn owns_packet6(&self, error: &[u8]) -> bool {
        let target = error.get(32..48).and_then(<[u8]>::first_chunk::<16>);
        target.is_some_and(|target| self.has(Ipv6Addr::from(*target).into()))
    }

    /// An address is the endpoint's own; with IPv6 the link gives it one more.
    fn has(&self, address: IpAddr) -> bool {
        let own = &self.endpoint.addresses;
        let on_link = IpAddr::V6(self.endpoint.mac.link_local());
        own.contains(&address) || (address == on_link && own.iter().any(IpAddr::is_ipv6))
    }
}
