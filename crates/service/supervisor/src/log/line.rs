//! Cuts output into lines and prints each as Docker's `json-file` does.
//!
//! A line longer than 16 KiB comes in pieces, only the last with its newline; all pieces carry the time of the first.

use std::{collections::BTreeMap, io::Write as _};

use hakone_base::Timestamp;

/// The longest piece of a line.
const PIECE: usize = 16 * 1024;

/// Cuts one stream into lines.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    /// The line begun, shorter than [`PIECE`].
    begun: Vec<u8>,
    /// When the first piece of the present line was written.
    since: Option<Timestamp>,
}

/// One line, or a piece of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) text: &'a [u8],
    pub(super) whole: bool,
    pub(super) at: Timestamp,
}

impl Splitter {
    /// Takes bytes and gives every line and piece that is complete with them.
    pub(super) fn feed(&mut self, bytes: &[u8], now: Timestamp, sink: &mut dyn FnMut(Entry<'_>)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(rest) => self.finish(self.pieces(rest), rest, now, sink),
                None => self.begin(part, now, sink),
            }
        }
    }

    /// Gives the line begun as a piece: it never got its newline.
    pub(super) fn end(&mut self, now: Timestamp, sink: &mut dyn FnMut(Entry<'_>)) {
        let text = std::mem::take(&mut self.begun);
        if !text.is_empty() {
            sink(self.piece(&text, now));
        }
        self.since = None;
    }

    /// Tells how many bytes of `rest` fill up the line begun to a piece, if it overflows at all.
    fn pieces(&self, rest: &[u8]) -> Option<usize> {
        (self.begun.len() + rest.len() >= PIECE).then(|| PIECE - self.begun.len())
    }

    fn begin(&mut self, mut part: &[u8], now: Timestamp, sink: &mut dyn FnMut(Entry<'_>)) {
        while let Some((head, tail)) = self.pieces(part).and_then(|n| part.split_at_checked(n)) {
            self.begun.extend_from_slice(head);
            let text = std::mem::take(&mut self.begun);
            sink(self.piece(&text, now));
            part = tail;
        }
        self.begun.extend_from_slice(part);
    }

    fn finish(
        &mut self,
        overflow: Option<usize>,
        rest: &[u8],
        now: Timestamp,
        sink: &mut dyn FnMut(Entry<'_>),
    ) {
        if overflow.is_some() || !self.begun.is_empty() {
            self.begin(rest, now, sink);
            let text = std::mem::take(&mut self.begun);
            sink(self.line(&text, now));
        } else {
            sink(self.line(rest, now));
        }
    }

    fn piece<'a>(&mut self, text: &'a [u8], now: Timestamp) -> Entry<'a> {
        Entry {
            text,
            whole: false,
            at: *self.since.get_or_insert(now),
        }
    }

    fn line<'a>(&mut self, text: &'a [u8], now: Timestamp) -> Entry<'a> {
        Entry {
            text,
            whole: true,
            at: self.since.take().unwrap_or(now),
        }
    }
}

impl Entry<'_> {
    /// Appends the entry as one line of JSON.
    pub(super) fn encode(self, stream: &str, attributes: Option<&str>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"log\":\"");
        escape(self.text, out);
        if self.whole {
            out.extend_from_slice(b"\\n");
        }
        out.extend_from_slice(b"\",\"stream\":\"");
        out.extend_from_slice(stream.as_bytes());
        out.push(b'"');
        if let Some(attributes) = attributes {
            out.extend_from_slice(b",\"attrs\":");
            out.extend_from_slice(attributes.as_bytes());
        }
        // Writing to memory does not fail.
        writeln!(out, ",\"time\":\"{}\"}}", self.at).ok();
    }
}

/// Prints the attributes once; nothing when there are none.
pub(super) fn attributes(given: &BTreeMap<String, String>) -> Option<Box<str>> {
    if given.is_empty() {
        return None;
    }
    serde_json::to_string(given).ok().map(Into::into)
}

/// Escapes as Docker does: `<`, `>`, `&` and the two odd line ends too, what is not UTF-8 as U+FFFD.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        escape_str(chunk.valid(), out);
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

