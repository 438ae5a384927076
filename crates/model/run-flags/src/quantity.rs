//! Sizes and lengths of time as docker's tables print them and its flags take them.

use time::OffsetDateTime;

/// Parses `64m`, `1.5GiB`, `512`: multiples of 1024, whatever the spelling.
///
/// # Errors
/// When the text is no size.
pub fn parse_bytes(text: &str) -> Result<i64, String> {
    let refuse = || format!("invalid size: '{text}'");
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let number: f64 = number.parse().ok().ok_or_else(refuse)?;
    let unit = unit.trim_start();
    let power = match unit
        .strip_suffix("ib")
        .or_else(|| unit.strip_suffix('b'))
        .unwrap_or(unit)
    {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(refuse()),
    };
    let bytes = number * 1024_f64.powi(power);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a fraction of a byte is dropped, as docker does"
    )]
    Ok(bytes as i64)
}

/// Parses a size that may also be `-1`, which means unlimited.
///
/// # Errors
/// When the text is no size.
pub fn parse_bytes_or_unlimited(text: &str) -> Result<i64, String> {
    match text {
        "-1" => Ok(-1),
        text => parse_bytes(text),
    }
}

/// Parses Go's notation of time spans, `1m30s`, into nanoseconds.
///
/// # Errors
/// When the text is none.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let refuse = || format!("time: invalid duration {text:?}");
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    let mut total = 0.0;
    loop {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(|| missing_unit(text))?;
        let (number, tail) = rest.split_at(digits);
        let number: f64 = number.parse().ok().ok_or_else(refuse)?;
        let end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        total += number * nanos_of(unit).ok_or_else(refuse)?;
        rest = tail;
        if rest.is_empty() {
            break;
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "below a nanosecond nothing counts"
    )]
    Ok((sign * total) as i64)
}

fn missing_unit(text: &str) -> String {
    match text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !text.is_empty() {
        true => format!("time: missing unit in duration {text:?}"),
        false => format!("time: invalid duration {text:?}"),
    }
}

fn nanos_of(unit: &str) -> Option<f64> {
    match unit {
        "ns" => Some(1.0),
        "us" | "µs" | "μs" => Some(1e3),
        "ms" => Some(1e6),
        "s" => Some(1e9),
        "m" => Some(60e9),
        "h" => Some(3600e9),
        _ => None,
    }
}

/// Prints a size in powers of 1000 with this many significant digits: `4.27MB`.
#[must_use]
pub fn human_size(bytes: i64, digits: usize) -> String {
    const UNITS: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
    #[expect(clippy::cast_precision_loss, reason = "a handful of digits is printed")]
    let mut size = bytes as f64;
    let mut units = UNITS.iter();
    let mut unit = units.next().unwrap_or(&"B");
    while size >= 1000.0 {
        let Some(next) = units.next() else { break };
        (size, unit) = (size / 1000.0, next);
    }
    format!("{}{unit}", significant(size, digits))
}

/// Prints a size in powers of 1024: `15.55GiB`.
#[must_use]
pub fn binary_size(bytes: i64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    #[expect(clippy::cast_precision_loss, reason = "four digits are printed")]
    let mut size = bytes as f64;
    let mut units = UNITS.iter();
    let mut unit = units.next().unwrap_or(&"B");
    while size >= 1024.0 {
        let Some(next) = units.next() else { break };
        (size, unit) = (size / 1024.0, next);
    }
    format!("{}{unit}", significant(size, 4))
}

/// Go's `%.Ng` for numbers between 0 and 1000: that many digits, no trailing zeros.
fn significant(value: f64, digits: usize) -> String {
    let before_point = match value {
        v if v >= 1000.0 => 4,
        v if v >= 100.0 => 3,
        v if v >= 10.0 => 2,
        _ => 1,
    };
    let text = format!("{value:.*}", digits.saturating_sub(before_point));
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Says a length of time as docker's tables do: `About a minute`, `3 weeks`.
#[must_use]
pub fn human_duration(seconds: i64) -> String {
    let minutes = seconds / 60;
    let hours = (seconds + 1800) / 3600;
    match seconds {
        i64::MIN..=0 => "Less than a second".into(),
        1 => "1 second".into(),
        2..=59 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".into(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".into(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// Prints a point in time, given in seconds, as Go does: `2026-11-21 20:06:34 +0000 UTC`.
#[must_use]
pub fn date(seconds: i64) -> String {
    match OffsetDateTime::from_unix_timestamp(seconds) {
        Ok(at) => format!(
            "{} {:02}:{:02}:{:02} +0000 UTC",
            at.date(),
            at.hour(),
            at.minute(),
            at.second()
        ),
        Err(_) => seconds.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_multiples_of_1024_in_flags() {
        assert_eq!(parse_bytes("64m"), Ok(64 << 20));
        assert_eq!(parse_bytes("1.5GiB"), Ok(3 << 29));
        assert_eq!(parse_bytes("512"), Ok(512));
        assert_eq!(parse_bytes("1 kb"), Ok(1024));
        assert_eq!(parse_bytes("x"), Err("invalid size: 'x'".into()));
        assert_eq!(parse_bytes_or_unlimited("-1"), Ok(-1));
    }

    #[test]
    fn durations_are_gos() {
        assert_eq!(parse_duration("1m30s"), Ok(90_000_000_000));
        assert_eq!(parse_duration("1.5s"), Ok(1_500_000_000));
        assert_eq!(parse_duration("-5ms"), Ok(-5_000_000));
        assert_eq!(parse_duration("0"), Ok(0));
        assert_eq!(
            parse_duration("5"),
            Err("time: missing unit in duration \"5\"".into())
        );
        assert_eq!(
            parse_duration("x"),
            Err("time: invalid duration \"x\"".into())
        );
    }

    #[test]
    fn printed_sizes_have_three_digits() {
        assert_eq!(human_size(4_269_694, 3), "4.27MB");
        assert_eq!(human_size(148_000_000, 3), "148MB");
        assert_eq!(human_size(0, 3), "0B");
        assert_eq!(human_size(1_000, 3), "1kB");
        assert_eq!(binary_size(16_696_180_736), "15.55GiB");
    }

    #[test]
    fn lengths_of_time_are_said_in_words() {
        assert_eq!(human_duration(0), "Less than a second");
        assert_eq!(human_duration(61), "About a minute");
        assert_eq!(human_duration(7200), "2 hours");
        assert_eq!(human_duration(86_400 * 3), "3 days");
        assert_eq!(human_duration(86_400 * 21), "3 weeks");
    }
}
