//! What the supervisor waits for.

use std::{
    os::fd::{AsFd as _, BorrowedFd},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    connection::{Connection, Purpose},
    process::{INIT, Process},
    server::Server,
};

/// How often deadlines are looked at while there are any.
const TICK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 250_000_000,
};

/// Something that became ready.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Token {
    /// A child ended.
    Children,
    /// The daemon died before it let the container start.
    Daemon,
    /// A client wants in.
    Listener,
    /// The container ran out of memory.
    Oom,
    /// A process under a filter asks for something; the filter's key.
    Filter(u32),
    /// The log server is ready.
    Log,
    /// A client sent or took something.
    Connection(u32),
    /// A process takes input.
    Input(u32),
    /// A process gives output; the index among its outputs.
    Output(u32, usize),
}

type Interest<'a> = (Token, BorrowedFd<'a>, PollFlags);

impl Server {
    /// Waits until something is ready, or for a tick while a deadline is pending.
    ///
    /// Outputs come last and highest index first, so that one that ends does not shift the others.
    pub(crate) fn wait(&self) -> Result<Vec<(Token, PollFlags)>, Errno> {
        let interests = self.interests();
        let mut polled: Vec<_> = interests.iter().map(watch).collect();
        match poll(&mut polled, self.has_deadline().then_some(&TICK)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        let ready = interests.iter().zip(&polled);
        let ready = ready.map(|((token, ..), polled)| (*token, polled.revents()));
        Ok(ready.filter(|(_, flags)| !flags.is_empty()).collect())
    }

    fn interests(&self) -> Vec<Interest<'_>> {
        let mut all = vec![
            (Token::Children, self.children.as_fd(), PollFlags::IN),
            (Token::Listener, self.listener.as_fd(), PollFlags::IN),
        ];
        let daemon = self.daemon.as_ref();
        all.extend(daemon.map(|daemon| (Token::Daemon, daemon.as_fd(), PollFlags::IN)));
        let oom = self.oom.as_ref();
        all.extend(oom.map(|oom| (Token::Oom, oom.as_fd(), PollFlags::IN)));
        let filters = self.filters.iter();
        all.extend(filters.map(|(key, one)| (Token::Filter(*key), one.as_fd(), PollFlags::IN)));
        let log = self.log.interest();
        all.extend(log.map(|(socket, flags)| (Token::Log, socket, flags)));
        for (id, connection) in &self.connections {
            all.extend(self.connection_interest(*id, connection));
        }
        for (key, process) in &self.processes {
            self.process_interests(*key, process, &mut all);
        }
        all
    }

    /// A client whose input waits for the process is not looked at, not even for its end: what it sent before must
    /// be read first.
    fn connection_interest<'a>(&self, id: u32, connection: &'a Connection) -> Option<Interest<'a>> {
        let mut flags = PollFlags::empty();
        let waits = self.is_input_pending(connection);
        flags.set(PollFlags::IN, connection.open && !waits);
        flags.set(PollFlags::OUT, connection.is_queued());
        let wanted = !waits || !flags.is_empty();
        wanted.then(|| (Token::Connection(id), connection.socket().as_fd(), flags))
    }

    fn process_interests<'a>(&self, key: u32, process: &'a Process, all: &mut Vec<Interest<'a>>) {
        let pipe = process.input.pipe();
        if let Some(pipe) = pipe.filter(|_| process.input.is_pending()) {
            all.push((Token::Input(key), pipe.as_fd(), PollFlags::OUT));
        }
        if self.is_any_client_behind(key) || (key == INIT && self.log.is_behind()) {
            return;
        }
        for (index, (_, output)) in process.outputs.iter().enumerate().rev() {
            all.push((Token::Output(key, index), output.as_fd(), PollFlags::IN));
        }
    }

    fn is_input_pending(&self, connection: &Connection) -> bool {
        let Purpose::Stream { process, streams } = connection.purpose else {
            return false;
        };
        let process = self.processes.get(&process);
        streams.stdin && process.is_some_and(|process| process.input.is_pending())
    }

    fn is_any_client_behind(&self, key: u32) -> bool {
        self.connections.values().any(|connection| {
            matches!(connection.purpose, Purpose::Stream { process, .. } if process == key)
                && connection.is_behind()
        })
    }

    /// A running container with clients that keep up costs no wake-ups.
    fn has_deadline(&self) -> bool {
        let execs = self.processes.iter().filter(|(key, _)| **key != INIT);
        let mut ended = execs.filter(|(_, process)| process.ended.is_some());
        self.is_waiting_for_start()
            || self.log.is_waiting()
            || ended.next().is_some()
            || self.connections.values().any(Connection::is_queued)
    }
}

fn watch<'a>((_, descriptor, flags): &Interest<'a>) -> PollFd<'a> {
    PollFd::from_borrowed_fd(*descriptor, *flags)
}

/// How long the daemon has to say anything at all.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);
