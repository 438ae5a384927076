//! Hands frames on between the two interfaces of an endpoint on a macvlan network, and checks what the container sends.
//!
//! A macvlan interface inside a container sends whatever the container forges, and no rule inside holds against one that may
//! administer its network. So the macvlan interface stays on the host, a virtual cable leads inside, and chains on the
//! host's side forward frames between the two: any frame to the container, only honest ones from it (attacks
//! `macvlan_arp_spoof_lan`, `macvlan_mac_ip_spoof`). Without the chains nothing passes at all.
//!
//! An ipvlan interface is told apart by the addresses that it has where it is, and must be inside: there the same checks stand
//! where it sends ([`Pinned`]). They hold who may forge frames, and not who may administer the network as well.

use std::net::{IpAddr, Ipv6Addr};

use hakone_base::{IfName, MacAddr};
use hakone_policy::{
    TABLE,
    ruleset::{Action, Name},
};

use crate::{
    Error, Firewall, Object,
    expression::{action, compare, kernel, meta, payload},
    kernel::{
        CMP_EQ, CMP_NEQ, DELCHAIN, DELRULE, DELTABLE, META_L4PROTO, NETDEV_EGRESS, NETDEV_INGRESS,
        NEWCHAIN, NEWRULE, NEWTABLE, NFPROTO_NETDEV, NFTABLES, NLM_F_APPEND, NLM_F_CREATE,
        NLM_F_REQUEST, PAYLOAD_LINK, PAYLOAD_NETWORK, PAYLOAD_TRANSPORT, REG_VERDICT, REG32,
        VERDICT_ACCEPT, attribute as a,
    },
    message::Message,
    request::Request,
};

/// An endpoint whose frames are handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// The host's end of the cable that leads inside.
    pub inner: Interface,
    /// The interface on the parent.
    pub outer: Interface,
    /// The endpoint's Ethernet address.
    pub mac: MacAddr,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// An interface inside, held to its addresses where it sends. Its link-local ones are free: the kernel forms several of one Ethernet
/// address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// Its name.
    pub interface: IfName,
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// An interface of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: IfName,
    /// Its number.
    pub index: u32,
}

const ARP: [u8; 2] = [0x08, 0x06];
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
/// The source ports of who hands out addresses.
const DHCP: [u8; 2] = [0, 67];
const DHCPV6: [u8; 2] = [2, 35];
/// What only routers say: advertisements and redirects.
const OF_ROUTERS: [u8; 2] = [134, 137];
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// What a rule looks at.
enum Look {
    /// A range of the Ethernet header; a tagged frame shows its tag there.
    Link(u32),
    Network(u32),
    Transport(u32),
    Protocol,
}

/// A condition of a rule.
struct Test {
    look: Look,
    operator: u32,
    value: Vec<u8>,
}

/// What becomes of a frame that passes all conditions.
#[derive(Clone, Copy)]
enum Fate {
    Drop,
    /// Leaves by the interface of this number.
    Forward(u32),
    /// Goes on.
    Accept,
}

impl Firewall {
    /// Begins to hand on an endpoint's frames; what stood for it before is replaced.
    ///
    /// # Errors
    /// When the kernel refuses; the endpoint then has no connection.
    pub fn relay(&mut self, relay: &Relay) -> Result<(), Error> {
        let mut all = vec![table(NEWTABLE)];
        hand_on(&mut all, relay);
        self.commit(all)
    }

    /// Holds an interface of this namespace to its addresses; what stood for it before is replaced.
    ///
    /// # Errors
    /// When the kernel refuses; before Linux 5.16 nobody looks where an interface sends.
    pub fn pin(&mut self, pinned: &Pinned) -> Result<(), Error> {
        let mut all = vec![table(NEWTABLE)];
        let local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0).octets();
        let [prefix @ .., _, _, _, _, _, _, _, _] = &local;
        let sender = Sender {
            mac: pinned.mac,
            addresses: &pinned.addresses,
            link_local: prefix,
        };
        let rules = honest(&sender, Fate::Accept);
        set(&mut all, &pinned.interface, NETDEV_EGRESS, &rules);
        self.commit(all)
    }

    /// Ends the handing on of an endpoint's frames. Its interfaces may be gone, and with them what stood for it.
    pub fn end_relay(&mut self, inner: &IfName, outer: &IfName) {
        for interface in [inner, outer] {
            let gone = [chain(DELRULE, interface), chain(DELCHAIN, interface)];
            self.commit(gone.into()).ok();
        }
    }

    /// Hands on the frames of these endpoints and of no others.
    ///
    /// # Errors
    /// When the kernel refuses; the former ones then still stand.
    pub fn relay_only(&mut self, relays: &[Relay]) -> Result<(), Error> {
        let mut all = vec![table(NEWTABLE), table(DELTABLE)];
        if !relays.is_empty() {
            all.push(table(NEWTABLE));
        }
        relays.iter().for_each(|relay| hand_on(&mut all, relay));
        self.commit(all)
    }
}

