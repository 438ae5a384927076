//! Random frames, honest ones and attacks: each field is commonly right and often somebody else's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hakone_policy::Frame;
use proptest::{collection::vec, prelude::*, sample::select};

use super::{BRIDGES, interesting, mac, port_name, v4, v6};

/// The members whose names frames use; the last is never on a network.
const MEMBERS: std::ops::Range<u8> = 2..6;

pub(crate) fn any_frame() -> impl Strategy<Value = Frame> {
    let sender = (0..=BRIDGES, MEMBERS);
    sender.prop_flat_map(|(bridge, member)| {
        let content = prop_oneof![
            3 => any_v4(bridge, member),
            5 => any_v6(bridge, member),
            2 => any_arp(bridge, member),
            1 => any_other(),
        ];
        (any_destination(), any_source(bridge, member), content).prop_map(
            move |(destination, source, content)| Frame {
                port: match (bridge, member) {
                    (0, 5) => "eth7".parse().unwrap(),
                    (bridge, member) => port_name(bridge, member),
                },
                bytes: [&destination[..], &source, &content].concat(),
            },
        )
    })
}

fn any_destination() -> impl Strategy<Value = [u8; 6]> {
    let mut all = vec![mac(0, 2).octets(), [0xff; 6], [0x33, 0x33, 0, 0, 0, 1]];
    let weights = all.repeat(4);
    all.extend(weights);
    all.extend((0..=0x20).map(|last| [0x01, 0x80, 0xc2, 0, 0, last]));
    select(all)
}

fn any_source(bridge: u8, member: u8) -> impl Strategy<Value = [u8; 6]> {
    let own = mac(bridge, member).octets();
    prop_oneof![8 => Just(own), 1 => Just(mac(bridge, 2).octets()), 1 => any::<[u8; 6]>()]
}

fn any_other() -> BoxedStrategy<Vec<u8>> {
    let kinds = [
        0x8100, 0x88a8, 0x8863, 0x8864, 0x88b5, 0x8035, 0x88cc, 0x0026, 0x0801,
    ];
    let inner = [0x08, 0x00, 0x45];
    (select(kinds.to_vec()), vec(any::<u8>(), 0..60))
        .prop_map(move |(kind, body): (u16, _)| {
            [&kind.to_be_bytes()[..], &[0, 0], &inner, &body].concat()
        })
        .boxed()
}

fn any_arp(bridge: u8, member: u8) -> BoxedStrategy<Vec<u8>> {
    let formats = [[0, 1, 8, 0, 6, 4], [0, 6, 8, 0, 6, 4], [0, 1, 8, 0, 6, 16]];
    let format = prop_oneof![6 => Just(formats[0]), 1 => select(formats.to_vec())];
    let operation = select(vec![1_u8, 2, 8]);
    let claimed = any_address(bridge, member, false).prop_map(octets);
    let (ether, target) = (any_source(bridge, member), any::<[u8; 10]>());
    (format, operation, ether, claimed, target)
        .prop_map(|(format, operation, ether, claimed, target)| {
            let head = [&[0x08, 0x06][..], &format, &[0, operation]].concat();
            [&head[..], &ether, &claimed, &target].concat()
        })
        .boxed()
}

fn any_v4(bridge: u8, member: u8) -> BoxedStrategy<Vec<u8>> {
    let ends = (any_address(bridge, member, false), any_receiver(false));
    let options = prop_oneof![
        4 => Just(Vec::new()),
        1 => select(vec![vec![131, 7, 4, 1, 2, 3, 4, 0], vec![1, 137, 3, 4]]),
        1 => select(vec![vec![148, 4, 0, 0], vec![7, 4, 4, 0, 131, 3, 4, 0], vec![0, 131, 3, 4]]),
    ];
    let begins = prop::bool::weighted(0.8);
    (ends, any_transport(bridge, member), options, begins)
        .prop_map(
            |((source, destination), (protocol, body), options, begins)| {
                let words = 5 + u8::try_from(options.len() / 4).unwrap();
                let length = u16::try_from(usize::from(words) * 4 + body.len()).unwrap();
                let [high, low] = length.to_be_bytes();
                let offset = if begins { 0 } else { 9 };
                let head = [
                    0x45 - 5 + words,
                    0,
                    high,
                    low,
                    0,
                    7,
                    0,
                    offset,
                    64,
                    protocol,
                    0,
                    0,
                ];
                let addresses = [octets(source), octets(destination)].concat();
                [&[0x08, 0x00][..], &head, &addresses, &options, &body].concat()
            },
        )
        .boxed()
}

