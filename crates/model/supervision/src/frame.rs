//! Frames: an 8-byte header and a payload.
//!
//! The header is that of Docker's multiplexed streams, and kinds 0 to 2 mean the same: the daemon hands output on
//! without touching it. What comes in may be hostile (a client's stdin length, a torn message), so a length above
//! the kind's limit is refused before a byte of the payload is stored.

use serde::{Serialize, de::DeserializeOwned};

use crate::{Notice, Reply, Request};

/// Bytes of a header.
pub const HEADER: usize = 8;
/// The longest payload of raw bytes.
pub const MAX_CHUNK: usize = 64 * 1024;
/// The longest JSON payload: an exec may carry as many arguments as the kernel takes (2 MiB by default).
pub const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// Bytes for the process.
    Stdin = 0,
    /// Bytes of the process.
    Stdout = 1,
    /// Bytes of the process.
    Stderr = 2,
    /// A [`Request`] as JSON.
    Request = 16,
    /// A [`Reply`] as JSON.
    Reply = 17,
    /// A [`Notice`] as JSON.
    Notice = 18,
    /// The end of stdin; empty.
    CloseStdin = 19,
}

impl FrameKind {
    const ALL: [Self; 7] = [
        Self::Stdin,
        Self::Stdout,
        Self::Stderr,
        Self::Request,
        Self::Reply,
        Self::Notice,
        Self::CloseStdin,
    ];

    /// Gives the longest payload of this kind.
    #[must_use]
    pub const fn limit(self) -> usize {
        match self {
            Self::Stdin | Self::Stdout | Self::Stderr => MAX_CHUNK,
            Self::Request | Self::Reply | Self::Notice => MAX_MESSAGE,
            Self::CloseStdin => 0,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Why bytes are not a frame, or a frame not a message.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The first byte names no kind.
    #[error("{0} is no kind of frame")]
    Kind(u8),
    /// The three bytes after the kind are not zero.
    #[error("a frame's padding is not zero")]
    Padding,
    /// The payload is longer than its kind may be.
    #[error("a frame of {length} bytes is too long for {kind:?}")]
    Length {
        /// The kind.
        kind: FrameKind,
        /// The length claimed.
        length: usize,
    },
    /// The frame is of another kind than the message looked for.
    #[error("found {found:?} in place of {wanted:?}")]
    Unexpected {
        /// What came.
        found: FrameKind,
        /// What was looked for.
        wanted: FrameKind,
    },
    /// The payload is not such a message.
    #[error("unreadable message")]
    Json(#[from] serde_json::Error),
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the payload is.
    pub kind: FrameKind,
    /// How long it is; within the kind's limit.
    pub length: usize,
}

impl Header {
    /// Makes the header of a payload.
    ///
    /// # Errors
    /// When the payload is too long for its kind.
    pub const fn new(kind: FrameKind, length: usize) -> Result<Self, FrameError> {
        match length > kind.limit() {
            true => Err(FrameError::Length { kind, length }),
            false => Ok(Self { kind, length }),
        }
    }

    /// Parses a header.
    ///
    /// # Errors
    /// When the kind is unknown, the padding not zero, or the length above the kind's limit.
    pub fn parse(bytes: [u8; HEADER]) -> Result<Self, FrameError> {
        let [kind, p, q, r, a, b, c, d] = bytes;
        let kind = FrameKind::from_byte(kind).ok_or(FrameError::Kind(kind))?;
        if [p, q, r] != [0; 3] {
            return Err(FrameError::Padding);
        }
        let length = u32::from_be_bytes([a, b, c, d]);
        Self::new(kind, usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Gives the header's bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER] {
        // `new` keeps the length within limits far below 2^32.
        let [a, b, c, d] = u32::try_from(self.length).unwrap_or(u32::MAX).to_be_bytes();
        [self.kind as u8, 0, 0, 0, a, b, c, d]
    }
}

/// A message that has a frame kind of its own.
pub trait Message: Serialize + DeserializeOwned {
    /// The kind of its frames.
    const KIND: FrameKind;
}

impl Message for Request {
    const KIND: FrameKind = FrameKind::Request;
}

impl Message for Reply {
    const KIND: FrameKind = FrameKind::Reply;
}

impl Message for Notice {
    const KIND: FrameKind = FrameKind::Notice;
}

/// One whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the payload is.
    pub kind: FrameKind,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Reads the message in this frame.
    ///
    /// # Errors
    /// When the frame is of another kind or its payload no such message.
    pub fn message<T: Message>(&self) -> Result<T, FrameError> {
        match self.kind == T::KIND {
            true => Ok(serde_json::from_slice(&self.payload)?),
            false => Err(FrameError::Unexpected {
                found: self.kind,
                wanted: T::KIND,
            }),
        }
    }
}

/// Builds the frame of a message, ready to be sent.
///
/// # Errors
/// When the message is too long.
pub fn encode<T: Message>(message: &T) -> Result<Vec<u8>, FrameError> {
    frame(T::KIND, &serde_json::to_vec(message)?)
}

/// Builds a frame, ready to be sent.
///
/// # Errors
/// When the payload is too long for its kind.
pub fn frame(kind: FrameKind, payload: &[u8]) -> Result<Vec<u8>, FrameError> {
    let header = Header::new(kind, payload.len())?;
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(&header.to_bytes());
    bytes.extend_from_slice(payload);
    Ok(bytes)
}

/// Cuts a stream of bytes into frames.
///
/// Holds at most one frame and what was pushed beyond it; gives its memory back when it runs empty.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    taken: usize,
}

impl Decoder {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Gives the next whole frame, or nothing while it has not all come.
    ///
    /// # Errors
    /// When the stream is not made of frames; it cannot be read any further then.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let Some((header, payload)) = rest.split_first_chunk::<HEADER>() else {
            return Ok(self.wait());
        };
        let Header { kind, length } = Header::parse(*header)?;
        let Some(payload) = payload.get(..length) else {
            return Ok(self.wait());
        };
        let payload = payload.to_vec();
        self.taken += HEADER + length;
        Ok(Some(Frame { kind, payload }))
    }

