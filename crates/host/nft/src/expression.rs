//! Encodes rules: each expression of ours becomes a few of the kernel's small machine.
//!
//! Values travel through sixteen registers of four bytes; a key of several parts lies in consecutive ones. Fields of an IP
//! header are read at fixed offsets, so a rule that reads one first checks what the packet or frame carries.

use hakone_base::Protocol;
use hakone_policy::ruleset::{
    Action, Expression, Family, Field, IpFamily, Pace, Rule, State, TELL_BYTES, TELL_GROUP, Type,
    Value,
};

use crate::{
    kernel::{
        CMP_EQ, CMP_NEQ, CONNLIMIT_OVER, CT_STATE, CT_STATUS, DYNSET_ADD, DYNSET_UPDATE,
        FIB_ADDRTYPE, FIB_DADDR, FIB_SADDR, META_IIFNAME, META_L4PROTO, META_NFPROTO, META_OIFNAME,
        META_PKTTYPE, NAT_DESTINATION, NFPROTO_IPV4, NFPROTO_IPV6, PACKET_HOST, PAYLOAD_CSUM_INET,
        PAYLOAD_LINK, PAYLOAD_NETWORK, PAYLOAD_TRANSPORT, REG_VERDICT, REG32, RT_NEXTHOP4,
        RT_NEXTHOP6, STATUS_CONFIRMED, STATUS_DNAT, TYPE_LOCAL, VERDICT_ACCEPT, VERDICT_DROP,
        VERDICT_GOTO, VERDICT_JUMP, VERDICT_RETURN, attribute as a,
    },
    message::Message,
    value,
};

/// Writes all expressions of a rule of a table of that family.
pub(crate) fn rule(list: &mut Message, rule: &Rule, table: Family) {
    let mut checked = None;
    let mut held = None;
    for each in &rule.expressions {
        if let Expression::IpFamily(family) = each {
            checked = Some(Carried::Ip(*family));
        }
        let needed = carried_by(each);
        if let Some(carried) = needed.filter(|_| needed != checked) {
            check(list, carried, table);
            checked = needed;
            held = None;
        }
        held = expression(list, each, held);
    }
}

/// Writes what the verdict of an action is.
pub(crate) fn action(data: &mut Message, action: &Action) {
    let (code, chain) = match action {
        Action::Accept => (VERDICT_ACCEPT, None),
        Action::Drop => (VERDICT_DROP, None),
        Action::Return => (VERDICT_RETURN, None),
        Action::Jump(chain) => (VERDICT_JUMP, Some(chain)),
        Action::Goto(chain) => (VERDICT_GOTO, Some(chain)),
    };
    data.nest(a::DATA_VERDICT, |verdict| {
        verdict.bytes(a::VERDICT_CODE, &code.to_be_bytes());
        if let Some(chain) = chain {
            verdict.text(a::VERDICT_CHAIN, chain.as_str());
        }
    });
}