fn escape_str(text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.find(is_special) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain.as_bytes());
        let mut letters = tail.chars();
        if let Some(letter) = letters.next() {
            escape_char(letter, out);
        }
        rest = letters.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

fn is_special(letter: char) -> bool {
    letter < ' '
        || matches!(
            letter,
            '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}'
        )
}

fn escape_char(letter: char, out: &mut Vec<u8>) {
    let written = match letter {
        '"' => out.write_all(b"\\\""),
        '\\' => out.write_all(b"\\\\"),
        '\n' => out.write_all(b"\\n"),
        '\r' => out.write_all(b"\\r"),
        other => write!(out, "\\u{:04x}", u32::from(other)),
    };
    // Writing to memory does not fail.
    written.ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1_795_290_175_123_456_789);
    const LATER: Timestamp = Timestamp::from_nanos(1_795_290_176_000_000_000);

    fn cut(chunks: &[(&[u8], Timestamp)]) -> Vec<(Vec<u8>, bool, Timestamp)> {
        let mut splitter = Splitter::default();
        let mut seen = Vec::new();
        let mut sink = |entry: Entry<'_>| seen.push((entry.text.to_vec(), entry.whole, entry.at));
        for (chunk, at) in chunks {
            splitter.feed(chunk, *at, &mut sink);
        }
        splitter.end(LATER, &mut sink);
        seen
    }

    fn print(text: &[u8], attributes: Option<&str>) -> String {
        let mut out = Vec::new();
        let entry = Entry {
            text,
            whole: true,
            at: NOW,
        };
        entry.encode("stdout", attributes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_printed_as_docker_prints_it() {
        assert_eq!(
            print(b"hi", None),
            "{\"log\":\"hi\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-21T19:42:55.123456789Z\"}\n"
        );
    }

    #[test]
    fn attributes_stand_before_the_time() {
        let given = BTreeMap::from([("tag".to_owned(), "x".to_owned())]);
        let line = print(b"", attributes(&given).as_deref());
        assert!(
            line.contains(",\"attrs\":{\"tag\":\"x\"},\"time\":"),
            "{line}"
        );
    }

    #[test]
    fn special_bytes_are_escaped_as_docker_escapes_them() {
        let line = print(b"\"\\\t\r<>&\xff\xe2\x80\xa8\x1b", None);
        let wanted = r#"{"log":"\"\\\u0009\r\u003c\u003e\u0026\ufffd\u2028\u001b\n","#;
        assert!(line.starts_with(wanted), "{line}");
    }

    #[test]
    fn a_line_may_come_in_many_chunks() {
        let seen = cut(&[(b"he", NOW), (b"llo\nwor", LATER), (b"ld", LATER)]);
        assert_eq!(
            seen,
            [
                (b"hello".to_vec(), true, LATER),
                (b"world".to_vec(), false, LATER)
            ]
        );
    }

    #[test]
    fn a_long_line_comes_in_pieces_of_16_kib_with_the_time_of_the_first() {
        let long = vec![b'x'; 2 * PIECE + 10];
        let seen = cut(&[(&long, NOW), (b"\n", LATER)]);
        let shape: Vec<_> = seen
            .iter()
            .map(|(t, whole, at)| (t.len(), *whole, *at))
            .collect();
        assert_eq!(
            shape,
            [(PIECE, false, NOW), (PIECE, false, NOW), (10, true, NOW)]
        );
    }

    #[test]
    fn a_line_of_exactly_16_kib_ends_with_an_empty_piece() {
        let mut line = vec![b'x'; PIECE];
        line.push(b'\n');
        let seen = cut(&[(&line, NOW)]);
        let shape: Vec<_> = seen.iter().map(|(t, whole, _)| (t.len(), *whole)).collect();
        assert_eq!(shape, [(PIECE, false), (0, true)]);
    }

    #[test]
    fn pieces_put_together_give_the_stream_again() {
        let text = b"a\n\nbb\nccc";
        for size in 1..text.len() {
            let chunks: Vec<_> = text.chunks(size).map(|chunk| (chunk, NOW)).collect();
            let mut whole = Vec::new();
            for (line, ends, _) in cut(&chunks) {
                whole.extend(line);
                whole.extend(ends.then_some(b'\n'));
            }
            assert_eq!(whole, text);
        }
    }
}