fn hand_on(all: &mut Vec<Request>, relay: &Relay) {
    let local = link_local(relay.mac).octets();
    let sender = Sender {
        mac: relay.mac,
        addresses: &relay.addresses,
        link_local: &local,
    };
    let outwards = honest(&sender, Fate::Forward(relay.outer.index));
    let inwards = vec![(Vec::new(), Fate::Forward(relay.inner.index))];
    for (interface, rules) in [(&relay.inner, outwards), (&relay.outer, inwards)] {
        set(all, &interface.name, NETDEV_INGRESS, &rules);
    }
}

/// Sets the chain of an interface, whole.
fn set(all: &mut Vec<Request>, interface: &IfName, hook: u32, rules: &[(Vec<Test>, Fate)]) {
    all.push(base_chain(interface, hook));
    all.push(chain(DELRULE, interface));
    let numbered = (1..).zip(rules);
    all.extend(numbered.map(|(number, each)| rule(interface, number, each)));
}

/// Who may send what.
struct Sender<'a> {
    mac: MacAddr,
    addresses: &'a [IpAddr],
    /// Its link-local address of IPv6, or how that begins.
    link_local: &'a [u8],
}

/// An allow list: what no rule knows is dropped, whatever protocol it is.
fn honest(sender: &Sender<'_>, fate: Fate) -> Vec<(Vec<Test>, Fate)> {
    let mac = sender.mac.octets();
    let mut rules = vec![(vec![differs(Look::Link(6), &mac)], Fate::Drop)];
    for address in sender.addresses {
        match address {
            IpAddr::V4(own) => rules.extend(honest_v4(mac, &own.octets(), fate)),
            IpAddr::V6(own) => rules.extend(honest_v6(sender.link_local, *own, fate)),
        }
    }
    rules.push((Vec::new(), Fate::Drop));
    rules
}

fn honest_v4(mac: [u8; 6], own: &[u8], forward: Fate) -> [(Vec<Test>, Fate); 3] {
    let kind = |kind: [u8; 2]| is(Look::Link(12), &kind);
    [
        (
            vec![
                kind(ARP),
                is(Look::Network(8), &mac),
                is(Look::Network(14), own),
            ],
            forward,
        ),
        (
            vec![
                kind(IPV4),
                is(Look::Protocol, &[UDP]),
                is(Look::Transport(0), &DHCP),
            ],
            Fate::Drop,
        ),
        (vec![kind(IPV4), is(Look::Network(12), own)], forward),
    ]
}

/// Link-local addresses find neighbours, and no address at all asks whether one is free.
fn honest_v6(local: &[u8], own: Ipv6Addr, forward: Fate) -> Vec<(Vec<Test>, Fate)> {
    let ip = || is(Look::Link(12), &IPV6);
    let icmp = |kind: u8| {
        vec![
            ip(),
            is(Look::Protocol, &[ICMPV6]),
            is(Look::Transport(0), &[kind]),
        ]
    };
    let mut rules: Vec<_> = OF_ROUTERS.map(|kind| (icmp(kind), Fate::Drop)).into();
    let dhcp = vec![
        ip(),
        is(Look::Protocol, &[UDP]),
        is(Look::Transport(0), &DHCPV6),
    ];
    rules.push((dhcp, Fate::Drop));
    let mut strange = icmp(NEIGHBOUR_ADVERTISEMENT);
    let own = own.octets();
    strange.extend([&own, local].map(|mine| differs(Look::Transport(8), mine)));
    rules.push((strange, Fate::Drop));
    for source in [&own, local, &Ipv6Addr::UNSPECIFIED.octets()] {
        rules.push((vec![ip(), is(Look::Network(8), source)], forward));
    }
    rules
}

/// The address that the kernel forms of the Ethernet address (RFC 4291, appendix A).
fn link_local(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.octets();
    let id = [a ^ 2, b, c, 0xff, 0xfe, d, e, f];
    let mut octets = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (place, octet) in octets.iter_mut().skip(8).zip(id) {
        *place = octet;
    }
    Ipv6Addr::from(octets)
}

