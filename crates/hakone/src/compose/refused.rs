//! A refusal at the joint itself: a value that one service typed as text and the other wants parsed.

use hakone_base::{Fault, Kind};

/// A wrong value, in Docker's words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) String);

impl Fault for Refused {
    fn kind(&self) -> Kind {
        Kind::InvalidParameter
    }
}
