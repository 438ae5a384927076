//! One line of a container's output, or a piece of a long one.

use hakone_base::Timestamp;

/// Which stream a line was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Source {
    /// Gives the stream's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// Gives syslog's severity: information, or an error.
    #[must_use]
    pub const fn severity(self) -> u8 {
        match self {
            Self::Stdout => 6,
            Self::Stderr => 3,
        }
    }
}

/// Which part of a line too long for one entry this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Names the line; the same for all its pieces.
    pub line: u64,
    /// Counts the pieces from 1.
    pub ordinal: u32,
    /// Whether the line ends with it.
    pub last: bool,
}

/// One line, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What was written.
    pub text: &'a [u8],
    /// Where to.
    pub source: Source,
    /// When.
    pub at: Timestamp,
    /// Seconds that the host's clock on the wall is ahead of UTC.
    pub offset: i32,
    /// Set for the pieces of a long line.
    pub piece: Option<Piece>,
    /// Counts the container's entries from 1.
    pub number: u64,
}

impl Entry<'_> {
    /// Gives the text with what is no UTF-8 replaced.
    pub(crate) fn words(&self) -> String {
        String::from_utf8_lossy(self.text).into_owned()
    }
}
