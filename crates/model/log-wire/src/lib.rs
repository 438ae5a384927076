//! What a log entry looks like to a log server: syslog, GELF, fluentd's forward protocol, journald's own.
//!
//! Pure: an [`Entry`] and what is known of its container go in, bytes come out. What a container writes is hostile: a line
//! break or zero byte in it must not begin a message of its own. Used by the supervisor, which owns the connection.

mod entry;
mod fluentd;
mod gelf;
mod journald;
mod syslog;

pub use entry::{Entry, Piece, Source};
pub use fluentd::{Answer, Fluentd};
pub use gelf::{Compression, Gelf};
pub use journald::{Journald, field_name};
pub use syslog::{Form, Syslog};

use serde::{Deserialize, Serialize};

/// How entries are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Wire {
    /// RFC 3164, RFC 5424, or what local daemons take.
    Syslog(Syslog),
    /// Graylog's format.
    Gelf(Gelf),
    /// Fluentd's forward protocol.
    Fluentd(Fluentd),
    /// The journal's native protocol.
    Journald(Journald),
}

impl Wire {
    /// Gives the messages of an entry: mostly one; none when the format has no room for an empty line.
    #[must_use]
    pub fn encode(&self, entry: &Entry<'_>) -> Vec<Vec<u8>> {
        match self {
            Self::Syslog(syslog) => syslog.encode(entry).into_iter().collect(),
            Self::Gelf(gelf) => gelf.encode(entry),
            Self::Fluentd(fluentd) => vec![fluentd.encode(entry)],
            Self::Journald(journald) => journald.encode(entry).into_iter().collect(),
        }
    }
}
