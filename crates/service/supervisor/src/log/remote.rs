//! A log server: lines wait for it in memory, within bounds, and a connection that is lost is made again.
//!
//! Nothing here blocks. When the room is full, either the container is read no further (and its next write waits) or new lines
//! are dropped; which of the two was the user's choice. A line is sent whole or again: one that was half sent when the connection
//! broke is sent once more. A server that stays away is given up after a number of connections, and the lines that wait for it with
//! it: a container does not wait for ever, unless that was asked for.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use hakone_log_wire::{Answer, Entry as Message, Fluentd, Piece, Source, Wire};
use hakone_supervision::{Forward, FrameKind, LogPeer, LogRetry};
use rustix::{event::PollFlags, fd::BorrowedFd, io::Errno};
use tz::TimeZone;

use super::{
    channel::{Channel, Taken},
    line::Entry,
    lookup::Lookup,
};

/// How long a server may take for a connection, TLS and all.
const BEGINNING: Duration = Duration::from_secs(10);
/// How old the address of a server may be that nothing is heard of, while lines go there.
const FRESH: Duration = Duration::from_secs(60);
/// The same when nobody is there.
const DOUBTED: Duration = Duration::from_secs(5);
/// How long a server may take nothing at the end before we leave without it.
const LINGER: Duration = Duration::from_secs(5);

/// A log server and what waits for it.
#[derive(Debug)]
pub(super) struct Remote {
    peer: LogPeer,
    wire: Wire,
    room: usize,
    lossy: bool,
    queue: VecDeque<Vec<u8>>,
    /// Bytes in the queue.
    queued: usize,
    channel: Option<Channel>,
    attempts: usize,
    /// When the present connection was begun.
    begun: Instant,
    /// When to connect again, and how long to wait the time after.
    again: Instant,
    pause: Duration,
    retry: LogRetry,
    /// Connections in a row that took no line.
    failures: u32,
    /// What is looked up before another connection, and the look-up under way.
    name: Option<(String, u16)>,
    lookup: Option<Lookup>,
    /// When the name was looked up, and whether somebody was there since.
    looked: Instant,
    doubted: bool,
    /// Since when the first line of the queue waits for a server that took those before.
    stuck: Option<Instant>,
    patience: Option<Duration>,
    renewal: Option<Duration>,
    /// Since when the first line of the queue is with a server that was asked to say that it has it.
    owed: Option<Instant>,
    receipts: bool,
    receipt: Option<Duration>,
    zone: Option<TimeZone>,
    entries: u64,
    stdout: Long,
    stderr: Long,
    dropped: u64,
    ended: Option<Instant>,
}

/// The line in pieces that a stream is in.
#[derive(Clone, Copy, Debug, Default)]
struct Long {
    pieces: u32,
    line: u64,
}

impl Remote {
    pub(super) fn new(order: Forward) -> Self {
        let zone = match order.wire {
            Wire::Syslog(_) => TimeZone::local().ok(),
            Wire::Gelf(_) | Wire::Fluentd(_) | Wire::Journald(_) => None,
        };
        let receipts = matches!(&order.wire, Wire::Fluentd(fluentd) if fluentd.receipts);
        let mut remote = Self {
            peer: order.peer,
            wire: order.wire,
            room: usize::try_from(order.room).unwrap_or(usize::MAX),
            lossy: order.lossy,
            queue: VecDeque::new(),
            queued: 0,
            channel: None,
            attempts: 0,
            begun: Instant::now(),
            again: Instant::now(),
            pause: Duration::from_millis(order.retry.pause),
            retry: order.retry,
            failures: 0,
            name: order.name,
            lookup: None,
            looked: Instant::now(),
            doubted: false,
            stuck: None,
            patience: order.stream.patience.map(Duration::from_millis),
            renewal: order.stream.renewal.map(Duration::from_millis),
            owed: None,
            receipts,
            receipt: order.stream.receipt.map(Duration::from_millis),
            zone,
            entries: 0,
            stdout: Long::default(),
            stderr: Long::default(),
            dropped: 0,
            ended: None,
        };
        remote.connect();
        remote
    }

