//! Netlink messages: headers and attributes, written in place.

use crate::kernel::NLA_F_NESTED;

/// `struct nlmsghdr` and `struct nfgenmsg`.
const HEADERS: usize = 20;

/// One message under construction.
#[derive(Debug)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// Begins a message; `resource` is the subsystem in the two messages around a batch, else zero.
    pub(crate) fn new(kind: u16, flags: u16, family: u8, resource: u16) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend([0; 4]);
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend([family, 0]);
        bytes.extend(resource.to_be_bytes());
        Self { bytes }
    }

    /// Begins a list of attributes that is no message yet.
    pub(crate) const fn attributes() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Gives a list of attributes as [`Message::nested`] takes it.
    pub(crate) fn written(self) -> Vec<u8> {
        self.bytes
    }

    /// Adds an attribute of raw bytes.
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.attribute(kind, |message| message.bytes.extend(value));
    }

    /// Adds a text with the zero byte that the kernel expects.
    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        self.attribute(kind, |message| {
            message.bytes.extend(value.as_bytes());
            message.bytes.push(0);
        });
    }

    /// Adds a number in network byte order, as all of nftables has them.
    pub(crate) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// Adds an attribute of attributes.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        self.attribute(kind | NLA_F_NESTED, fill);
    }

    /// Adds attributes that are written already, as an attribute of attributes.
    pub(crate) fn nested(&mut self, kind: u16, value: &[u8]) {
        self.bytes(kind | NLA_F_NESTED, value);
    }

    /// Closes the message.
    pub(crate) fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.patch(0, &length.to_ne_bytes());
        self.patch(8, &sequence.to_ne_bytes());
        self.bytes
    }

    fn attribute(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend([0; 2]);
        self.bytes.extend(kind.to_ne_bytes());
        fill(self);
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.patch(start, &length.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn patch(&mut self, at: usize, value: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + value.len()) {
            place.copy_from_slice(value);
        }
    }
}

/// A message as it came.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    pub(crate) kind: u16,
    pub(crate) sequence: u32,
    /// What follows `struct nlmsghdr`.
    pub(crate) payload: &'a [u8],
}

impl Received<'_> {
    /// Gives the attributes behind `struct nfgenmsg`.
    pub(crate) fn attributes(&self) -> Option<&[u8]> {
        self.payload.get(HEADERS - 16..)
    }

    /// Finds an attribute behind `struct nfgenmsg`.
    pub(crate) fn attribute(&self, kind: u16) -> Option<&[u8]> {
        find(self.attributes()?, kind)
    }

    /// Gives the family of `struct nfgenmsg`.
    pub(crate) fn family(&self) -> Option<u8> {
        self.payload.first().copied()
    }

    /// Reads the error code of an acknowledgement; zero is success.
    pub(crate) fn code(&self) -> Option<i32> {
        Some(i32::from_ne_bytes(self.payload.get(..4)?.try_into().ok()?))
    }
}

/// Finds an attribute in a list of them.
pub(crate) fn find(mut rest: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16_at(rest, 0)?);
        let value = rest.get(4..length)?;
        if u16_at(rest, 2)? & !NLA_F_NESTED == kind {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

/// Gives the values of all attributes of a kind in a list of them.
pub(crate) fn all(list: &[u8], kind: u16) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        loop {
            let length = usize::from(u16_at(rest, 0)?);
            let found = u16_at(rest, 2)? & !NLA_F_NESTED == kind;
            let value = rest.get(4..length)?;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            if found {
                return Some(value);
            }
        }
    })
}

/// Splits a datagram into its messages; a torn tail is left out.
pub(crate) fn messages(datagram: &[u8]) -> impl Iterator<Item = Received<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(rest, 0)?).ok()?;
        let message = Received {
            kind: u16_at(rest, 4)?,
            sequence: u32_at(rest, 8)?,
            payload: rest.get(16..length)?,
        };
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_padded_and_knows_its_length() {
        let mut message = Message::new(0x0a00, 1, 2, 0);
        message.text(1, "ab");
        message.nest(4, |nested| nested.number(2, 7));
        let bytes = message.finish(9);
        let read: Vec<_> = messages(&bytes).collect();
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].kind, read[0].sequence), (0x0a00, 9));
        assert_eq!(read[0].attribute(1), Some(&b"ab\0"[..]));
        assert_eq!(read[0].attribute(4).map(<[u8]>::len), Some(8));
        assert_eq!(read[0].attribute(5), None);
    }

    #[test]
    fn a_torn_datagram_ends_the_reading() {
        let whole = Message::new(1, 0, 0, 0).finish(1);
        for cut in 0..whole.len() {
            assert_eq!(messages(&whole[..cut]).count(), 0);
        }
        let mut long = whole;
        long[0] = 255;
        assert_eq!(messages(&long).count(), 0);
    }
}
