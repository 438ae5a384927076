//! A process of the container as the supervisor sees it: its streams, its client, its end.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use hakone_base::ExecId;
use hakone_supervision::FrameKind;
use rustix::{
    io::{Errno, read, write},
    process::{Pid, WaitStatus},
};

use crate::stdio::Ours;

/// The key of the container's first process.
pub(crate) const INIT: u32 = 0;
/// How long an exec's output may be held open by others after its end; Docker waits as long.
const GRACE: Duration = Duration::from_secs(2);

/// A process of the container.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    /// Its name, unless it is init.
    pub(crate) exec: Option<ExecId>,
    /// The connection that an exec streams to.
    pub(crate) client: Option<u32>,
    pub(crate) input: Input,
    pub(crate) outputs: Vec<(FrameKind, OwnedFd)>,
    pub(crate) terminal: Option<OwnedFd>,
    /// Its exit code, and when we learned of it.
    pub(crate) ended: Option<(i32, Instant)>,
}

/// What goes into a process.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pipe: Option<OwnedFd>,
    pending: Vec<u8>,
    closing: bool,
}

/// What a look at a process's output gave.
pub(crate) enum Taken {
    /// This many bytes.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// Nothing ever again.
    End,
}

impl Process {
    pub(crate) fn new(pid: Pid, ours: Ours) -> Self {
        Self {
            pid,
            exec: None,
            client: None,
            input: Input {
                pipe: ours.stdin,
                ..Input::default()
            },
            outputs: ours.outputs,
            terminal: ours.terminal,
            ended: None,
        }
    }

    /// Reads from the output at `index`; an output that ended is forgotten.
    pub(crate) fn take(&mut self, index: usize, buffer: &mut [u8]) -> (FrameKind, Taken) {
        let Some((kind, source)) = self.outputs.get(index) else {
            return (FrameKind::Stdout, Taken::End);
        };
        let kind = *kind;
        match read(source, buffer) {
            Ok(0) => {}
            Ok(count) => return (kind, Taken::Bytes(count)),
            Err(Errno::AGAIN | Errno::INTR) => return (kind, Taken::Nothing),
            // A terminal whose last user went says EIO.
            Err(_) => {}
        }
        self.outputs.remove(index);
        (kind, Taken::End)
    }

    /// Reports whether an exec's end can be announced: its streams ended as well, or others hold them too long.
    pub(crate) fn is_finished(&self) -> bool {
        self.ended
            .is_some_and(|(_, at)| self.outputs.is_empty() || at.elapsed() >= GRACE)
    }
}

impl Input {
    pub(crate) fn pipe(&self) -> Option<&OwnedFd> {
        self.pipe.as_ref()
    }

    /// Reports whether bytes wait for the process: then no more are read from clients.
    pub(crate) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes bytes for the process; without an open input they are dropped, as a closed pipe drops them.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.pipe.is_none() || self.closing {
            return;
        }
        self.pending.extend_from_slice(bytes);
        self.flush();
    }

    /// Closes the input when all pending bytes are written.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        self.flush();
    }

    /// Writes what the process takes.
    pub(crate) fn flush(&mut self) {
        while let Some(pipe) = self.pipe.as_ref().filter(|_| !self.pending.is_empty()) {
            match write(pipe, &self.pending) {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.break_off(),
            }
        }
        self.pending = Vec::new();
        if self.closing {
            self.pipe = None;
        }
    }

    /// Forgets the input: nobody reads it any more.
    pub(crate) fn break_off(&mut self) {
        *self = Self::default();
    }
}

/// Gives the exit code that a shell would: the status, or 128 plus the signal.
pub(crate) fn exit_code(status: WaitStatus) -> i32 {
    let signal = status.terminating_signal();
    let killed = signal.map(|number| hakone_supervision::SIGNAL_BASE + number);
    status.exit_status().or(killed).unwrap_or_default()
}