    /// Adds a line.
    pub(super) fn push(&mut self, entry: Entry<'_>, kind: FrameKind) {
        self.entries += 1;
        let (source, piece) = match kind == FrameKind::Stderr {
            true => (Source::Stderr, self.stderr.next(entry.whole, self.entries)),
            false => (Source::Stdout, self.stdout.next(entry.whole, self.entries)),
        };
        let message = Message {
            text: entry.text,
            source,
            at: entry.at,
            offset: self.offset(entry.at.seconds()),
            piece,
            number: self.entries,
        };
        for bytes in self.wire.encode(&message) {
            if self.lossy && self.queued.saturating_add(bytes.len()) > self.room {
                self.dropped = self.dropped.saturating_add(1);
                continue;
            }
            self.queued += bytes.len();
            self.queue.push_back(bytes);
        }
    }

    /// Takes the end of the container: from here on the server's time runs.
    pub(super) fn end(&mut self) {
        self.ended.get_or_insert_with(Instant::now);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn is_behind(&self) -> bool {
        !self.lossy && self.queued >= self.room
    }

    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let channel = self.channel.as_ref()?;
        let flags = channel.wants(!self.queue.is_empty() && self.owed.is_none());
        // An idle datagram socket that heard of a failure would be ready for ever.
        (!flags.is_empty()).then(|| (channel.socket(), flags))
    }

    pub(super) fn is_waiting(&self) -> bool {
        let begins = self.channel.as_ref().is_none_or(Channel::is_beginning);
        let receipt = self.owed.is_some() && self.receipt.is_some();
        let timed = begins || self.patience.is_some() || receipt;
        (timed && !self.queue.is_empty()) || self.lookup.is_some() || self.is_lingering()
    }

    pub(super) fn is_lingering(&self) -> bool {
        let left = !self.queue.is_empty() || self.channel.as_ref().is_some_and(Channel::is_owing);
        left && self.ended.is_some_and(|at| at.elapsed() < LINGER)
    }

    /// Sends what can be sent.
    pub(super) fn work(&mut self) {
        self.follow();
        self.renew();
        if self.channel.is_none() && Instant::now() >= self.again {
            self.connect_again();
        }
        let begins = self.channel.as_ref().is_some_and(Channel::is_beginning);
        if begins && self.begun.elapsed() >= BEGINNING {
            return self.lose();
        }
        while let Some(channel) = &mut self.channel {
            if self.owed.is_some() {
                match self.is_received() {
                    Ok(true) => continue,
                    Ok(false) => return,
                    Err(_) => return self.lose(),
                }
            }
            match channel.send(self.queue.front().map(Vec::as_slice)) {
                Ok(taken @ (Taken::Whole | Taken::Unheard)) => {
                    self.stuck = None;
                    self.doubted = taken == Taken::Unheard;
                    match self.receipts {
                        true => self.owed = Some(Instant::now()),
                        false => self.have_sent(),
                    }
                }
                Ok(Taken::Nothing) => return self.wait(),
                // Too long for a datagram: no later try would do better.
                Err(Errno::MSGSIZE) => {
                    self.dropped = self.dropped.saturating_add(1);
                    self.forget_first();
                }
                Err(_) => return self.lose(),
            }
        }
    }

    /// A server that takes lines is well.
    fn have_sent(&mut self) {
        self.pause = Duration::from_millis(self.retry.pause);
        self.failures = 0;
        self.owed = None;
        self.forget_first();
    }

    /// Reports whether the server has said that it has the line; one that says something else, or is late, is left, and the line
    /// goes to the next.
    fn is_received(&mut self) -> Result<bool, Errno> {
        let (Some(channel), Some(line)) = (&mut self.channel, self.queue.front()) else {
            return Err(Errno::PIPE);
        };
        // A server may answer and leave: what it said counts.
        let moved = channel.send(None);
        match Fluentd::answer(line, channel.heard()) {
            Answer::Receipt(length) => {
                channel.heard().drain(..length);
                self.have_sent();
                Ok(true)
            }
            Answer::Other => Err(Errno::PROTO),
            Answer::Part => {
                moved?;
                let late =
                    |since: Instant| self.receipt.is_some_and(|most| since.elapsed() >= most);
                match self.owed.is_some_and(late) {
                    true => Err(Errno::TIMEDOUT),
                    false => Ok(false),
                }
            }
        }
    }

