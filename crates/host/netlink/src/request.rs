//! One change, ready to be sent.

use rustix::io::Errno;

use crate::{
    kernel::{NLM_F_ACK, NLM_F_REQUEST},
    message::Message,
};

/// A change of one object; a [`crate::Socket`] sends many at once.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until a socket executes it"]
pub struct Request {
    pub(crate) action: &'static str,
    pub(crate) object: String,
    pub(crate) message: Message,
    tolerated: Vec<Errno>,
}

impl Request {
    pub(crate) fn new(action: &'static str, object: impl Into<String>, message: Message) -> Self {
        Self {
            action,
            object: object.into(),
            message,
            tolerated: Vec::new(),
        }
    }

    /// Counts it as done when the object is there already.
    pub fn unless_exists(self) -> Self {
        self.tolerate(&[Errno::EXIST])
    }

    /// Counts it as done when the object is gone already.
    pub fn unless_missing(self) -> Self {
        self.tolerate(&[Errno::NODEV, Errno::NOENT, Errno::SRCH])
    }

    pub(crate) fn tolerates(&self, errno: Errno) -> bool {
        self.tolerated.contains(&errno)
    }

    fn tolerate(mut self, errors: &[Errno]) -> Self {
        self.tolerated.extend_from_slice(errors);
        self
    }
}

/// Flags of a change whose success is to be acknowledged.
pub(crate) const fn acknowledged(flags: u16) -> u16 {
    NLM_F_REQUEST | NLM_F_ACK | flags
}
