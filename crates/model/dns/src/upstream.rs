//! The road upstream and back: a fresh id out, and a reply let in only if it answers what was asked.

use hickory_proto::op::{Message, MessageType};

use crate::{Transport, decide::parse, reply::limit};

/// Makes the question as it goes upstream: the same bytes under an id of ours, which no container can guess.
#[must_use]
pub fn upstream_query(query: &[u8], id: u16) -> Option<Vec<u8>> {
    with_id(query, id)
}

/// Checks a reply and gives it the container's own id back; `None` means that it is not an answer to this question and the
/// wait goes on.
///
/// A reply too long for the container's datagram comes back without records, marked as cut, so that it asks over TCP.
#[must_use]
pub fn answer_from_upstream(
    query: &[u8],
    id: u16,
    reply: &[u8],
    transport: Transport,
) -> Option<Vec<u8>> {
    let asked = parse(query)?;
    let message = Message::from_vec(reply).ok()?;
    let same = message.metadata.message_type == MessageType::Response
        && message.metadata.id == id
        && message.metadata.op_code == asked.metadata.op_code
        && message.queries == asked.queries;
    if !same {
        return None;
    }
    match reply.len() <= limit(&asked, transport) {
        true => with_id(reply, asked.metadata.id),
        false => {
            let mut cut = message.truncate();
            cut.metadata.id = asked.metadata.id;
            cut.to_vec().ok()
        }
    }
}

fn with_id(message: &[u8], id: u16) -> Option<Vec<u8>> {
    let rest = message.get(2..)?;
    Some([&id.to_be_bytes(), rest].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::{
        op::{OpCode, Query},
        rr::{Name, RData, Record, RecordType},
    };
    use std::{net::Ipv4Addr, str::FromStr};

    fn question(name: &str) -> Message {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_str(name).unwrap(), RecordType::A));
        message
    }

    fn reply(name: &str, id: u16, answers: u8) -> Vec<u8> {
        let mut message = Message::response(id, OpCode::Query);
        let name = Name::from_str(name).unwrap();
        message.add_query(Query::query(name.clone(), RecordType::A));
        for last in 0..answers {
            let data = RData::A(Ipv4Addr::new(192, 0, 2, last).into());
            message.add_answer(Record::from_rdata(name.clone(), 60, data));
        }
        message.to_vec().unwrap()
    }

    fn accepted(reply: &[u8]) -> Option<Message> {
        let query = question("example.com.").to_vec().unwrap();
        let bytes = answer_from_upstream(&query, 999, reply, Transport::Udp)?;
        Some(Message::from_vec(&bytes).unwrap())
    }

    #[test]
    fn the_right_reply_gets_the_containers_id_back() {
        let message = accepted(&reply("example.com.", 999, 1)).unwrap();
        assert_eq!((message.metadata.id, message.answers.len()), (7, 1));
    }

    #[test]
    fn forged_replies_are_not_let_in() {
        assert!(accepted(&reply("example.com.", 998, 1)).is_none());
        assert!(accepted(&reply("example.org.", 999, 1)).is_none());
        assert!(accepted(&question("example.com.").to_vec().unwrap()).is_none());
        assert!(accepted(b"junk").is_none());
    }

    #[test]
    fn a_reply_too_long_is_cut() {
        let message = accepted(&reply("example.com.", 999, 60)).unwrap();
        assert!(message.metadata.truncation && message.answers.is_empty());
    }

    #[test]
    fn the_question_leaves_under_another_id() {
        let query = question("example.com.").to_vec().unwrap();
        let sent = upstream_query(&query, 0xbeef).unwrap();
        assert_eq!(sent[..2], [0xbe, 0xef]);
        assert_eq!(sent[2..], query[2..]);
    }
}
