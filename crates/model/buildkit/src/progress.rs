//! Progress as buildx draws it: vertices by digest, moments, logs that have a limit.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use hakone_base::Digest;

use crate::wire::Timestamp;

/// The most that is kept and shown of one step's output.
const LOG_LIMIT: usize = 2 << 20;
/// What stands at the end of an output that was longer.
const CLIPPED: &[u8] = b"\n[output clipped, log limit 2MiB reached]\n";

/// A point in time: nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl fmt::Display for Moment {
    /// Writes it as RFC 3339 has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = Duration::from_nanos(self.0);
        hakone_base::Timestamp::from(SystemTime::UNIX_EPOCH + since).fmt(f)
    }
}

impl From<Moment> for Timestamp {
    fn from(Moment(nanos): Moment) -> Self {
        Self {
            seconds: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
            nanos: i32::try_from(nanos % 1_000_000_000).unwrap_or(0),
        }
    }
}

/// Names a vertex of one build: the same step of another build is another vertex.
#[must_use]
pub fn vertex_digest(build: &str, name: &str) -> String {
    let text = [build.as_bytes(), b"\0", name.as_bytes()].concat();
    Digest::of(&text).as_str().to_owned()
}

/// Cuts `bytes` to what may still be shown after `shown` bytes of the same step, and says so once.
#[must_use]
pub fn clip(shown: usize, bytes: &[u8]) -> Vec<u8> {
    let room = LOG_LIMIT.saturating_sub(shown);
    match bytes.get(..room) {
        None => bytes.to_vec(),
        Some(_) if bytes.len() == room => bytes.to_vec(),
        Some([]) if shown > LOG_LIMIT => Vec::new(),
        Some(head) => [head, CLIPPED].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_output_is_cut_once() {
        let mut shown = 0;
        let mut text = Vec::new();
        for _ in 0..40 {
            let part = clip(shown, &[b'x'; 100_000]);
            shown += part.len();
            text.extend(part);
        }
        assert_eq!(text.len(), LOG_LIMIT + CLIPPED.len());
        assert!(text.ends_with(CLIPPED));
    }

    #[test]
    fn moments_are_seconds_and_nanoseconds() {
        let stamp = Timestamp::from(Moment(1_500_000_000));
        assert_eq!((stamp.seconds, stamp.nanos), (1, 500_000_000));
        assert_eq!(Moment(1_500_000_000).to_string(), "1970-01-01T00:00:01.5Z");
    }

    #[test]
    fn a_step_of_another_build_is_another_vertex() {
        assert_ne!(vertex_digest("a", "FROM x"), vertex_digest("b", "FROM x"));
        assert!(vertex_digest("a", "FROM x").starts_with("sha256:"));
    }
}
