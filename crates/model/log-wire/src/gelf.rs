//! GELF 1.1: JSON, compressed and cut into datagrams for UDP, ended by a zero byte on streams.

use std::{collections::BTreeMap, io::Write as _};

use flate2::write::{GzEncoder, ZlibEncoder};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Entry;

/// The longest datagram; what is longer is cut. Fits an Ethernet frame.
const DATAGRAM: usize = 1420;
/// Bytes before each part: magic, id, number, count.
const HEAD: usize = 12;
/// Parts of one message at most.
const PARTS: usize = 128;

/// How datagrams are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// gzip, at a level.
    Gzip(u32),
    /// zlib, at a level.
    Zlib(u32),
    /// Not at all.
    None,
}

/// How entries become GELF messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gelf {
    /// The host's name.
    pub hostname: String,
    /// What each message says of its container, by names that begin with `_`.
    pub fields: BTreeMap<String, String>,
    /// How datagrams are compressed; none of it on a stream.
    pub compression: Compression,
    /// Whether messages travel as datagrams.
    pub datagrams: bool,
}

impl Gelf {
    pub(crate) fn encode(&self, entry: &Entry<'_>) -> Vec<Vec<u8>> {
        // GELF has no message without words.
        if entry.text.is_empty() {
            return Vec::new();
        }
        let json = self.json(entry);
        if !self.datagrams {
            return vec![[json.as_slice(), b"\0"].concat()];
        }
        let packed = self.pack(&json).unwrap_or(json);
        cut(packed, entry.at.nanos().unsigned_abs() ^ entry.number)
    }

    fn json(&self, entry: &Entry<'_>) -> Vec<u8> {
        let mut message = Map::new();
        message.insert("version".into(), "1.1".into());
        message.insert("host".into(), self.hostname.as_str().into());
        message.insert("short_message".into(), entry.words().into());
        message.insert("timestamp".into(), seconds(entry.at.nanos()));
        message.insert("level".into(), json!(entry.source.severity()));
        let fields = self.fields.iter();
        message.extend(fields.map(|(key, value)| (key.clone(), value.as_str().into())));
        serde_json::to_vec(&message).unwrap_or_default()
    }

    fn pack(&self, json: &[u8]) -> Option<Vec<u8>> {
        match self.compression {
            Compression::None => None,
            Compression::Gzip(level) => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(level));
                encoder.write_all(json).ok()?;
                encoder.finish().ok()
            }
            Compression::Zlib(level) => {
                let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::new(level));
                encoder.write_all(json).ok()?;
                encoder.finish().ok()
            }
        }
    }
}

/// Seconds with their thousandths, as a number.
fn seconds(nanos: i64) -> Value {
    let millis = nanos / 1_000_000;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age fit")]
    let seconds = millis as f64 / 1000.0;
    json!(seconds)
}

/// Cuts a message into datagrams. One that needs too many is dropped: no receiver would take it.
fn cut(message: Vec<u8>, id: u64) -> Vec<Vec<u8>> {
    if message.len() <= DATAGRAM {
        return vec![message];
    }
    let parts: Vec<&[u8]> = message.chunks(DATAGRAM - HEAD).collect();
    let Some(count) = u8::try_from(parts.len())
        .ok()
        .filter(|count| usize::from(*count) <= PARTS)
    else {
        return Vec::new();
    };
    let numbered = (0..count).zip(parts);
    numbered
        .map(|(number, part)| {
            let mut datagram = vec![0x1e, 0x0f];
            datagram.extend_from_slice(&id.to_be_bytes());
            datagram.extend_from_slice(&[number, count]);
            datagram.extend_from_slice(part);
            datagram
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use hakone_base::Timestamp;
    use std::io::Read as _;

    fn entry(text: &[u8]) -> Entry<'_> {
        Entry {
            text,
            source: Source::Stdout,
            at: Timestamp::from_nanos(1_500_000_001_234_567_890),
            offset: 0,
            piece: None,
            number: 1,
        }
    }

    fn gelf(compression: Compression, datagrams: bool) -> Gelf {
        Gelf {
            hostname: "box".into(),
            fields: [("_tag".to_owned(), "web".to_owned())].into(),
            compression,
            datagrams,
        }
    }

    #[test]
    fn a_message_is_json_ended_by_zero() {
        let messages = gelf(Compression::None, false).encode(&entry(b"hi"));
        let [message] = messages.as_slice() else {
            panic!("one message");
        };
        let json: Value = serde_json::from_slice(message.strip_suffix(b"\0").unwrap()).unwrap();
        let wanted = json!({
            "version": "1.1", "host": "box", "short_message": "hi",
            "timestamp": 1_500_000_001.234, "level": 6, "_tag": "web",
        });
        assert_eq!(json, wanted);
        assert!(
            gelf(Compression::None, false)
                .encode(&entry(b""))
                .is_empty()
        );
    }

    #[test]
    fn datagrams_are_compressed() {
        let messages = gelf(Compression::Gzip(1), true).encode(&entry(b"hi"));
        let [message] = messages.as_slice() else {
            panic!("one datagram");
        };
        let mut text = String::new();
        let mut plain = flate2::read::GzDecoder::new(message.as_slice());
        plain.read_to_string(&mut text).unwrap();
        assert!(text.contains("\"short_message\":\"hi\""), "{text}");
    }

    #[test]
    fn long_messages_are_cut_and_numbered() {
        let messages = gelf(Compression::None, true).encode(&entry(&[b'a'; 4000]));
        assert_eq!(messages.len(), 3);
        let whole: Vec<u8> = messages
            .iter()
            .flat_map(|part| &part[HEAD..])
            .copied()
            .collect();
        assert!(serde_json::from_slice::<Value>(&whole).is_ok());
        for (number, part) in messages.iter().enumerate() {
            assert!(part.len() <= DATAGRAM);
            assert_eq!(
                (part[0], part[1], usize::from(part[10]), part[11]),
                (0x1e, 0x0f, number, 3)
            );
            assert_eq!(part[2..10], messages[0][2..10]);
        }
        assert!(cut(vec![0; DATAGRAM * PARTS], 1).is_empty());
    }
}
