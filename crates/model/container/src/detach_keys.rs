//! The keys that leave a container without stopping it. Pure: bytes in, bytes and a verdict out.

use crate::Error;

/// Ctrl-P, Ctrl-Q.
const DEFAULT: [u8; 2] = [16, 17];

/// A sequence of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

impl DetachKeys {
    /// Parses keys as typed: single letters or `ctrl-<letter>`, comma-separated; nothing means the default.
    pub fn parse(text: Option<&str>) -> Result<Self, Error> {
        match text {
            None | Some("") => Ok(Self(DEFAULT.to_vec())),
            Some(text) => text.split(',').map(key).collect::<Result<_, _>>().map(Self),
        }
    }
}

fn key(text: &str) -> Result<u8, Error> {
    let refuse = || Error::Invalid(format!("Invalid detach keys ({text}) provided"));
    if let Some(letter) = text.strip_prefix("ctrl-") {
        return match letter.as_bytes() {
            [letter @ b'a'..=b'z'] => Ok(letter - b'a' + 1),
            b"@" => Ok(0),
            b"[" => Ok(27),
            b"\\" => Ok(28),
            b"]" => Ok(29),
            b"^" => Ok(30),
            b"_" => Ok(31),
            _ => Err(refuse()),
        };
    }
    match text.as_bytes() {
        [letter] => Ok(*letter),
        _ => Err(refuse()),
    }
}

/// Looks for the keys in a stream; holds back what may still become them.
#[derive(Debug)]
pub struct Scanner {
    keys: DetachKeys,
    seen: usize,
}

/// What became of a piece of input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanned {
    /// Bytes for the process.
    Pass(Vec<u8>),
    /// Bytes for the process, and then the client leaves.
    Detach(Vec<u8>),
}

impl Scanner {
    /// Starts at the beginning of a stream.
    pub const fn new(keys: DetachKeys) -> Self {
        Self { keys, seen: 0 }
    }

    /// Takes a piece of the stream.
    pub fn scan(&mut self, input: &[u8]) -> Scanned {
        let mut passed = Vec::with_capacity(input.len() + self.seen);
        for &byte in input {
            self.step(byte, &mut passed);
            if self.seen == self.keys.0.len() {
                self.seen = 0;
                return Scanned::Detach(passed);
            }
        }
        Scanned::Pass(passed)
    }

    /// Gives what is still held back at the end of the stream.
    pub fn finish(&mut self) -> Vec<u8> {
        let held = self.keys.0.get(..self.seen).unwrap_or_default().to_vec();
        self.seen = 0;
        held
    }

    fn step(&mut self, byte: u8, passed: &mut Vec<u8>) {
        if self.keys.0.get(self.seen) == Some(&byte) {
            self.seen += 1;
            return;
        }
        passed.extend(self.finish());
        match self.keys.0.first() == Some(&byte) {
            true => self.seen = 1,
            false => passed.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanner(keys: &str) -> Scanner {
        Scanner::new(DetachKeys::parse(Some(keys)).unwrap())
    }

    #[test]
    fn the_keys_are_taken_out_and_end_the_stream() {
        let mut default = scanner("");
        assert_eq!(
            default.scan(b"ls\n\x10\x11rest"),
            Scanned::Detach(b"ls\n".to_vec())
        );
    }

    #[test]
    fn keys_may_come_in_two_pieces() {
        let mut default = scanner("");
        assert_eq!(default.scan(b"a\x10"), Scanned::Pass(b"a".to_vec()));
        assert_eq!(default.scan(b"\x11"), Scanned::Detach(Vec::new()));
    }

    #[test]
    fn a_beginning_that_becomes_something_else_is_passed_on() {
        let mut default = scanner("");
        assert_eq!(default.scan(b"\x10"), Scanned::Pass(Vec::new()));
        assert_eq!(default.scan(b"x"), Scanned::Pass(b"\x10x".to_vec()));
        assert_eq!(
            default.scan(b"\x10\x10\x11"),
            Scanned::Detach(b"\x10".to_vec())
        );
        assert_eq!(default.scan(b"\x10"), Scanned::Pass(Vec::new()));
        assert_eq!(default.finish(), b"\x10");
    }

    #[test]
    fn keys_are_letters_or_control_letters() {
        assert_eq!(
            DetachKeys::parse(Some("a,ctrl-b")).unwrap(),
            DetachKeys(vec![b'a', 2])
        );
        assert_eq!(DetachKeys::parse(None).unwrap(), DetachKeys(vec![16, 17]));
        assert!(DetachKeys::parse(Some("ctrl-")).is_err());
        assert!(DetachKeys::parse(Some("shift-a")).is_err());
    }
}
