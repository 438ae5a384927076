//! Where lines of a log go: a file that is rotated, the host's syslog, its journal.
//!
//! None of them blocks on another program: what does not take a line at once loses it, and the caller counts.

mod file;
mod journal;
mod socket;
mod syslog;

use std::io;

pub use file::{RotatedFile, Rotation};
pub use journal::Journal;
pub use syslog::Syslog;

/// How much a line matters, as syslog numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Somebody should look.
    Warning = 4,
    /// Something to know.
    Notice = 5,
    /// Everyday.
    Info = 6,
}

/// Somewhere to write lines to.
#[derive(Debug)]
pub enum Sink {
    /// A file.
    File(RotatedFile),
    /// The host's syslog.
    Syslog(Syslog),
    /// The host's journal.
    Journal(Journal),
    /// Nowhere: readers get the lines while they listen.
    Nowhere,
}

impl Sink {
    /// Writes a line; files may keep it for a moment.
    ///
    /// # Errors
    /// When the line is lost.
    pub fn write(&mut self, priority: Priority, line: &str) -> io::Result<()> {
        match self {
            Self::File(file) => file.write(line),
            Self::Syslog(syslog) => syslog.write(priority, line),
            Self::Journal(journal) => journal.write(priority, line),
            Self::Nowhere => Ok(()),
        }
    }

    /// Gives a file what was kept.
    ///
    /// # Errors
    /// When lines are lost.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Syslog(_) | Self::Journal(_) | Self::Nowhere => Ok(()),
        }
    }
}