fn any_v6(bridge: u8, member: u8) -> BoxedStrategy<Vec<u8>> {
    let ends = (any_address(bridge, member, true), any_receiver(true));
    let headers = vec(any_header(), 0..3);
    (ends, headers, any_transport6(bridge, member))
        .prop_map(|((source, destination), headers, (protocol, body))| {
            let mut next = protocol;
            let mut payload = body;
            for (kind, mut header) in headers.into_iter().rev() {
                header[0] = next;
                payload = [&header[..], &payload].concat();
                next = kind;
            }
            let [high, low] = u16::try_from(payload.len()).unwrap().to_be_bytes();
            let head = [0x60, 0, 0, 0, high, low, next, 64];
            let addresses = [octets(source), octets(destination)].concat();
            [&[0x86, 0xdd][..], &head, &addresses, &payload].concat()
        })
        .boxed()
}

/// A header of eight bytes between IPv6 and its payload.
fn any_header() -> impl Strategy<Value = (u8, [u8; 8])> {
    let plain = select(vec![0_u8, 43, 60, 135]);
    let plain = plain.prop_map(|kind| (kind, [0, 0, 5, 2, 0, 0, 1, 0]));
    let fragment = select(vec![[0, 0], [0, 1], [0, 64], [0, 65]]);
    let fragment = fragment.prop_map(|[high, low]| (44, [0, 0, high, low, 0, 0, 0, 9]));
    prop_oneof![1 => plain, 2 => fragment]
}

/// Protocols by number, with what matters of their headers.
fn any_transport(bridge: u8, member: u8) -> impl Strategy<Value = (u8, Vec<u8>)> {
    let icmp = select(vec![0_u8, 3, 4, 5, 8, 9, 11, 12]);
    let about = any_address(bridge, member, false);
    let icmp = (icmp, about, any::<bool>()).prop_map(|(kind, about, whole)| {
        let head = vec![kind, 0, 0, 0, 0, 0, 0, 0];
        let repeated = [&[0x45; 16][..], &octets(about)].concat();
        let repeated = if whole { repeated } else { vec![] };
        (1, [head, repeated].concat())
    });
    let igmp = select(vec![0x11_u8, 0x16, 0x22]);
    let igmp = igmp.prop_map(|kind| (2, vec![kind, 0, 0, 0, 224, 0, 0, 5]));
    prop_oneof![5 => any_transport_of_both(), 2 => icmp, 1 => igmp]
}

/// Those that IPv4 and IPv6 share.
fn any_transport_of_both() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let ports = select(vec![[0_u8, 67], [0, 68], [2, 35], [0x1f, 0x40]]);
    let udp = ports.prop_map(|[high, low]| (17, vec![high, low, 0, 80, 0, 8, 0, 0]));
    let tcp = Just((
        6,
        [[0, 67, 0, 80], [0; 4], [0; 4], [80, 2, 0, 0], [0; 4]].concat(),
    ));
    let other = Just((47, vec![0; 8]));
    prop_oneof![3 => udp, 1 => tcp, 1 => other]
}

fn any_transport6(bridge: u8, member: u8) -> impl Strategy<Value = (u8, Vec<u8>)> {
    let kinds = select((128..=137).chain([1, 2, 3, 4, 143]).collect::<Vec<u8>>());
    let target = any_address(bridge, member, true);
    let discovery = (kinds, target).prop_map(|(kind, target)| {
        let body = [&[kind, 0, 0, 0, 0, 0, 0, 0][..], &octets(target)].concat();
        (58, body)
    });
    let errors = (1..=4_u8, any_address(bridge, member, true));
    let error = errors.prop_map(|(kind, about)| {
        let body = [
            &[kind, 0, 0, 0, 0, 0, 0, 0][..],
            &[0x60; 24],
            &octets(about),
        ]
        .concat();
        (58, body)
    });
    prop_oneof![3 => discovery, 2 => error, 1 => any_transport_of_both()]
}

/// Whom a sender claims to be: itself above all.
fn any_address(bridge: u8, member: u8, ipv6: bool) -> BoxedStrategy<IpAddr> {
    let own = match ipv6 {
        false => v4(bridge, member),
        true => v6(bridge, member),
    };
    let on_link = |member| IpAddr::V6(mac(bridge, member).link_local());
    let nobody = match ipv6 {
        false => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into()],
        true => vec![Ipv6Addr::UNSPECIFIED.into(), on_link(2), on_link(member)],
    };
    prop_oneof![4 => Just(own), 1 => select(nobody), 1 => select(interesting(ipv6))].boxed()
}

fn any_receiver(ipv6: bool) -> BoxedStrategy<IpAddr> {
    let groups = match ipv6 {
        false => ["224.0.0.251", "239.1.2.3", "255.255.255.255"],
        true => ["ff02::1", "ff02::16", "ff02::1:ff00:2"],
    };
    let groups = groups.map(|text| text.parse().unwrap()).to_vec();
    prop_oneof![2 => select(interesting(ipv6)), 1 => select(groups)].boxed()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}
