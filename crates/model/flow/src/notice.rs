//! Reads a datagram of nfnetlink: flows that begin and end, packets that a rule told of.
//!
//! What a packet holds is its sender's to choose, so everything behind the kernel's own framing is read as hostile.

use hakone_base::Timestamp;
use hakone_policy::{AUDIT_IN, AUDIT_OUT, BEGINNING};

use crate::{
    Packet, Tracked,
    attribute::{array, attributes, exact, messages},
    conntrack,
    packet::{read_frame, read_packet},
};

/// `struct nfgenmsg`.
const GENERAL: usize = 4;
/// `NFNL_SUBSYS_CTNETLINK` with `IPCTNL_MSG_CT_NEW` and `IPCTNL_MSG_CT_DELETE`.
const FLOW_NEW: u16 = 1 << 8;
const FLOW_GONE: u16 = (1 << 8) | 2;
/// `NFNL_SUBSYS_ULOG` with `NFULNL_MSG_PACKET`.
const PACKET: u16 = 4 << 8;
/// `NLM_F_CREATE`: a flow is new, and not only changed.
const CREATED: u16 = 0x400;
/// `NFPROTO_BRIDGE`.
const BRIDGE: u8 = 7;
/// `NF_INET_LOCAL_IN`, and the same of a bridge.
const HOOK_INPUT: u8 = 1;

const HEADER: u16 = 1;
const TIME: u16 = 3;
const INPUT: u16 = 4;
const BRIDGE_PORT: u16 = 6;
const PAYLOAD: u16 = 9;
const WORDS: u16 = 10;
const SEQUENCE: u16 = 12;
const ETHERNET: u16 = 16;

/// What the kernel told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A flow began.
    Began(Tracked),
    /// A flow ended.
    Ended(Tracked),
    /// A rule told of a packet.
    Told(Refusal),
}

/// A packet of which a rule told; most were dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule's words, `chain: comment`.
    pub words: String,
    /// The kernel's number of the interface it came by; of a bridge's port rather than of the bridge.
    pub interface: Option<u32>,
    /// Whether it was for the host itself.
    pub for_host: bool,
    /// When; `None` when the kernel did not note it.
    pub at: Option<Timestamp>,
    /// What number the kernel gave the telling; a gap is a loss.
    pub sequence: Option<u32>,
    /// The packet, as far as it makes sense.
    pub packet: Packet,
}

impl Refusal {
    /// Reports whether it is none: that something began between members is told in the same way.
    #[must_use]
    pub fn is_beginning(&self) -> bool {
        self.words == BEGINNING
    }

    /// Reports whether it is none: a policy that is only audited would have refused it.
    #[must_use]
    pub fn is_audit(&self) -> bool {
        let rule = self.words.split_once(':');
        rule.is_some_and(|(chain, _)| [AUDIT_IN, AUDIT_OUT].contains(&chain))
    }
}

/// Reads all that a datagram tells; what is torn or unknown is left out.
pub fn notices(datagram: &[u8]) -> impl Iterator<Item = Notice> {
    messages(datagram).filter_map(|message| {
        let list = message.payload.get(GENERAL..)?;
        match message.kind {
            FLOW_NEW if message.flags & CREATED != 0 => conntrack::read(list).map(Notice::Began),
            FLOW_GONE => conntrack::read(list).map(Notice::Ended),
            PACKET => {
                let [family] = array(message.payload, 0)?;
                Some(Notice::Told(refusal(family, list)))
            }
            _ => None,
        }
    })
}

fn refusal(family: u8, list: &[u8]) -> Refusal {
    let (mut input, mut port) = (None, None);
    let (mut ethernet, mut payload): (&[u8], &[u8]) = (&[], &[]);
    let mut refusal = Refusal {
        words: String::new(),
        interface: None,
        for_host: false,
        at: None,
        sequence: None,
        packet: Packet::default(),
    };
    for (kind, value) in attributes(list) {
        match kind {
            HEADER => refusal.for_host = array(value, 2) == Some([HOOK_INPUT]),
            TIME => refusal.at = time(value),
            INPUT => input = exact(value).map(u32::from_be_bytes),
            BRIDGE_PORT => port = exact(value).map(u32::from_be_bytes),
            PAYLOAD => payload = value,
            WORDS => refusal.words = text(value),
            SEQUENCE => refusal.sequence = exact(value).map(u32::from_be_bytes),
            ETHERNET => ethernet = value,
            _ => {}
        }
    }
    refusal.interface = port.or(input);
    refusal.packet = match family {
        BRIDGE => read_frame(ethernet, payload),
        _ => read_packet(payload),
    };
    refusal
}

