//! Keeps what the container's process writes.
//!
//! One write a chunk of output, however many lines it holds. A disk that is full must not end the container: lines
//! that cannot be written are counted and left out, whole.

mod file;
mod line;
mod press;

use std::collections::BTreeMap;

use hakone_base::Timestamp;
use hakone_supervision::{FrameKind, Log as Order};

use self::{
    file::{LogFile, Rotation},
    line::{Entry, Splitter, attributes},
};

/// Where output goes besides the clients.
#[derive(Debug)]
pub(crate) enum Log {
    /// Docker's `json-file`.
    JsonFile(Box<JsonFile>),
    /// Nowhere.
    None,
}

/// Docker's `json-file`.
#[derive(Debug)]
pub(crate) struct JsonFile {
    file: LogFile,
    attributes: Option<Box<str>>,
    stdout: Splitter,
    stderr: Splitter,
    lost: u64,
}

impl Log {
    /// Opens the log; one that cannot be opened loses all its lines, not the container.
    pub(crate) fn open(order: Order) -> Self {
        match order {
            Order::None => Self::None,
            Order::JsonFile {
                path,
                max_size,
                max_file,
                compress,
                attributes,
            } => {
                let rotation = Rotation {
                    limit: max_size.filter(|limit| *limit > 0),
                    files: max_file,
                    compress,
                };
                Self::json_file(LogFile::new(path, rotation), &attributes)
            }
        }
    }

    fn json_file(file: LogFile, given: &BTreeMap<String, String>) -> Self {
        Self::JsonFile(Box::new(JsonFile {
            file,
            attributes: attributes(given),
            stdout: Splitter::default(),
            stderr: Splitter::default(),
            lost: 0,
        }))
    }

    /// Takes what the process wrote.
    pub(crate) fn take(&mut self, kind: FrameKind, bytes: &[u8], now: Timestamp) {
        if let Self::JsonFile(log) = self {
            log.feed(kind, now, |splitter, sink| splitter.feed(bytes, now, sink));
        }
    }

    /// Takes the end of both streams: lines without end are written as they are.
    pub(crate) fn end(&mut self, now: Timestamp) {
        if let Self::JsonFile(log) = self {
            log.feed(FrameKind::Stdout, now, |splitter, sink| {
                splitter.end(now, sink);
            });
            log.feed(FrameKind::Stderr, now, |splitter, sink| {
                splitter.end(now, sink);
            });
        }
    }

    /// Tells how many lines could not be written.
    pub(crate) fn lost(&self) -> u64 {
        match self {
            Self::JsonFile(log) => log.lost,
            Self::None => 0,
        }
    }
}

impl JsonFile {
    fn feed(
        &mut self,
        kind: FrameKind,
        _now: Timestamp,
        cut: impl FnOnce(&mut Splitter, &mut dyn FnMut(Entry<'_>)),
    ) {
        let (splitter, stream) = match kind == FrameKind::Stderr {
            true => (&mut self.stderr, "stderr"),
            false => (&mut self.stdout, "stdout"),
        };
        let (file, attributes) = (&mut self.file, self.attributes.as_deref());
        cut(splitter, &mut |entry| {
            file.push(|buffer| entry.encode(stream, attributes, buffer));
        });
        self.lost = self.lost.saturating_add(file.flush());
    }
}