    /// Takes the connection for lost when a line has waited too long for it.
    fn wait(&mut self) {
        let begins = self.channel.as_ref().is_some_and(Channel::is_beginning);
        let Some(patience) = self.patience.filter(|_| !begins && !self.queue.is_empty()) else {
            return;
        };
        if self.stuck.get_or_insert_with(Instant::now).elapsed() >= patience {
            self.lose();
        }
    }

    /// Leaves a connection that is old enough, between two lines, so that the next one is made to where the name leads by then.
    fn renew(&mut self) {
        let old = self.renewal.is_some_and(|age| self.begun.elapsed() >= age);
        let between = self.channel.as_ref().is_some_and(Channel::is_between_lines);
        let free = between && self.owed.is_none();
        if old && free && !self.queue.is_empty() {
            self.channel = None;
            self.again = Instant::now();
        }
    }

    /// Looks the name of a server up again that never says a word, and goes on to where it is now. Lines go on to the old address
    /// meanwhile.
    fn follow(&mut self) {
        if !self.channel.as_ref().is_some_and(Channel::is_lossy) || self.name.is_none() {
            return;
        }
        let age = match self.doubted {
            true => DOUBTED,
            false => FRESH,
        };
        let begins = !self.queue.is_empty() && self.looked.elapsed() >= age;
        if !begins && self.lookup.is_none() {
            return;
        }
        let before = self.peer.clone();
        if self.is_found() {
            self.looked = Instant::now();
            if self.peer != before {
                self.connect();
            }
        }
    }

    fn forget_first(&mut self) {
        if let Some(sent) = self.queue.pop_front() {
            self.queued = self.queued.saturating_sub(sent.len());
        }
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    /// Connects again when the name is looked up: the server may be elsewhere by now.
    fn connect_again(&mut self) {
        if self.is_found() {
            self.connect();
        }
    }

    /// Looks the name up, if there is one; false while somebody still looks.
    fn is_found(&mut self) -> bool {
        let Some(name) = &self.name else {
            return true;
        };
        let Some(lookup) = &mut self.lookup else {
            self.lookup = Lookup::begin(name);
            return self.lookup.is_none();
        };
        let Some(found) = lookup.end() else {
            return false;
        };
        self.lookup = None;
        self.peer.move_to(found);
        true
    }

    fn connect(&mut self) {
        self.attempts = self.attempts.wrapping_add(1);
        self.begun = Instant::now();
        match Channel::open(&self.peer, self.attempts) {
            Ok(channel) => self.channel = Some(channel),
            Err(_) => self.lose(),
        }
    }

    fn lose(&mut self) {
        self.channel = None;
        self.stuck = None;
        self.owed = None;
        self.again = Instant::now() + self.pause;
        let longest = Duration::from_millis(self.retry.longest);
        self.pause = self.pause.saturating_mul(2).min(longest);
        self.failures = self.failures.saturating_add(1);
        if !self.lossy && self.failures > self.retry.attempts {
            self.give_up();
        }
    }

    /// Lets the lines go that wait, so that the container goes on; the next one is waited for as long again.
    fn give_up(&mut self) {
        let lines = u64::try_from(self.queue.len()).unwrap_or(u64::MAX);
        self.dropped = self.dropped.saturating_add(lines);
        self.queue = VecDeque::new();
        self.queued = 0;
        self.failures = 0;
        self.pause = Duration::from_millis(self.retry.pause);
    }

    /// Tells how far the clock on the wall is ahead of UTC at a time.
    fn offset(&self, seconds: i64) -> i32 {
        let zone = self.zone.as_ref().map(TimeZone::as_ref);
        let found = zone.and_then(|zone| zone.find_local_time_type(seconds).ok());
        found.map_or(0, tz::LocalTimeType::ut_offset)
    }
}

impl Long {
    /// Counts a piece; a line that comes whole has none.
    fn next(&mut self, ends: bool, entry: u64) -> Option<Piece> {
        if self.pieces == 0 {
            if ends {
                return None;
            }
            self.line = entry;
        }
        self.pieces += 1;
        let piece = Piece {
            line: self.line,
            ordinal: self.pieces,
            last: ends,
        };
        if ends {
            self.pieces = 0;
        }
        Some(piece)
    }
}

#[cfg(test)]
mod tests;