fn is(look: Look, value: &[u8]) -> Test {
    let value = value.to_vec();
    Test {
        look,
        operator: CMP_EQ,
        value,
    }
}

fn differs(look: Look, value: &[u8]) -> Test {
    Test {
        operator: CMP_NEQ,
        ..is(look, value)
    }
}

fn table(kind: u16) -> Request {
    let mut message = begin(kind, 0);
    message.text(a::TABLE_NAME, TABLE);
    Request {
        object: Object::Table(TABLE.into()),
        message,
    }
}

/// A message about the chain of an interface, which bears its name.
fn chain(kind: u16, interface: &IfName) -> Request {
    let mut message = begin(kind, 0);
    message.text(a::CHAIN_TABLE, TABLE);
    let name = match kind {
        DELRULE => a::RULE_CHAIN,
        _ => a::CHAIN_NAME,
    };
    message.text(name, interface.as_str());
    Request {
        object: Object::Chain(Name::from(interface)),
        message,
    }
}

fn base_chain(interface: &IfName, hook: u32) -> Request {
    let mut request = chain(NEWCHAIN, interface);
    let message = &mut request.message;
    message.nest(a::CHAIN_HOOK, |nest| {
        nest.number(a::HOOK_NUMBER, hook);
        nest.number(a::HOOK_PRIORITY, 0);
        nest.text(a::HOOK_DEVICE, interface.as_str());
    });
    message.bytes(a::CHAIN_POLICY, &VERDICT_ACCEPT.to_be_bytes());
    message.text(a::CHAIN_TYPE, "filter");
    request
}

fn rule(interface: &IfName, number: usize, (tests, fate): &(Vec<Test>, Fate)) -> Request {
    let mut message = begin(NEWRULE, NLM_F_APPEND);
    message.text(a::RULE_TABLE, TABLE);
    message.text(a::RULE_CHAIN, interface.as_str());
    message.nest(a::RULE_EXPRESSIONS, |list| {
        tests.iter().for_each(|test| check(list, test));
        end(list, *fate);
    });
    Request {
        object: Object::Rule(Name::from(interface), number),
        message,
    }
}

fn check(list: &mut Message, test: &Test) {
    let width = u32::try_from(test.value.len()).unwrap_or(0);
    let range = |offset| offset..offset + width;
    match test.look {
        Look::Link(offset) => payload(list, PAYLOAD_LINK, range(offset), REG32),
        Look::Network(offset) => payload(list, PAYLOAD_NETWORK, range(offset), REG32),
        Look::Transport(offset) => payload(list, PAYLOAD_TRANSPORT, range(offset), REG32),
        Look::Protocol => meta(list, META_L4PROTO, REG32),
    }
    compare(list, test.operator, &test.value);
}

fn end(list: &mut Message, fate: Fate) {
    match fate {
        Fate::Drop => {
            kernel(list, "counter", |_| {});
            verdict(list, &Action::Drop);
        }
        Fate::Accept => verdict(list, &Action::Accept),
        Fate::Forward(index) => {
            kernel(list, "immediate", |data| {
                data.number(a::IMMEDIATE_DREG, REG32);
                let value = index.to_ne_bytes();
                data.nest(a::IMMEDIATE_DATA, |data| data.bytes(a::DATA_VALUE, &value));
            });
            kernel(list, "fwd", |data| data.number(a::FORWARD_DEVICE, REG32));
        }
    }
}

fn verdict(list: &mut Message, verdict: &Action) {
    kernel(list, "immediate", |data| {
        data.number(a::IMMEDIATE_DREG, REG_VERDICT);
        data.nest(a::IMMEDIATE_DATA, |data| action(data, verdict));
    });
}

fn begin(kind: u16, flags: u16) -> Message {
    let creates = match kind {
        DELTABLE | DELCHAIN | DELRULE => 0,
        _ => NLM_F_CREATE,
    };
    let flags = NLM_F_REQUEST | creates | flags;
    Message::new((NFTABLES << 8) | kind, flags, NFPROTO_NETDEV, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_local_address_is_the_kernels() {
        let mac = "02:42:ac:11:00:02".parse().unwrap();
        assert_eq!(
            link_local(mac),
            "fe80::42:acff:fe11:2".parse::<Ipv6Addr>().unwrap()
        );
    }
}
