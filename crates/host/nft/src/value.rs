//! Values as the kernel compares them: bytes in registers, each part of a key padded to four.

use std::net::IpAddr;

use hakone_policy::ruleset::{IpFamily, Key, Target, Type, Value};

/// `IFNAMSIZ`: names are compared with their padding.
const NAME: usize = 16;

/// Gives the bytes of a value, first address for a prefix.
pub(crate) fn first(value: &Value) -> Vec<u8> {
    match value {
        Value::IfName(name) => {
            let mut bytes = name.as_str().as_bytes().to_vec();
            bytes.resize(NAME, 0);
            bytes
        }
        Value::Address(address) | Value::Target(address) => octets(*address),
        Value::Prefix(subnet) => octets(subnet.address()),
        Value::Protocol(number) | Value::Protocols(number, _) => vec![*number],
        Value::Port(port) | Value::Ports(port, _) => port.to_be_bytes().into(),
        Value::Stem(stem) => stem.as_str().as_bytes().to_vec(),
        Value::Ether(address) => address.octets().into(),
        Value::Icmp6Type(kind) => vec![*kind],
        Value::Raw(bytes) => bytes.clone(),
    }
}

/// Gives the bytes of the last value that is covered.
pub(crate) fn last(value: &Value) -> Vec<u8> {
    match value {
        Value::Prefix(subnet) => octets(subnet.net().broadcast()),
        Value::Protocols(_, number) => vec![*number],
        Value::Ports(_, port) => port.to_be_bytes().into(),
        Value::IfName(_)
        | Value::Address(_)
        | Value::Protocol(_)
        | Value::Port(_)
        | Value::Stem(_)
        | Value::Ether(_)
        | Value::Icmp6Type(_)
        | Value::Target(_)
        | Value::Raw(_) => first(value),
    }
}

/// Gives the mask that a value is compared under, when not all of its bits count.
pub(crate) fn mask(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Prefix(subnet) if subnet.prefix_len() < subnet.net().max_prefix_len() => {
            Some(octets(subnet.net().netmask()))
        }
        Value::Prefix(_)
        | Value::Protocols(..)
        | Value::Ports(..)
        | Value::IfName(_)
        | Value::Address(_)
        | Value::Protocol(_)
        | Value::Port(_)
        | Value::Stem(_)
        | Value::Ether(_)
        | Value::Icmp6Type(_)
        | Value::Target(_)
        | Value::Raw(_) => None,
    }
}

/// Joins the parts of a key.
pub(crate) fn key(key: &Key, bytes: impl Fn(&Value) -> Vec<u8>) -> Vec<u8> {
    match key.as_slice() {
        [single] => bytes(single),
        parts => parts.iter().flat_map(|part| padded(bytes(part))).collect(),
    }
}

/// Gives what follows a value; `None` after the last of all.
pub(crate) fn successor(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    for byte in bytes.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return Some(bytes);
        }
    }
    None
}

/// Gives the bytes of a translation's address and port.
pub(crate) fn target(target: &Target) -> Vec<u8> {
    let mut bytes = octets(target.address);
    bytes.extend(padded(target.port.to_be_bytes().into()));
    bytes
}

/// Gives the number of bytes of a type.
pub(crate) const fn width(kind: Type) -> u32 {
    match kind {
        Type::Address(IpFamily::V4) | Type::Target(IpFamily::V4) => 4,
        Type::Address(IpFamily::V6) | Type::IfName | Type::Target(IpFamily::V6) => 16,
        Type::Protocol | Type::Icmp6Type => 1,
        Type::Port => 2,
        Type::Ether => 6,
        Type::Raw(bytes) => u32::from_be_bytes([0, 0, 0, bytes]),
    }
}

/// Gives the number of bytes that a type takes as a part of a key.
pub(crate) const fn slot(kind: Type) -> u32 {
    width(kind).next_multiple_of(4)
}

/// Gives the number by which nft knows a type, so that it can list our sets.
pub(crate) const fn number(kind: Type) -> u32 {
    match kind {
        Type::Address(IpFamily::V4) | Type::Target(IpFamily::V4) => 7,
        Type::Address(IpFamily::V6) | Type::Target(IpFamily::V6) => 8,
        Type::Ether => 9,
        Type::Icmp6Type => 29,
        Type::Raw(_) => 4,
        Type::Protocol => 12,
        Type::Port => 13,
        Type::IfName => 41,
    }
}

/// Gives nft's number of a concatenation: six bits a part.
pub(crate) fn numbers(kinds: &[Type]) -> u32 {
    kinds.iter().fold(0, |all, kind| (all << 6) | number(*kind))
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_its_successor() {
        let value = Value::Prefix("172.18.0.0/16".parse().unwrap());
        assert_eq!(first(&value), [172, 18, 0, 0]);
        assert_eq!(last(&value), [172, 18, 255, 255]);
        assert_eq!(successor(last(&value)), Some(vec![172, 19, 0, 0]));
        let all = Value::Prefix("::/0".parse().unwrap());
        assert_eq!(successor(last(&all)), None);
    }

    #[test]
    fn parts_of_a_key_are_padded_and_a_single_one_is_not() {
        assert_eq!(key(&vec![Value::Port(80)], first), [0, 80]);
        assert_eq!(
            key(&vec![Value::Protocol(6), Value::Port(80)], first),
            [6, 0, 0, 0, 0, 80, 0, 0]
        );
    }
}
