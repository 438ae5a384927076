//! How long a container waits for a log server that is away: Docker's drivers each have a way of their own.

use std::time::Duration;

/// How often fluentd's server is tried unless told otherwise: for ever, as in Docker.
const FOREVER: u32 = 1 << 31;
/// How often it is tried when told "0", which is the library's own number.
const OWN: u32 = 13;
/// The longest pause between connections to it.
const LONGEST: Duration = Duration::from_secs(60);

/// How often a server that is away is tried before the lines that wait for it are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRetry {
    /// Further connections after the first.
    pub attempts: u32,
    /// The pause before the first of them; it doubles.
    pub pause: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl LogRetry {
    /// Drivers without options for it: a daemon that is started again is waited for, some eight seconds.
    pub const BRIEF: Self = Self {
        attempts: 5,
        pause: Duration::from_millis(250),
        longest: Duration::from_secs(10),
    };

    /// Reads a pause as Go prints durations: `1.5s`, `1m30s`.
    pub(super) fn pause(text: &str) -> Option<Duration> {
        let mut rest = text;
        let mut total = Duration::ZERO;
        while !rest.is_empty() {
            let digit = |c: char| c.is_ascii_digit() || c == '.';
            let (number, tail) = rest.split_at(rest.find(|c| !digit(c))?);
            let (unit, next) = tail.split_at(tail.find(digit).unwrap_or(tail.len()));
            let part = number.parse::<f64>().ok()? * seconds(unit)?;
            total = total.checked_add(Duration::try_from_secs_f64(part).ok()?)?;
            rest = next;
        }
        (!text.is_empty()).then_some(total)
    }

    /// The same pause each time, as GELF has it; none at all would be a busy loop.
    #[must_use]
    pub(super) fn steady(attempts: u32, pause: Duration) -> Self {
        let pause = pause.max(Self::BRIEF.pause);
        Self {
            attempts,
            pause,
            longest: pause,
        }
    }

    /// Pauses that grow, as fluentd's client has them.
    #[must_use]
    pub(super) fn growing(attempts: Option<u32>, pause: Duration) -> Self {
        let attempts = match attempts {
            None => FOREVER,
            Some(0) => OWN,
            Some(attempts) => attempts,
        };
        Self {
            attempts,
            pause: pause.clamp(Duration::from_millis(1), LONGEST),
            longest: LONGEST,
        }
    }
}

fn seconds(unit: &str) -> Option<f64> {
    match unit {
        "ns" => Some(1e-9),
        "us" | "µs" => Some(1e-6),
        "ms" => Some(1e-3),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_gos_durations() {
        let seconds = |text| LogRetry::pause(text).map(|pause| pause.as_secs_f64());
        assert_eq!(seconds("1m1.5s"), Some(61.5));
        assert_eq!(seconds("250ms"), Some(0.25));
        for odd in ["", "1", "s", "-1s", "1x", "1..0s", "99999999999999999999h"] {
            assert_eq!(seconds(odd), None, "{odd}");
        }
    }
}