/// Writes one expression; `held` is the field in the first registers before it, and what it gives back that after it. So
/// two keys of a rule that begin alike, as with an interface's name, cost one reading of it.
fn expression(list: &mut Message, expression: &Expression, held: Option<Field>) -> Option<Field> {
    match expression {
        Expression::In(fields, set) => {
            load_key(list, fields, held);
            lookup(list, set.as_str(), None);
            return fields.first().copied();
        }
        Expression::IpFamily(family) => check(list, Carried::Ip(*family), Family::Inet),
        Expression::Is(field, value) => is(list, *field, value),
        Expression::LocalDestination => is_local(list, FIB_DADDR),
        Expression::LocalSource => is_local(list, FIB_SADDR),
        Expression::State(states) => {
            let bits = states.iter().fold(0, |bits, state| bits | bit(*state));
            flow(list, CT_STATE, bits);
        }
        Expression::Begins => {
            flow(list, CT_STATE, bit(State::New));
            load_flow(list, CT_STATUS, STATUS_CONFIRMED);
            compare(list, CMP_EQ, &[0; 4]);
        }
        Expression::Crowded(field, set, number) => {
            load(list, *field, REG32);
            crowded(list, set.as_str(), *number);
        }
        Expression::Published => flow(list, CT_STATUS, STATUS_DNAT),
        Expression::Paced(fields, set, pace) => {
            load_key(list, fields, held);
            paced(list, set.as_str(), *pace);
        }
        Expression::Remember(fields, set) => {
            load_key(list, fields, held);
            remember(list, set.as_str());
        }
        Expression::Tell(words) => kernel(list, "log", |data| {
            data.bytes(a::LOG_GROUP, &TELL_GROUP.to_be_bytes());
            data.text(a::LOG_PREFIX, words);
            data.number(a::LOG_SNAPLEN, TELL_BYTES);
        }),
        Expression::Count => kernel(list, "counter", |_| {}),
        Expression::Do(verdict) => kernel(list, "immediate", |data| {
            data.number(a::IMMEDIATE_DREG, REG_VERDICT);
            data.nest(a::IMMEDIATE_DATA, |data| action(data, verdict));
        }),
        Expression::Look(fields, map) => {
            load_key(list, fields, held);
            lookup(list, map.as_str(), Some(REG_VERDICT));
        }
        Expression::Redirect(family, fields, map) => {
            load_key(list, fields, held);
            lookup(list, map.as_str(), Some(REG32));
            redirect(list, *family);
        }
        Expression::SetPort(protocol, field, port) => set_port(list, *protocol, *field, *port),
        Expression::Masquerade => kernel(list, "masq", |_| {}),
        Expression::Lead(fields, map) => {
            load_key(list, fields, held);
            lookup(list, map.as_str(), Some(REG32));
            lead(list);
        }
    }
    None
}

fn is(list: &mut Message, field: Field, constant: &Value) {
    load(list, field, REG32);
    let bits = field.bits().map(Vec::from);
    if let Some(mask) = bits.or_else(|| value::mask(constant)) {
        bitwise(list, &mask);
    }
    compare(list, CMP_EQ, &value::first(constant));
}

/// What a header at a fixed offset belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carried {
    Ip(IpFamily),
    Arp,
}

/// In a bridge, the Ethernet type says what is carried; before a tag it says something else, and nothing matches. The
/// kernel's own word for it (`meta protocol`) would see through the tag.
fn check(list: &mut Message, carried: Carried, table: Family) {
    match (carried, table) {
        (Carried::Ip(family), Family::Inet) => {
            meta(list, META_NFPROTO, REG32);
            compare(list, CMP_EQ, &[protocol(family)]);
        }
        (carried, _) => {
            payload(list, PAYLOAD_LINK, 12..14, REG32);
            compare(list, CMP_EQ, &ether_type(carried));
        }
    }
}

const fn ether_type(carried: Carried) -> [u8; 2] {
    match carried {
        Carried::Ip(IpFamily::V4) => [0x08, 0x00],
        Carried::Ip(IpFamily::V6) => [0x86, 0xdd],
        Carried::Arp => [0x08, 0x06],
    }
}

fn load_key(list: &mut Message, fields: &[Field], held: Option<Field>) {
    let mut register = REG32;
    for (index, field) in fields.iter().enumerate() {
        if index > 0 || held != Some(*field) {
            load(list, *field, register);
        }
        register += value::slot(field.kind()) / 4;
    }
}

fn load(list: &mut Message, field: Field, register: u32) {
    let (base, offset) = match field {
        Field::InputInterface => return meta(list, META_IIFNAME, register),
        Field::OutputInterface => return meta(list, META_OIFNAME, register),
        Field::Protocol => return meta(list, META_L4PROTO, register),
        Field::NextHop(family) => return next_hop(list, family, register),
        field => place(field),
    };
    let width = value::width(field.kind());
    payload(list, base, offset..offset + width, register);
}