/// The words are those of our own rules.
fn text(value: &[u8]) -> String {
    let end = value
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

fn time(value: &[u8]) -> Option<Timestamp> {
    let seconds = i64::from_be_bytes(array(value, 0)?);
    let micros = i64::from_be_bytes(array(value, 8)?);
    let nanos = seconds
        .checked_mul(1_000_000_000)?
        .checked_add(micros.checked_mul(1000)?)?;
    Some(Timestamp::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Volume;
    use proptest::prelude::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len() + 4).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn nested(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
        attribute(kind | 0x8000, &parts.concat())
    }

    fn message(kind: u16, flags: u16, family: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        let body = parts.concat();
        let length = u32::try_from(20 + body.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend([kind.to_ne_bytes(), flags.to_ne_bytes()].concat());
        bytes.extend([0; 8]);
        bytes.extend([family, 0, 0, 0]);
        bytes.extend(body);
        bytes
    }

    fn tuple(kind: u16, ends: [[u8; 4]; 2], ports: [u16; 2]) -> Vec<u8> {
        let addresses = nested(1, &[attribute(1, &ends[0]), attribute(2, &ends[1])]);
        let transport = [
            attribute(1, &[6]),
            attribute(2, &ports[0].to_be_bytes()),
            attribute(3, &ports[1].to_be_bytes()),
        ];
        nested(kind, &[addresses, nested(2, &transport)])
    }

    fn flow(kind: u16, flags: u16) -> Vec<u8> {
        let counters = |kind, packets: u64, bytes: u64| {
            nested(
                kind,
                &[
                    attribute(1, &packets.to_be_bytes()),
                    attribute(2, &bytes.to_be_bytes()),
                ],
            )
        };
        let parts = [
            tuple(1, [[10, 0, 0, 9], [192, 0, 2, 1]], [40000, 8080]),
            tuple(2, [[172, 17, 0, 2], [10, 0, 0, 9]], [80, 40000]),
            counters(9, 5, 300),
            counters(10, 4, 2000),
            attribute(12, &7_u32.to_be_bytes()),
            nested(20, &[attribute(1, &5_000_000_000_u64.to_be_bytes())]),
        ];
        message(kind, flags, 2, &parts)
    }

    #[test]
    fn a_flow_that_ended_tells_both_directions_and_what_went_over_it() {
        let all: Vec<_> = notices(&flow(FLOW_GONE, 0)).collect();
        let [Notice::Ended(tracked)] = all.as_slice() else {
            panic!("{all:?}");
        };
        assert_eq!(tracked.original.destination_port, Some(8080));
        assert_eq!(tracked.reply.source.to_string(), "172.17.0.2");
        assert_eq!(
            tracked.sent,
            Some(Volume {
                bytes: 300,
                packets: 5
            })
        );
        assert_eq!(
            (tracked.id, tracked.began.map(Timestamp::seconds)),
            (Some(7), Some(5))
        );
    }

    #[test]
    fn a_changed_flow_is_no_new_one() {
        assert_eq!(notices(&flow(FLOW_NEW, CREATED)).count(), 1);
        assert_eq!(notices(&flow(FLOW_NEW, 0)).count(), 0);
    }

    #[test]
    fn a_refused_frame_tells_rule_port_and_claims() {
        let mut frame = vec![2; 6];
        frame.extend([2, 0x42, 0, 0, 0, 9, 8, 6]);
        let arp = [
            &[0, 1, 8, 0, 6, 4, 0, 2][..],
            &[2, 0x42, 0, 0, 0, 9, 172, 17, 0, 1],
            &[0, 0, 0, 0, 0, 0, 172, 17, 0, 3],
        ];
        let parts = [
            attribute(HEADER, &[8, 6, 0, 0]),
            attribute(WORDS, b"from_arp: forged ARP\0"),
            attribute(INPUT, &3_u32.to_be_bytes()),
            attribute(BRIDGE_PORT, &9_u32.to_be_bytes()),
            attribute(ETHERNET, &frame),
            attribute(PAYLOAD, &arp.concat()),
        ];
        let told = notices(&message(PACKET, 0, BRIDGE, &parts)).next();
        let Some(Notice::Told(refusal)) = told else {
            panic!("{told:?}");
        };
        assert_eq!(
            (refusal.words.as_str(), refusal.interface),
            ("from_arp: forged ARP", Some(9))
        );
        assert_eq!(refusal.packet.source.unwrap().to_string(), "172.17.0.1");
        assert_eq!(refusal.packet.protocol.as_deref(), Some("arp"));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            notices(&bytes).for_each(drop);
            drop((read_packet(&bytes), read_frame(&bytes, &bytes)));
        }

        #[test]
        fn a_torn_datagram_ends_the_reading(cut in 0..200_usize) {
            let whole = flow(FLOW_GONE, 0);
            let count = notices(whole.get(..cut).unwrap_or(&whole)).count();
            prop_assert!(count <= 1 && (cut >= whole.len() || count == 0));
        }
    }
}
