//! Where something stands in the Dockerfile: its lines, counted from one.

use std::fmt;

/// The lines from the first to the last of an instruction, heredocs included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The line of the instruction's keyword.
    pub first: u32,
    /// The last line that belongs to it.
    pub last: u32,
}

impl Span {
    /// Makes the span of one line.
    #[must_use]
    pub const fn line(line: u32) -> Self {
        Self {
            first: line,
            last: line,
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)
    }
}
