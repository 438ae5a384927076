//! The journal's native protocol: one datagram of fields an entry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Entry;

/// How entries become journal entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journald {
    /// What each entry says of its container.
    pub fields: BTreeMap<String, String>,
    /// Names this run of the container, so that numbers of entries can be compared.
    pub epoch: String,
}

impl Journald {
    pub(crate) fn encode(&self, entry: &Entry<'_>) -> Option<Vec<u8>> {
        if entry.text.is_empty() {
            return None;
        }
        let mut out = Vec::with_capacity(entry.text.len() + 512);
        field(&mut out, "MESSAGE", entry.text);
        field(
            &mut out,
            "PRIORITY",
            entry.source.severity().to_string().as_bytes(),
        );
        field(
            &mut out,
            "SYSLOG_TIMESTAMP",
            entry.at.to_string().as_bytes(),
        );
        field(&mut out, "CONTAINER_LOG_EPOCH", self.epoch.as_bytes());
        field(
            &mut out,
            "CONTAINER_LOG_ORDINAL",
            entry.number.to_string().as_bytes(),
        );
        for (name, value) in &self.fields {
            field(&mut out, name, value.as_bytes());
        }
        if let Some(piece) = entry.piece {
            let line = format!("{:016x}", piece.line);
            field(&mut out, "CONTAINER_PARTIAL_ID", line.as_bytes());
            field(
                &mut out,
                "CONTAINER_PARTIAL_ORDINAL",
                piece.ordinal.to_string().as_bytes(),
            );
            field(
                &mut out,
                "CONTAINER_PARTIAL_LAST",
                piece.last.to_string().as_bytes(),
            );
            if !piece.last {
                field(&mut out, "CONTAINER_PARTIAL_MESSAGE", b"true");
            }
        }
        Some(out)
    }
}

/// Writes a field; a value that holds a line feed comes with its length, or it could bring fields of its own.
fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Makes a field's name of a label's or variable's: what the journal refuses is replaced, what it keeps to itself taken off.
#[must_use]
pub fn field_name(key: &str) -> String {
    let letters = key.chars().map(|letter| match letter {
        'a'..='z' => letter.to_ascii_uppercase(),
        'A'..='Z' | '0'..='9' => letter,
        _ => '_',
    });
    let name: String = letters.collect();
    name.trim_start_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use hakone_base::Timestamp;

    fn entry(text: &[u8]) -> Entry<'_> {
        Entry {
            text,
            source: Source::Stderr,
            at: Timestamp::from_nanos(0),
            offset: 0,
            piece: None,
            number: 5,
        }
    }

    #[test]
    fn an_entry_is_a_list_of_fields() {
        let journald = Journald {
            fields: [("CONTAINER_NAME".to_owned(), "web".to_owned())].into(),
            epoch: "e".into(),
        };
        let text = String::from_utf8(journald.encode(&entry(b"hi")).unwrap()).unwrap();
        assert!(text.starts_with("MESSAGE=hi\nPRIORITY=3\n"), "{text}");
        assert!(text.contains("\nCONTAINER_NAME=web\n"), "{text}");
        assert!(text.contains("\nCONTAINER_LOG_ORDINAL=5\n"), "{text}");
        assert_eq!(journald.encode(&entry(b"")), None);
    }

    #[test]
    fn a_line_feed_in_a_value_brings_no_field() {
        let mut out = Vec::new();
        field(&mut out, "A", b"x\nPRIORITY=0");
        assert_eq!(out, b"A\n\x0c\0\0\0\0\0\0\0x\nPRIORITY=0\n");
    }

    #[test]
    fn names_are_those_that_the_journal_takes() {
        assert_eq!(field_name("com.example-tier"), "COM_EXAMPLE_TIER");
        assert_eq!(field_name("__TRUSTED"), "TRUSTED");
    }
}