/// Tells where a field lies, from which header on. Offsets stand in RFC 791, 826 and 8200; ports are the first half-words of
/// TCP, UDP and SCTP alike.
const fn place(field: Field) -> (u32, u32) {
    match field {
        // All but the last are not in the packet: `load` asks the kernel for them.
        Field::InputInterface
        | Field::OutputInterface
        | Field::Protocol
        | Field::NextHop(_)
        | Field::EtherGroup => (PAYLOAD_LINK, 0),
        Field::EtherSource => (PAYLOAD_LINK, 6),
        Field::EtherType => (PAYLOAD_LINK, 12),
        Field::ArpFormat | Field::HeaderLength => (PAYLOAD_NETWORK, 0),
        Field::NextHeader | Field::FragmentOffset => (PAYLOAD_NETWORK, 6),
        Field::ArpEther | Field::Source(IpFamily::V6) => (PAYLOAD_NETWORK, 8),
        Field::Source(IpFamily::V4) => (PAYLOAD_NETWORK, 12),
        Field::ArpSource => (PAYLOAD_NETWORK, 14),
        Field::Destination(IpFamily::V4) | Field::DestinationClass => (PAYLOAD_NETWORK, 16),
        Field::FirstOption => (PAYLOAD_NETWORK, 20),
        Field::Destination(IpFamily::V6) => (PAYLOAD_NETWORK, 24),
        Field::InnerHeader | Field::InnerHead => (PAYLOAD_NETWORK, 40),
        Field::FragmentOffset6 => (PAYLOAD_NETWORK, 42),
        Field::InnerType | Field::NeighbourTarget => (PAYLOAD_NETWORK, 48),
        Field::Reported(IpFamily::V4) => (PAYLOAD_TRANSPORT, 24),
        Field::Reported(IpFamily::V6) => (PAYLOAD_TRANSPORT, 32),
        Field::SourcePort | Field::IgmpType | Field::IcmpType | Field::Icmp6Type => {
            (PAYLOAD_TRANSPORT, 0)
        }
        Field::DestinationPort => (PAYLOAD_TRANSPORT, 2),
        Field::TcpFlags => (PAYLOAD_TRANSPORT, 13),
    }
}

pub(crate) fn meta(list: &mut Message, key: u32, register: u32) {
    kernel(list, "meta", |data| {
        data.number(a::META_DREG, register);
        data.number(a::META_KEY, key);
    });
}

pub(crate) fn payload(list: &mut Message, base: u32, range: std::ops::Range<u32>, register: u32) {
    kernel(list, "payload", |data| {
        data.number(a::PAYLOAD_DREG, register);
        data.number(a::PAYLOAD_BASE, base);
        data.number(a::PAYLOAD_OFFSET, range.start);
        data.number(a::PAYLOAD_LEN, range.end - range.start);
    });
}

pub(crate) fn compare(list: &mut Message, operator: u32, bytes: &[u8]) {
    kernel(list, "cmp", |data| {
        data.number(a::CMP_SREG, REG32);
        data.number(a::CMP_OP, operator);
        data.nest(a::CMP_DATA, |data| data.bytes(a::DATA_VALUE, bytes));
    });
}

fn bitwise(list: &mut Message, mask: &[u8]) {
    kernel(list, "bitwise", |data| {
        data.number(a::BITWISE_SREG, REG32);
        data.number(a::BITWISE_DREG, REG32);
        data.number(a::BITWISE_LEN, u32::try_from(mask.len()).unwrap_or(0));
        data.nest(a::BITWISE_MASK, |data| data.bytes(a::DATA_VALUE, mask));
        let zero = vec![0; mask.len()];
        data.nest(a::BITWISE_XOR, |data| data.bytes(a::DATA_VALUE, &zero));
    });
}

fn lookup(list: &mut Message, set: &str, into: Option<u32>) {
    kernel(list, "lookup", |data| {
        data.text(a::LOOKUP_SET, set);
        data.number(a::LOOKUP_SREG, REG32);
        if let Some(register) = into {
            data.number(a::LOOKUP_DREG, register);
        }
    });
}

/// Matches any of the bits; registers hold numbers of the host's byte order.
fn flow(list: &mut Message, key: u32, bits: u32) {
    load_flow(list, key, bits);
    compare(list, CMP_NEQ, &[0; 4]);
}

