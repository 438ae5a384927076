//! One entry of a log. Pure.

use std::{borrow::Cow, collections::BTreeMap};

use hakone_base::Timestamp;
use hakone_engine_api::stream::{StreamKind, header};
use serde::Deserialize;

/// What to read of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "five independent switches of one request"
)]
pub struct LogOptions {
    /// Stay until the container stops.
    pub follow: bool,
    /// Include what it wrote on stdout.
    pub stdout: bool,
    /// Include what it wrote on stderr.
    pub stderr: bool,
    /// Only entries from here on.
    pub since: Option<Timestamp>,
    /// Only entries up to here.
    pub until: Option<Timestamp>,
    /// Prefix each entry with its time.
    pub timestamps: bool,
    /// Only the last so many entries.
    pub tail: Option<u64>,
    /// Prefix each entry with its attributes.
    pub details: bool,
}

/// A line of the file.
#[derive(Debug, Deserialize)]
pub struct Entry<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
}

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The client wants it.
    Pass,
    /// The client does not want it.
    Skip,
    /// It is later than everything the client wants.
    Over,
}

impl<'a> Entry<'a> {
    /// Parses a line.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// Decides whether the client wants it.
    pub fn judge(&self, options: &LogOptions) -> Verdict {
        let wanted = match self.kind() {
            StreamKind::Stderr => options.stderr,
            StreamKind::Stdin | StreamKind::Stdout | StreamKind::System => options.stdout,
        };
        let bounded = options.since.is_some() || options.until.is_some();
        let at: Option<Timestamp> = bounded.then(|| self.time.parse().ok()).flatten();
        match (at, options.since, options.until) {
            (Some(at), _, Some(until)) if at > until => Verdict::Over,
            (Some(at), Some(since), _) if at < since => Verdict::Skip,
            _ if wanted => Verdict::Pass,
            _ => Verdict::Skip,
        }
    }

    /// Prints it for the client: with a frame's header unless a terminal wrote it.
    pub fn print(&self, options: &LogOptions, terminal: bool) -> Vec<u8> {
        let mut text = String::with_capacity(self.log.len() + 64);
        if options.timestamps {
            text.push_str(&full_time(&self.time));
            text.push(' ');
        }
        if options.details {
            let pairs = self.attrs.iter();
            let pairs: Vec<_> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
            text.push_str(&pairs.join(","));
            text.push(' ');
        }
        text.push_str(&self.log);
        if terminal {
            return text.into_bytes();
        }
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let mut bytes = header(self.kind(), length).to_vec();
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    fn kind(&self) -> StreamKind {
        match self.stream.as_ref() {
            "stderr" => StreamKind::Stderr,
            _ => StreamKind::Stdout,
        }
    }
}

/// Prints nine digits of the second, as `docker logs -t` does; the file drops trailing zeros.
fn full_time(time: &str) -> String {
    let Some((whole, rest)) = time.split_once('.') else {
        return match time.strip_suffix('Z') {
            Some(whole) => format!("{whole}.000000000Z"),
            None => time.to_owned(),
        };
    };
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (digits, zone) = rest.split_at_checked(end).unwrap_or((rest, ""));
    format!("{whole}.{digits:0<9}{zone}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &[u8] = br#"{"log":"hi\n","stream":"stderr","attrs":{"a":"1","b":"2"},"time":"2026-11-21T10:00:00.5Z"}"#;

    #[test]
    fn an_entry_becomes_a_frame_of_its_stream() {
        let options = LogOptions {
            stderr: true,
            ..LogOptions::default()
        };
        let entry = Entry::parse(LINE).unwrap();
        assert_eq!(entry.print(&options, false), b"\x02\0\0\0\0\0\0\x03hi\n");
        assert_eq!(entry.judge(&options), Verdict::Pass);
        let other = LogOptions {
            stdout: true,
            ..LogOptions::default()
        };
        assert_eq!(entry.judge(&other), Verdict::Skip);
    }

    #[test]
    fn times_have_nine_digits_and_details_come_after_them() {
        let options = LogOptions {
            timestamps: true,
            details: true,
            ..LogOptions::default()
        };
        let text = Entry::parse(LINE).unwrap().print(&options, true);
        assert_eq!(text, b"2026-11-21T10:00:00.500000000Z a=1,b=2 hi\n");
        assert_eq!(
            full_time("2026-11-21T10:00:00Z"),
            "2026-11-21T10:00:00.000000000Z"
        );
    }

    #[test]
    fn an_entry_after_until_ends_the_reading() {
        let options = LogOptions {
            stderr: true,
            until: Some("2026-11-21T09:00:00Z".parse().unwrap()),
            ..LogOptions::default()
        };
        assert_eq!(Entry::parse(LINE).unwrap().judge(&options), Verdict::Over);
    }

    #[test]
    fn garbage_is_no_entry() {
        assert!(Entry::parse(b"{\"log\":\"torn").is_none());
        assert!(Entry::parse(b"\xff\xfe").is_none());
        assert!(Entry::parse(b"null").is_none());
    }
}
