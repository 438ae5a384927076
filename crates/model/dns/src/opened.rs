//! What an answer from upstream opens to the container that asked, where its policies allow the name.
//!
//! The answer is a stranger's: whoever serves an allowed name chooses addresses. So only what the question leads to counts, by
//! a bounded chain of aliases, and no address that is private, special, or means a machine by another's (attack `dns_rebinding`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData},
};

use crate::decide::{lowercase, parse};

/// The longest chain of aliases that is followed.
const ALIASES: usize = 16;
/// How many addresses of one answer count.
const ADDRESSES: usize = 64;
/// The shortest and longest time that an answer opens, in seconds, whatever it says: connections come a little after their
/// question, and an answer must not open for good.
const SHORTEST: u32 = 60;
const LONGEST: u32 = 3600;

/// What an answer opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The name asked for, lowercase and without a dot at its end.
    pub name: String,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// For how many seconds.
    pub seconds: u32,
}

/// Tells the name that a question is about, lowercase and without a dot at its end.
#[must_use]
pub fn asked_name(question: &[u8]) -> Option<String> {
    let question = parse(question)?;
    let [asked] = question.queries.as_slice() else {
        return None;
    };
    Some(lowercase(asked.name()))
}

/// Reads what an accepted answer to a question opens; `None` when that is nothing.
#[must_use]
pub fn opened(answer: &[u8]) -> Option<Opened> {
    let message = Message::from_vec(answer).ok()?;
    let ([asked], ResponseCode::NoError) =
        (message.queries.as_slice(), message.metadata.response_code)
    else {
        return None;
    };
    let mut at = asked.name().clone();
    let mut ttl = LONGEST;
    for _ in 0..ALIASES {
        let (addresses, shortest) = addresses(&message, &at);
        if !addresses.is_empty() {
            return Some(Opened {
                name: lowercase(asked.name()),
                addresses,
                seconds: ttl.min(shortest).clamp(SHORTEST, LONGEST),
            });
        }
        let (alias, of_alias) = alias(&message, &at)?;
        ttl = ttl.min(of_alias);
        at = alias;
    }
    None
}

fn addresses(message: &Message, name: &Name) -> (Vec<IpAddr>, u32) {
    let mut shortest = LONGEST;
    let mut addresses = Vec::new();
    for record in message
        .answers
        .iter()
        .filter(|one| is_same(&one.name, name))
    {
        let address = match &record.data {
            RData::A(address) => IpAddr::V4(address.0),
            RData::AAAA(address) => IpAddr::V6(address.0),
            _ => continue,
        };
        if is_of_the_world(address) && addresses.len() < ADDRESSES {
            shortest = shortest.min(record.ttl);
            addresses.push(address);
        }
    }
    (addresses, shortest)
}

fn alias(message: &Message, name: &Name) -> Option<(Name, u32)> {
    let mut records = message.answers.iter();
    records.find_map(|record| match &record.data {
        RData::CNAME(to) if is_same(&record.name, name) => Some((to.0.clone(), record.ttl)),
        _ => None,
    })
}

fn is_same(one: &Name, other: &Name) -> bool {
    lowercase(one) == lowercase(other)
}

/// Reports whether an address is one of the world: neither private nor special, nor another's in disguise.
#[must_use]
pub fn is_of_the_world(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_v4_of_the_world(address),
        IpAddr::V6(address) => is_v6_of_the_world(address),
    }
}

fn is_v4_of_the_world(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocols = (a, b, c) == (192, 0, 0);
    let relay = (a, b, c) == (192, 88, 99);
    let special = a == 0 || a >= 224 || shared || protocols || relay;
    !(special || address.is_private() || address.is_loopback() || address.is_link_local())
}

/// Global unicast (2000::/3), without those whose bits are an address of IPv4: 6to4 and Teredo. So also not `::ffff:0:0/96`,
/// `64:ff9b::/96`, unique local ones and those of one link.
fn is_v6_of_the_world(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let global = first & 0xe000 == 0x2000;
    let disguised = first == 0x2002 || (first, second) == (0x2001, 0);
    global && !disguised
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::{
        op::{OpCode, Query},
        rr::{Record, RecordType, rdata::CNAME},
    };

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn answer(asked: &str, records: &[(&str, u32, &str)]) -> Vec<u8> {
        let mut message = Message::response(7, OpCode::Query);
        message.add_query(Query::query(name(asked), RecordType::A));
        for (owner, ttl, data) in records {
            let data = match data.parse::<IpAddr>() {
                Ok(IpAddr::V4(address)) => RData::A(address.into()),
                Ok(IpAddr::V6(address)) => RData::AAAA(address.into()),
                Err(_) => RData::CNAME(CNAME(name(data))),
            };
            message.add_answer(Record::from_rdata(name(owner), *ttl, data));
        }
        message.to_vec().unwrap()
    }

    #[test]
    fn addresses_are_found_along_the_chain_from_the_question_alone() {
        let bytes = answer(
            "WWW.example.org.",
            &[
                ("evil.example.net.", 9, "198.51.100.66"),
                ("edge.example.net.", 120, "198.51.100.7"),
                ("www.example.ORG.", 300, "cdn.example.net."),
                ("cdn.example.net.", 90, "edge.example.net."),
            ],
        );
        let opened = opened(&bytes).unwrap();
        assert_eq!(opened.name, "www.example.org");
        assert_eq!(
            opened.addresses,
            ["198.51.100.7".parse::<IpAddr>().unwrap()]
        );
        assert_eq!(opened.seconds, 90);
    }

    #[test]
    fn times_have_a_floor_and_a_ceiling() {
        for (ttl, seconds) in [(0, SHORTEST), (70, 70), (u32::MAX, LONGEST)] {
            let bytes = answer("a.example.", &[("a.example.", ttl, "198.51.100.7")]);
            assert_eq!(opened(&bytes).unwrap().seconds, seconds);
        }
    }

    #[test]
    fn a_ring_of_aliases_ends_and_opens_nothing() {
        let ring = [
            ("a.example.", 9, "b.example."),
            ("b.example.", 9, "a.example."),
        ];
        assert_eq!(opened(&answer("a.example.", &ring)), None);
        assert_eq!(opened(b"junk"), None);
    }

    #[test]
    fn private_and_special_addresses_open_nothing_however_they_are_written() {
        let closed = [
            "10.1.2.3",
            "172.17.0.2",
            "192.168.1.1",
            "127.0.0.1",
            "0.0.0.0",
            "100.64.0.1",
            "169.254.169.254",
            "224.0.0.251",
            "255.255.255.255",
            "192.0.0.170",
            "192.88.99.1",
            "240.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "fc00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "::ffff:198.51.100.7",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001::1",
            "::10.0.0.1",
        ];
        for address in closed {
            assert!(!is_of_the_world(address.parse().unwrap()), "{address}");
            assert_eq!(
                opened(&answer("a.example.", &[("a.example.", 9, address)])),
                None,
                "{address}"
            );
        }
        for address in ["198.51.100.7", "8.8.8.8", "2001:db8::1", "2a00:1450::1"] {
            assert!(is_of_the_world(address.parse().unwrap()), "{address}");
        }
    }
}
