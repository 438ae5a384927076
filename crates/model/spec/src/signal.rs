//! Signals by name or number, as `--stop-signal` and `docker kill` take them.

use std::{fmt, str::FromStr};

use crate::Error;

/// A signal's number on x86-64 and aarch64, from 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(u8);

/// Numbers 1 to 31 in order (signal(7)).
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Other names of the same numbers.
const SYNONYMS: [(&str, u8); 5] = [
    ("CLD", 17),
    ("IOT", 6),
    ("POLL", 29),
    ("UNUSED", 31),
    ("RTMIN", RTMIN),
];

/// The first real-time signal that libc leaves free.
const RTMIN: u8 = 34;
/// The last one.
const RTMAX: u8 = 64;

impl Signal {
    /// Asks a process to end.
    pub const TERM: Self = Self(15);
    /// Ends a process.
    pub const KILL: Self = Self(9);

    /// Gives the kernel's number.
    #[must_use]
    pub fn number(self) -> i32 {
        i32::from(self.0)
    }
}

impl FromStr for Signal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = || Error::Signal(text.to_owned());
        if let Ok(number) = text.parse::<u8>() {
            return match number {
                1..=RTMAX => Ok(Self(number)),
                _ => Err(refuse()),
            };
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let plain = (1..).zip(NAMES).find(|(_, known)| *known == name);
        let synonym = SYNONYMS.iter().find(|(known, _)| *known == name);
        plain
            .map(|(number, _)| number)
            .or(synonym.map(|(_, number)| *number))
            .or_else(|| realtime(name))
            .map(Self)
            .ok_or_else(refuse)
    }
}

/// Reads `RTMIN+3`, `RTMAX-2` and `RTMAX`.
fn realtime(name: &str) -> Option<u8> {
    let number = match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX")) {
        (Some(offset), _) => RTMIN.checked_add(offset.parse().ok()?)?,
        (None, Some("")) => RTMAX,
        (None, Some(offset)) => RTMAX.checked_sub(offset.strip_prefix('-')?.parse().ok()?)?,
        (None, None) => return None,
    };
    (RTMIN..=RTMAX).contains(&number).then_some(number)
}

impl fmt::Display for Signal {
    /// The name with `SIG`, or the number of a real-time signal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.get(usize::from(self.0).wrapping_sub(1)) {
            Some(name) => write!(f, "SIG{name}"),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<i32> {
        text.parse::<Signal>().ok().map(Signal::number)
    }

    #[test]
    fn names_come_with_and_without_prefix_in_any_case() {
        assert_eq!(number("SIGTERM"), Some(15));
        assert_eq!(number("kill"), Some(9));
        assert_eq!(number("RTMIN+3"), Some(37));
        assert_eq!(number("SIGRTMAX-1"), Some(63));
        assert_eq!(number("3"), Some(3));
    }

    #[test]
    fn others_are_refused() {
        for text in ["", "0", "65", "NOPE", "RTMIN+31", "RTMAX-31", "-1"] {
            assert_eq!(number(text), None, "{text}");
        }
        let message = "NOPE".parse::<Signal>().unwrap_err().to_string();
        assert_eq!(message, "invalid signal: NOPE");
    }
}
