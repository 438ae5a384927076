//! Keeps what the container's process writes: in files, with a log server, or both.
//!
//! One write a chunk of output, however many lines it holds. A disk that is full must not end the container: lines
//! that cannot be written are counted and left out, whole. A log server that is slow or away holds the container up only
//! if that was asked for: then no more is read from the process ([`Log::is_behind`]) until there is room again.

mod channel;
mod file;
mod line;
mod lookup;
mod press;
mod remote;
mod secure;

use hakone_base::Timestamp;
use hakone_supervision::{FrameKind, Log as Order, LogFile as FileOrder};
use rustix::{event::PollFlags, fd::BorrowedFd};

use self::{
    file::{LogFile, Rotation},
    line::{Entry, Splitter, attributes},
    remote::Remote,
};

/// Where output goes besides the clients.
#[derive(Debug)]
pub(crate) struct Log {
    stdout: Splitter,
    stderr: Splitter,
    file: Option<JsonFile>,
    remote: Option<Box<Remote>>,
    lost: u64,
}

/// Docker's `json-file`.
#[derive(Debug)]
struct JsonFile {
    file: LogFile,
    attributes: Option<Box<str>>,
}

impl Log {
    /// Opens the log; one that cannot be opened loses all its lines, not the container.
    pub(crate) fn open(order: Order) -> Self {
        let (file, remote) = match order {
            Order::None => (None, None),
            Order::JsonFile(file) => (Some(file), None),
            Order::Forward(mut forward) => {
                (forward.cache.take(), Some(Box::new(Remote::new(*forward))))
            }
        };
        Self {
            stdout: Splitter::default(),
            stderr: Splitter::default(),
            file: file.map(JsonFile::new),
            remote,
            lost: 0,
        }
    }

    /// Takes what the process wrote.
    pub(crate) fn take(&mut self, kind: FrameKind, bytes: &[u8], now: Timestamp) {
        self.feed(kind, |splitter, sink| splitter.feed(bytes, now, sink));
    }

    /// Takes the end of both streams: lines without end are written as they are.
    pub(crate) fn end(&mut self, now: Timestamp) {
        for kind in [FrameKind::Stdout, FrameKind::Stderr] {
            self.feed(kind, |splitter, sink| splitter.end(now, sink));
        }
        if let Some(remote) = &mut self.remote {
            remote.end();
        }
    }

    /// Tells how many lines could not be written.
    pub(crate) fn lost(&self) -> u64 {
        let dropped = self.remote.as_ref().map_or(0, |remote| remote.dropped());
        self.lost.saturating_add(dropped)
    }

    /// Reports whether the process must wait for the log server.
    pub(crate) fn is_behind(&self) -> bool {
        self.remote
            .as_ref()
            .is_some_and(|remote| remote.is_behind())
    }

    /// Gives what to wait for on the way to the log server.
    pub(crate) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.remote.as_ref()?.interest()
    }

    /// Reports whether the log server is to be looked at again before anything happens.
    pub(crate) fn is_waiting(&self) -> bool {
        self.remote
            .as_ref()
            .is_some_and(|remote| remote.is_waiting())
    }

    /// Moves lines on to the log server, and connects to it again when it is time.
    pub(crate) fn forward(&mut self) {
        if let Some(remote) = &mut self.remote {
            remote.work();
        }
    }

    /// Reports whether there is something left that the log server may still take.
    pub(crate) fn is_lingering(&self) -> bool {
        self.remote
            .as_ref()
            .is_some_and(|remote| remote.is_lingering())
    }

    fn feed(
        &mut self,
        kind: FrameKind,
        cut: impl FnOnce(&mut Splitter, &mut dyn FnMut(Entry<'_>)),
    ) {
        if self.file.is_none() && self.remote.is_none() {
            return;
        }
        let (splitter, stream) = match kind == FrameKind::Stderr {
            true => (&mut self.stderr, "stderr"),
            false => (&mut self.stdout, "stdout"),
        };
        let (file, remote) = (&mut self.file, &mut self.remote);
        cut(splitter, &mut |entry| {
            if let Some(file) = file {
                file.push(entry, stream);
            }
            if let Some(remote) = remote {
                remote.push(entry, kind);
            }
        });
        if let Some(file) = &mut self.file {
            self.lost = self.lost.saturating_add(file.file.flush());
        }
        self.forward();
    }
}

impl JsonFile {
    fn new(order: FileOrder) -> Self {
        let rotation = Rotation {
            limit: order.max_size.filter(|limit| *limit > 0),
            files: order.max_file,
            compress: order.compress,
        };
        Self {
            file: LogFile::new(order.path, rotation),
            attributes: attributes(&order.attributes),
        }
    }

    fn push(&mut self, entry: Entry<'_>, stream: &str) {
        let attributes = self.attributes.as_deref();
        self.file
            .push(|buffer| entry.encode(stream, attributes, buffer));
    }
}
