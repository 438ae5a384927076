//! `HEALTHCHECK`: the command that tells whether a container is well, and when it is asked.

use std::time::Duration;

use crate::{
    Escape,
    command::Command,
    error::Problem,
    flags::{Flags, Takes},
    words,
};

/// The shortest time that an image may ask for.
const MINIMUM: Duration = Duration::from_millis(1);
const FLAGS: &[(&str, Takes)] = &[
    ("interval", Takes::Value),
    ("timeout", Takes::Value),
    ("start-period", Takes::Value),
    ("start-interval", Takes::Value),
    ("retries", Takes::Value),
];

/// What `HEALTHCHECK` says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Healthcheck {
    /// No check, not even the one of the base image.
    None,
    /// A command, asked at these times.
    Check {
        /// What is run.
        command: Command,
        /// When.
        timings: Timings,
    },
}

/// When a check is run; zero is the engine's own choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Timings {
    /// From one check to the next.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// How long after the start failures do not count.
    pub start_period: Duration,
    /// From one check to the next during that time.
    pub start_interval: Duration,
    /// Failures in a row that make the container unhealthy.
    pub retries: u32,
}

impl Healthcheck {
    pub(crate) fn parse(rest: &str, escape: Escape) -> Result<Self, Problem> {
        let (given, rest) = words::flags(rest, escape);
        let (kind, rest) = words::keyword(rest);
        match kind.to_ascii_uppercase().as_str() {
            "" => Err(Problem::no_argument("HEALTHCHECK")),
            "NONE" if rest.is_empty() => Ok(Self::None),
            "NONE" => Err(Problem::new("HEALTHCHECK NONE takes no arguments")),
            "CMD" => Self::check(&Flags::parse(&given, FLAGS)?, rest),
            other => Err(Problem::new(format!(
                "Unknown type {other:?} in HEALTHCHECK (try CMD)"
            ))),
        }
    }

    fn check(flags: &Flags, rest: &str) -> Result<Self, Problem> {
        let command = Command::parse(rest)?;
        if command.is_empty() {
            return Err(Problem::new("Missing command after HEALTHCHECK CMD"));
        }
        let timings = Timings {
            interval: time(flags, "interval")?,
            timeout: time(flags, "timeout")?,
            start_period: time(flags, "start-period")?,
            start_interval: time(flags, "start-interval")?,
            retries: flags.one("retries").map_or(Ok(0), retries)?,
        };
        Ok(Self::Check { command, timings })
    }
}

fn retries(text: &str) -> Result<u32, Problem> {
    let number: i32 = text.parse().map_err(|_not_a_number| {
        Problem::new(format!(
            "strconv.ParseInt: parsing {text:?}: invalid syntax"
        ))
    })?;
    u32::try_from(number)
        .map_err(|_negative| Problem::new(format!("--retries cannot be negative ({number})")))
}

fn time(flags: &Flags, name: &str) -> Result<Duration, Problem> {
    let Some(text) = flags.one(name).filter(|text| !text.is_empty()) else {
        return Ok(Duration::ZERO);
    };
    let (negative, length) =
        duration(text).ok_or_else(|| Problem::new(format!("time: invalid duration {text:?}")))?;
    if length.is_zero() {
        return Ok(Duration::ZERO);
    }
    if negative || length < MINIMUM {
        return Err(Problem::new(format!(
            "Interval {name:?} cannot be less than 1ms"
        )));
    }
    Ok(length)
}

/// Reads `1h2m3.5s`, in the units of Go, and whether a minus stands before it.
fn duration(text: &str) -> Option<(bool, Duration)> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some((negative, Duration::ZERO));
    }
    let mut nanoseconds: u64 = 0;
    while !rest.is_empty() {
        let (part, after) = term(rest)?;
        nanoseconds = nanoseconds.checked_add(part)?;
        rest = after;
    }
    let known = !text.trim_start_matches(['-', '+']).is_empty();
    // Go's durations are signed.
    let fits = i64::try_from(nanoseconds).is_ok();
    (known && fits).then_some((negative, Duration::from_nanos(nanoseconds)))
}

fn term(text: &str) -> Option<(u64, &str)> {
    let number = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, rest) = text.split_at_checked(number)?;
    let unit = rest
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at_checked(unit)?;
    let unit: u64 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut total = whole.checked_mul(unit)?;
    let mut scale = unit;
    for digit in fraction.chars() {
        scale /= 10;
        total = total.checked_add(scale.checked_mul(digit.to_digit(10)?.into())?)?;
    }
    Some((total, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Healthcheck, String> {
        Healthcheck::parse(text, Escape::Backslash).map_err(|problem| problem.to_string())
    }

    #[test]
    fn times_are_those_of_go() {
        let found =
            parse("--interval=1m30s --timeout=1.5s --start-interval=250ms --retries=3 CMD x");
        let Ok(Healthcheck::Check { timings, command }) = found else {
            panic!("{found:?}");
        };
        assert_eq!(command, Command::Shell("x".into()));
        assert_eq!(timings.interval, Duration::from_secs(90));
        assert_eq!(timings.timeout, Duration::from_millis(1_500));
        assert_eq!(timings.start_interval, Duration::from_millis(250));
        assert_eq!((timings.start_period, timings.retries), (Duration::ZERO, 3));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let fails = |text: &str| parse(text).unwrap_err();
        assert_eq!(fails(""), "HEALTHCHECK requires at least one argument");
        assert_eq!(fails("NONE x"), "HEALTHCHECK NONE takes no arguments");
        assert_eq!(fails("CMD"), "Missing command after HEALTHCHECK CMD");
        assert_eq!(
            fails("MOO x"),
            "Unknown type \"MOO\" in HEALTHCHECK (try CMD)"
        );
        assert_eq!(
            fails("--retries=-1 CMD x"),
            "--retries cannot be negative (-1)"
        );
        assert_eq!(
            fails("--interval=1us CMD x"),
            "Interval \"interval\" cannot be less than 1ms"
        );
        assert!(fails("--interval=1x CMD x").contains("invalid duration"));
        assert_eq!(parse("none"), Ok(Healthcheck::None));
    }
}