fn load_flow(list: &mut Message, key: u32, bits: u32) {
    kernel(list, "ct", |data| {
        data.number(a::CT_DREG, REG32);
        data.number(a::CT_KEY, key);
    });
    bitwise(list, &bits.to_ne_bytes());
}

/// Adds the key in the first register to a set whose elements count flows, and matches beyond the number.
fn crowded(list: &mut Message, set: &str, number: u32) {
    kernel(list, "dynset", |data| {
        data.text(a::DYNSET_SET, set);
        data.number(a::DYNSET_OPERATION, DYNSET_ADD);
        data.number(a::DYNSET_KEY, REG32);
        data.nest(a::DYNSET_EXPRESSION, |count| {
            count.text(a::EXPR_NAME, "connlimit");
            count.nest(a::EXPR_DATA, |data| {
                data.number(a::CONNLIMIT_COUNT, number);
                data.number(a::CONNLIMIT_FLAGS, CONNLIMIT_OVER);
            });
        });
    });
}

/// Adds the key in the first registers to a set whose elements have a pace each, and matches within it.
fn paced(list: &mut Message, set: &str, pace: Pace) {
    kernel(list, "dynset", |data| {
        data.text(a::DYNSET_SET, set);
        data.number(a::DYNSET_OPERATION, DYNSET_UPDATE);
        data.number(a::DYNSET_KEY, REG32);
        data.nest(a::DYNSET_EXPRESSION, |limit| {
            limit.text(a::EXPR_NAME, "limit");
            limit.nest(a::EXPR_DATA, |data| {
                data.bytes(a::LIMIT_RATE, &u64::from(pace.times).to_be_bytes());
                data.bytes(a::LIMIT_UNIT, &pace.each.seconds().to_be_bytes());
                data.number(a::LIMIT_BURST, pace.burst);
            });
        });
    });
}

/// Adds the key in the first registers to a set, which has to have room.
fn remember(list: &mut Message, set: &str) {
    kernel(list, "dynset", |data| {
        data.text(a::DYNSET_SET, set);
        data.number(a::DYNSET_OPERATION, DYNSET_ADD);
        data.number(a::DYNSET_KEY, REG32);
    });
}

/// The routing that was done already says where a packet goes next: a gateway, or its destination itself.
fn next_hop(list: &mut Message, family: IpFamily, register: u32) {
    let key = match family {
        IpFamily::V4 => RT_NEXTHOP4,
        IpFamily::V6 => RT_NEXTHOP6,
    };
    kernel(list, "rt", |data| {
        data.number(a::RT_DREG, register);
        data.number(a::RT_KEY, key);
    });
}

fn is_local(list: &mut Message, address: u32) {
    kernel(list, "fib", |data| {
        data.number(a::FIB_DREG, REG32);
        data.number(a::FIB_RESULT, FIB_ADDRTYPE);
        data.number(a::FIB_FLAGS, address);
    });
    compare(list, CMP_EQ, &TYPE_LOCAL.to_ne_bytes());
}

/// The lookup before left address and port in consecutive registers.
fn redirect(list: &mut Message, family: IpFamily) {
    let port = REG32 + value::slot(Type::Address(family)) / 4;
    kernel(list, "nat", |data| {
        data.number(a::NAT_TYPE, NAT_DESTINATION);
        data.number(a::NAT_FAMILY, protocol(family).into());
        data.number(a::NAT_REG_ADDR_MIN, REG32);
        data.number(a::NAT_REG_PROTO_MIN, port);
    });
}

/// The lookup before left an Ethernet address. The kernel noted whose the frame was before it asked us.
/// Writes a port and mends the checksum, which lies where RFC 9293 and RFC 768 say.
fn set_port(list: &mut Message, protocol: Protocol, field: Field, port: u16) {
    let checksum = match protocol {
        Protocol::Tcp => Some(16),
        Protocol::Udp => Some(6),
        Protocol::Sctp => None,
    };
    kernel(list, "immediate", |data| {
        data.number(a::IMMEDIATE_DREG, REG32);
        data.nest(a::IMMEDIATE_DATA, |data| {
            data.bytes(a::DATA_VALUE, &port.to_be_bytes());
        });
    });
    let (base, offset) = place(field);
    kernel(list, "payload", |data| {
        data.number(a::PAYLOAD_SREG, REG32);
        data.number(a::PAYLOAD_BASE, base);
        data.number(a::PAYLOAD_OFFSET, offset);
        data.number(a::PAYLOAD_LEN, value::width(Type::Port));
        if let Some(offset) = checksum {
            data.number(a::PAYLOAD_CSUM_TYPE, PAYLOAD_CSUM_INET);
            data.number(a::PAYLOAD_CSUM_OFFSET, offset);
        }
    });
}