    /// Reports whether a frame has begun that has not all come.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        self.taken < self.bytes.len()
    }

    fn wait(&mut self) -> Option<Frame> {
        if !self.is_mid_frame() {
            *self = Self::default();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_has_the_bytes_of_dockers_multiplexed_stream() {
        let bytes = frame(FrameKind::Stderr, b"hi\n").unwrap();
        assert_eq!(bytes, b"\x02\0\0\0\0\0\0\x03hi\n");
    }

    #[test]
    fn a_message_comes_back_as_it_was_sent() {
        let mut decoder = Decoder::default();
        decoder.push(&encode(&Request::Signal { number: 15 }).unwrap());
        let frame = decoder.next_frame().unwrap().unwrap();
        let request: Request = frame.message().unwrap();
        assert_eq!(request, Request::Signal { number: 15 });
        assert!(matches!(
            frame.message::<Reply>(),
            Err(FrameError::Unexpected { .. })
        ));
    }

    #[test]
    fn a_length_above_the_limit_is_refused_from_the_header_alone() {
        let mut decoder = Decoder::default();
        decoder.push(&[16, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        assert!(matches!(
            decoder.next_frame(),
            Err(FrameError::Length { .. })
        ));
        assert!(frame(FrameKind::CloseStdin, b"x").is_err());
    }

    #[test]
    fn unknown_kinds_and_padding_are_refused() {
        assert!(matches!(
            Header::parse([9, 0, 0, 0, 0, 0, 0, 0]),
            Err(FrameError::Kind(9))
        ));
        assert!(matches!(
            Header::parse([1, 0, 7, 0, 0, 0, 0, 0]),
            Err(FrameError::Padding)
        ));
    }

    #[test]
    fn unknown_fields_of_a_request_are_refused() {
        let bytes = frame(
            FrameKind::Request,
            br#"{"signal":{"number":9,"group":true}}"#,
        );
        let mut decoder = Decoder::default();
        decoder.push(&bytes.unwrap());
        let frame = decoder.next_frame().unwrap().unwrap();
        assert!(frame.message::<Request>().is_err());
    }
}
