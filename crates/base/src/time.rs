//! Points in time as the Engine API prints and takes them.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Nanoseconds since 1970-01-01T00:00:00Z; zero stands for "never" as in the Engine API.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// Why a text is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid time: {0:?}")]
pub struct TimestampError(String);

/// What Go prints for its zero time, which clients read as "never".
const NEVER: &str = "0001-01-01T00:00:00Z";

impl Timestamp {
    /// "Never" on the wire.
    pub const NEVER: Self = Self(0);

    /// Takes nanoseconds since the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Gives nanoseconds since the epoch.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Gives whole seconds since the epoch.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// Gives the time from `earlier` to here, zero when that lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Parses what clients send: RFC 3339, `seconds[.nanos]` since the epoch, or a Go duration before `now`.
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn parse_relative(text: &str, now: Self) -> Result<Self, TimestampError> {
        if let Some(nanos) = unix_seconds(text) {
            return Ok(Self(nanos));
        }
        if let Some(ago) = go_duration(text) {
            return Ok(Self(now.0.saturating_sub(ago)));
        }
        text.parse()
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_nanos(u64::try_from(time.0).unwrap_or(0))
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text == NEVER {
            return Ok(Self::NEVER);
        }
        let refuse = || TimestampError(text.to_owned());
        let whole = complete(text);
        let time = OffsetDateTime::parse(&whole, &Rfc3339)
            .ok()
            .ok_or_else(refuse)?;
        i64::try_from(time.unix_timestamp_nanos())
            .map(Self)
            .ok()
            .ok_or_else(refuse)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with nanoseconds, trailing zeros cut, as Go prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return f.write_str(NEVER);
        }
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0));
        match time.ok().and_then(|time| time.format(&Rfc3339).ok()) {
            Some(text) => f.write_str(&text),
            None => f.write_str(NEVER),
        }
    }
}

/// Fills up a date or a time without seconds or zone, which the docker CLI lets through.
fn complete(text: &str) -> String {
    match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    }
}

fn unix_seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: i64 = format!("{fraction:0<9}").parse().ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// Reads `1h10m`, `1.5s`, `300ms` into nanoseconds.
fn go_duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let split = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest.get(..split)?.parse().ok()?;
        let tail = rest.get(split..)?;
        let end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        total += number * unit(tail.get(..end)?)?;
        rest = tail.get(end..)?;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, which is what a far past wants"
    )]
    (!text.is_empty()).then_some(total as i64)
}

fn unit(name: &str) -> Option<f64> {
    match name {
        "ns" => Some(1.0),
        "us" | "µs" => Some(1e3),
        "ms" => Some(1e6),
        "s" => Some(1e9),
        "m" => Some(60e9),
        "h" => Some(3600e9),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_prints_what_was_parsed() {
        for text in [
            "2026-11-21T19:42:55.123456789Z",
            "2026-11-21T19:42:55Z",
            NEVER,
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn clients_may_send_seconds_durations_and_dates() {
        let now = Timestamp::from_nanos(10_000_000_000);
        assert_eq!(
            Timestamp::parse_relative("5.5", now).unwrap().nanos(),
            5_500_000_000
        );
        assert_eq!(
            Timestamp::parse_relative("1m", now).unwrap().nanos(),
            -50_000_000_000
        );
        assert_eq!(
            Timestamp::parse_relative("1970-01-02", now)
                .unwrap()
                .seconds(),
            86_400
        );
        assert!(Timestamp::parse_relative("soon", now).is_err());
    }
}