fn lead(list: &mut Message) {
    kernel(list, "payload", |data| {
        data.number(a::PAYLOAD_SREG, REG32);
        data.number(a::PAYLOAD_BASE, PAYLOAD_LINK);
        data.number(a::PAYLOAD_OFFSET, 0);
        data.number(a::PAYLOAD_LEN, value::width(Type::Ether));
    });
    kernel(list, "immediate", |data| {
        data.number(a::IMMEDIATE_DREG, REG32);
        data.nest(a::IMMEDIATE_DATA, |data| {
            data.bytes(a::DATA_VALUE, &[PACKET_HOST]);
        });
    });
    kernel(list, "meta", |data| {
        data.number(a::META_SREG, REG32);
        data.number(a::META_KEY, META_PKTTYPE);
    });
}

pub(crate) fn kernel(list: &mut Message, name: &str, fill: impl FnOnce(&mut Message)) {
    list.nest(a::LIST_ELEM, |element| {
        element.text(a::EXPR_NAME, name);
        element.nest(a::EXPR_DATA, fill);
    });
}

/// Tells what must be carried for the places that an expression reads to be what they are named for.
fn carried_by(expression: &Expression) -> Option<Carried> {
    match expression {
        Expression::Is(field, _) | Expression::Crowded(field, ..) => header(*field),
        Expression::In(fields, _)
        | Expression::Look(fields, _)
        | Expression::Lead(fields, _)
        | Expression::Remember(fields, _)
        | Expression::Paced(fields, ..) => fields.iter().find_map(|field| header(*field)),
        Expression::Redirect(family, ..) => Some(Carried::Ip(*family)),
        Expression::IpFamily(_)
        | Expression::LocalDestination
        | Expression::LocalSource
        | Expression::State(_)
        | Expression::Begins
        | Expression::Published
        | Expression::Tell(_)
        | Expression::Count
        | Expression::Do(_)
        | Expression::SetPort(..)
        | Expression::Masquerade => None,
    }
}

const fn header(field: Field) -> Option<Carried> {
    match field {
        Field::Source(family) | Field::Destination(family) | Field::NextHop(family) => {
            Some(Carried::Ip(family))
        }
        Field::NextHeader => Some(Carried::Ip(IpFamily::V6)),
        Field::ArpEther | Field::ArpSource => Some(Carried::Arp),
        Field::InputInterface
        | Field::OutputInterface
        | Field::Protocol
        | Field::DestinationPort
        | Field::SourcePort
        | Field::EtherGroup
        | Field::EtherSource
        | Field::EtherType
        | Field::ArpFormat
        | Field::HeaderLength
        | Field::DestinationClass
        | Field::FirstOption
        | Field::FragmentOffset
        | Field::FragmentOffset6
        | Field::InnerHeader
        | Field::InnerHead
        | Field::InnerType
        | Field::NeighbourTarget
        | Field::Reported(_)
        | Field::IgmpType
        | Field::IcmpType
        | Field::Icmp6Type
        | Field::TcpFlags => None,
    }
}

const fn protocol(family: IpFamily) -> u8 {
    match family {
        IpFamily::V4 => NFPROTO_IPV4,
        IpFamily::V6 => NFPROTO_IPV6,
    }
}

/// `NF_CT_STATE_BIT` of the states of `enum ip_conntrack_info`.
const fn bit(state: State) -> u32 {
    match state {
        State::Invalid => 1,
        State::Established => 1 << 1,
        State::Related => 1 << 2,
        State::New => 1 << 3,
        State::Untracked => 1 << 6,
    }
}
