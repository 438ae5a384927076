//! Fluentd's forward protocol: one MessagePack array `[tag, time, record]` an entry; with receipts a fourth element names the
//! entry, and the server answers with that name when it has it.

use std::collections::BTreeMap;

use rmp::encode;
use serde::{Deserialize, Serialize};

use crate::Entry;

/// How entries become fluentd messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fluentd {
    /// By which fluentd routes.
    pub tag: String,
    /// What each record says of its container.
    pub fields: BTreeMap<String, String>,
    /// Whether times have nanoseconds (protocol 1) or whole seconds.
    pub subsecond: bool,
    /// Whether the server is asked to say that it has an entry.
    #[serde(default)]
    pub receipts: bool,
}

/// What of a server's words there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not enough yet.
    Part,
    /// It has the entry; so many bytes said so.
    Receipt(usize),
    /// Something else.
    Other,
}

/// The digits of an entry's name.
const NAME: usize = 32;

impl Fluentd {
    pub(crate) fn encode(&self, entry: &Entry<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(entry.text.len() + 256);
        // Writing to memory does not fail.
        encode::write_array_len(&mut out, if self.receipts { 4 } else { 3 }).ok();
        encode::write_str(&mut out, &self.tag).ok();
        self.time(&mut out, entry);
        let record = self.record(entry);
        encode::write_map_len(&mut out, u32::try_from(record.len()).unwrap_or(0)).ok();
        for (key, value) in record {
            encode::write_str(&mut out, key).ok();
            encode::write_str(&mut out, &value).ok();
        }
        if self.receipts {
            let name = format!("{:016x}{:016x}", entry.at.nanos(), entry.number);
            encode::write_map_len(&mut out, 1).ok();
            encode::write_str(&mut out, "chunk").ok();
            encode::write_str(&mut out, &name).ok();
        }
        out
    }

    /// Says whether a server's words are the receipt for a message that was encoded here.
    #[must_use]
    pub fn answer(message: &[u8], heard: &[u8]) -> Answer {
        // A text of this length has a byte for its kind and one for its length; some servers call it bytes.
        let name = message.get(message.len().saturating_sub(NAME)..);
        let head = [&b"\x81\xa3ack\xd9\x20"[..], &b"\x81\xa3ack\xc4\x20"[..]];
        let wanted = head.map(|head| [head, name.unwrap_or_default()].concat());
        match wanted.iter().find(|wanted| heard.starts_with(wanted)) {
            Some(whole) => Answer::Receipt(whole.len()),
            None if wanted.iter().any(|wanted| wanted.starts_with(heard)) => Answer::Part,
            None => Answer::Other,
        }
    }

    fn time(&self, out: &mut Vec<u8>, entry: &Entry<'_>) {
        let seconds = u32::try_from(entry.at.seconds()).unwrap_or(0);
        if !self.subsecond {
            encode::write_uint(out, seconds.into()).ok();
            return;
        }
        let nanos = u32::try_from(entry.at.nanos().rem_euclid(1_000_000_000)).unwrap_or(0);
        encode::write_ext_meta(out, 8, 0).ok();
        out.extend_from_slice(&seconds.to_be_bytes());
        out.extend_from_slice(&nanos.to_be_bytes());
    }

    fn record(&self, entry: &Entry<'_>) -> BTreeMap<&str, String> {
        let fields = self.fields.iter();
        let mut record: BTreeMap<&str, String> = fields
            .map(|(key, value)| (key.as_str(), value.clone()))
            .collect();
        record.insert("source", entry.source.as_str().to_owned());
        record.insert("log", entry.words());
        if let Some(piece) = entry.piece {
            record.insert("partial_message", "true".to_owned());
            record.insert("partial_id", format!("{:016x}", piece.line));
            record.insert("partial_ordinal", piece.ordinal.to_string());
            record.insert("partial_last", piece.last.to_string());
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Piece, Source};
    use hakone_base::Timestamp;

    fn bytes(subsecond: bool, piece: Option<Piece>) -> Vec<u8> {
        encoded(subsecond, piece, false)
    }

    fn encoded(subsecond: bool, piece: Option<Piece>, receipts: bool) -> Vec<u8> {
        let fluentd = Fluentd {
            tag: "web".into(),
            fields: BTreeMap::new(),
            subsecond,
            receipts,
        };
        fluentd.encode(&Entry {
            text: b"hi",
            source: Source::Stdout,
            at: Timestamp::from_nanos(1_500_000_000_000_000_007),
            offset: 0,
            piece,
            number: 1,
        })
    }

    #[test]
    fn a_message_is_tag_time_and_record() {
        let wanted = b"\x93\xa3web\xce\x59\x68\x2f\x00\x82\xa3log\xa2hi\xa6source\xa6stdout";
        assert_eq!(bytes(false, None), wanted);
        let wanted = b"\x93\xa3web\xd7\x00\x59\x68\x2f\x00\0\0\0\x07\x82";
        assert!(bytes(true, None).starts_with(wanted));
    }

    #[test]
    fn a_receipt_names_the_entry_and_nothing_else_is_one() {
        let message = encoded(false, None, true);
        assert!(message.starts_with(b"\x94\xa3web"));
        let name = message.get(message.len() - NAME..).unwrap();
        assert!(message.ends_with(&[b"\x81\xa5chunk\xd9\x20", name].concat()));
        for head in [&b"\x81\xa3ack\xd9\x20"[..], b"\x81\xa3ack\xc4\x20"] {
            let receipt = [head, name].concat();
            for cut in 0..receipt.len() {
                assert_eq!(Fluentd::answer(&message, &receipt[..cut]), Answer::Part);
            }
            let more = [&receipt[..], b"more"].concat();
            assert_eq!(
                Fluentd::answer(&message, &more),
                Answer::Receipt(receipt.len())
            );
            let mut other = receipt;
            other[20] ^= 1;
            assert_eq!(Fluentd::answer(&message, &other), Answer::Other);
        }
    }

    #[test]
    fn a_piece_says_of_which_line_it_is() {
        let piece = Piece {
            line: 1,
            ordinal: 2,
            last: true,
        };
        let text = String::from_utf8_lossy(&bytes(false, Some(piece))).into_owned();
        assert!(text.contains("partial_last\u{fffd}true"), "{text}");
    }
}
