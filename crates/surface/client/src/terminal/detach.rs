//! Detach keys: `ctrl-p,ctrl-q` leaves a process without stopping it.

use crate::Error;

/// The sequence that detaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

/// What became of some bytes typed.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// To be sent on.
    Send(Vec<u8>),
    /// The sequence is complete; what stood before it is still to be sent.
    Detach(Vec<u8>),
}

/// Watches what is typed; the beginning of a sequence is held back until it is clear that it is none.
#[derive(Debug)]
pub struct Watch {
    keys: DetachKeys,
    matched: usize,
}

impl DetachKeys {
    /// Parses `ctrl-p,ctrl-q`; nothing given means just that.
    pub fn parse(text: Option<&str>) -> Result<Self, Error> {
        let text = text
            .filter(|text| !text.is_empty())
            .unwrap_or("ctrl-p,ctrl-q");
        let bytes = text
            .split(',')
            .map(|key| code(key).ok_or_else(|| key.to_owned()))
            .collect::<Result<_, _>>();
        bytes
            .map(Self)
            .map_err(|key| Error::usage(format!("invalid detach keys: unknown character: '{key}'")))
    }

    /// Starts to watch.
    pub const fn watch(self) -> Watch {
        Watch {
            keys: self,
            matched: 0,
        }
    }
}

fn code(key: &str) -> Option<u8> {
    let bytes = key.as_bytes();
    match (key.strip_prefix("ctrl-").map(str::as_bytes), bytes) {
        (Some([letter @ b'a'..=b'z']), _) => Some(letter - b'a' + 1),
        (Some(b"@"), _) => Some(0),
        (Some(b"["), _) => Some(27),
        (Some(b"\\"), _) => Some(28),
        (Some(b"]"), _) => Some(29),
        (Some(b"^"), _) => Some(30),
        (Some(b"_"), _) => Some(31),
        (None, [one]) => Some(*one),
        (None | Some(_), _) => None,
    }
}

impl Watch {
    /// Takes bytes as they were typed.
    pub fn take(&mut self, typed: &[u8]) -> Typed {
        let mut send = Vec::with_capacity(typed.len());
        for &byte in typed {
            if self.keys.0.get(self.matched) != Some(&byte) {
                send.extend(self.keys.0.iter().take(self.matched));
                self.matched = usize::from(self.keys.0.first() == Some(&byte));
                send.extend((self.matched == 0).then_some(byte));
                continue;
            }
            self.matched += 1;
            if self.matched == self.keys.0.len() {
                self.matched = 0;
                return Typed::Detach(send);
            }
        }
        Typed::Send(send)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_sequence_detaches_across_reads() {
        let mut watch = DetachKeys::parse(None).unwrap().watch();
        assert_eq!(watch.take(b"ab\x10"), Typed::Send(b"ab".to_vec()));
        assert_eq!(watch.take(b"\x11"), Typed::Detach(Vec::new()));
    }

    #[test]
    fn a_broken_off_sequence_is_sent_late() {
        let mut watch = DetachKeys::parse(None).unwrap().watch();
        assert_eq!(watch.take(b"\x10"), Typed::Send(Vec::new()));
        assert_eq!(watch.take(b"x"), Typed::Send(b"\x10x".to_vec()));
    }

    #[test]
    fn keys_have_names() {
        assert_eq!(
            DetachKeys::parse(Some("ctrl-@,a")).unwrap(),
            DetachKeys(vec![0, b'a'])
        );
        assert!(DetachKeys::parse(Some("ctrl-p,foo")).is_err());
    }
}
