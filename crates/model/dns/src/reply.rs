//! Builds replies and fits them to their transport.

use std::net::IpAddr;

use hickory_proto::{
    op::{Edns, Message, Metadata, ResponseCode},
    rr::{Name, RData, Record, rdata::PTR},
};

use crate::Transport;

/// How long a client may keep an answer, in seconds; Docker's figure.
const TTL: u32 = 600;
/// The size every client takes (RFC 1035).
const PLAIN: u16 = 512;
/// The largest datagram we send, whatever a client says it takes.
const LARGEST: u16 = 4096;

/// Answers with addresses in an order that the seed decides, so that clients spread over them.
pub(crate) fn addresses(
    query: &Message,
    mut addresses: Vec<IpAddr>,
    transport: Transport,
    seed: u64,
) -> Option<Vec<u8>> {
    shuffle(&mut addresses, seed);
    let mut reply = start(query);
    let name = query.queries.first()?.name();
    for address in addresses {
        let data = match address {
            IpAddr::V4(address) => RData::A(address.into()),
            IpAddr::V6(address) => RData::AAAA(address.into()),
        };
        reply.add_answer(Record::from_rdata(name.clone(), TTL, data));
    }
    fit(reply, query, transport)
}

/// Answers with the name behind an address.
pub(crate) fn pointer(query: &Message, name: &str, transport: Transport) -> Option<Vec<u8>> {
    let mut reply = start(query);
    let mut target = Name::from_ascii(name).ok()?;
    target.set_fqdn(true);
    let asked = query.queries.first()?.name().clone();
    reply.add_answer(Record::from_rdata(asked, TTL, RData::PTR(PTR(target))));
    fit(reply, query, transport)
}

/// Answers with nothing but a code.
pub(crate) fn code(query: &Message, code: ResponseCode, transport: Transport) -> Option<Vec<u8>> {
    let mut reply = start(query);
    reply.metadata.response_code = code;
    if let Some(edns) = &mut reply.edns {
        edns.set_rcode_high(code.high());
    }
    fit(reply, query, transport)
}

fn start(query: &Message) -> Message {
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.metadata = Metadata::response_from_request(&query.metadata);
    reply.metadata.recursion_available = true;
    reply.metadata.checking_disabled = false;
    reply.add_queries(query.queries.iter().cloned());
    if query.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(LARGEST);
        reply.set_edns(edns);
    }
    reply
}

/// Takes answers off until the rest fits, and says so: the client then asks again over a stream.
fn fit(mut reply: Message, query: &Message, transport: Transport) -> Option<Vec<u8>> {
    let limit = limit(query, transport);
    let mut bytes = reply.to_vec().ok()?;
    while bytes.len() > limit {
        let over = bytes.len() - limit;
        // The shortest answer, an address of IPv4 under a compressed name, has 16 bytes.
        let keep = reply.answers.len().checked_sub(over.div_ceil(28).max(1))?;
        reply.answers.truncate(keep);
        reply.metadata.truncation = true;
        bytes = reply.to_vec().ok()?;
    }
    Some(bytes)
}

/// Gives the size that the client takes.
pub(crate) fn limit(query: &Message, transport: Transport) -> usize {
    let told = query.edns.as_ref().map_or(PLAIN, Edns::max_payload);
    match transport {
        Transport::Udp => usize::from(told.clamp(PLAIN, LARGEST)),
        Transport::Tcp => usize::from(u16::MAX),
    }
}

/// Shuffles after Fisher and Yates with the numbers of splitmix64.
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed;
    for end in (1..items.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bound = u64::try_from(end).unwrap_or(u64::MAX).saturating_add(1);
        let place = usize::try_from((mixed ^ (mixed >> 31)) % bound).unwrap_or(end);
        items.swap(end, place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffling_loses_nothing_and_reaches_every_first() {
        let mut firsts = std::collections::BTreeSet::new();
        for seed in 0..64 {
            let mut items = [1, 2, 3, 4];
            shuffle(&mut items, seed);
            firsts.insert(items[0]);
            items.sort_unstable();
            assert_eq!(items, [1, 2, 3, 4]);
        }
        assert_eq!(firsts.len(), 4);
    }
}
