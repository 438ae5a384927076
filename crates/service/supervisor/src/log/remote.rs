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

use hakone_log_wire::{Entry as Message, Piece, Source, Wire};
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
        let flags = channel.wants(!self.queue.is_empty());
        // An idle datagram socket that heard of a failure would be ready for ever.
        (!flags.is_empty()).then(|| (channel.socket(), flags))
    }

    pub(super) fn is_waiting(&self) -> bool {
        let begins = self.channel.as_ref().is_none_or(Channel::is_beginning);
        let timed = begins || self.patience.is_some();
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
            match channel.send(self.queue.front().map(Vec::as_slice)) {
                Ok(taken @ (Taken::Whole | Taken::Unheard)) => {
                    // A server that takes lines is well.
                    self.pause = Duration::from_millis(self.retry.pause);
                    self.failures = 0;
                    self.stuck = None;
                    self.doubted = taken == Taken::Unheard;
                    self.forget_first();
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
        let free = self.channel.as_ref().is_some_and(Channel::is_between_lines);
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
mod tests {
    use super::*;
    use hakone_base::Timestamp;
    use hakone_log_wire::Fluentd;
    use hakone_supervision::LogStream;
    use std::{io::Read as _, net::TcpListener};

    fn forward(address: std::net::SocketAddr, room: u64, lossy: bool) -> Forward {
        Forward {
            peer: LogPeer::Tcp(vec![address]),
            wire: Wire::Fluentd(Fluentd {
                tag: "t".into(),
                fields: [].into(),
                subsecond: false,
            }),
            room,
            lossy,
            cache: None,
            retry: LogRetry::default(),
            name: None,
            stream: LogStream::default(),
        }
    }

    /// Says of a server that it is tried a few times, at once.
    fn briefly(order: Forward, attempts: u32) -> Forward {
        let retry = LogRetry {
            attempts,
            pause: 1,
            longest: 1,
        };
        Forward { retry, ..order }
    }

    fn push(remote: &mut Remote, text: &[u8]) {
        let entry = Entry {
            text,
            whole: true,
            at: Timestamp::from_nanos(0),
        };
        remote.push(entry, FrameKind::Stdout);
    }

    /// Works until a condition holds: sockets answer when they do.
    fn until(remote: &mut Remote, done: impl Fn(&Remote) -> bool) {
        while !done(remote) {
            remote.work();
            std::thread::yield_now();
        }
    }

    #[test]
    fn lines_wait_for_a_server_that_comes_later_and_arrive_in_order() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let mut remote = Remote::new(forward(address, 1 << 20, false));
        push(&mut remote, b"first");
        until(&mut remote, |remote| remote.channel.is_none());
        push(&mut remote, b"second");
        let listener = TcpListener::bind(address).unwrap();
        until(&mut remote, |remote| remote.queue.is_empty());
        let (mut server, _) = listener.accept().unwrap();
        drop(remote);
        let mut bytes = Vec::new();
        server.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.find("first").unwrap() < text.find("second").unwrap());
    }

    #[test]
    fn a_full_room_holds_the_container_up_or_drops_lines() {
        let nobody = "127.0.0.1:1".parse().unwrap();
        let mut patient = Remote::new(forward(nobody, 100, false));
        let mut lossy = Remote::new(forward(nobody, 100, true));
        for _ in 0..10 {
            push(&mut patient, &[b'x'; 30]);
            push(&mut lossy, &[b'x'; 30]);
        }
        assert!(patient.is_behind() && patient.dropped() == 0);
        assert!(
            !lossy.is_behind() && lossy.dropped() >= 8,
            "{}",
            lossy.dropped()
        );
        assert!(lossy.queued <= 100);
    }

    #[test]
    fn a_server_that_stays_away_is_given_up_and_the_container_goes_on() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let mut remote = Remote::new(briefly(forward(address, 100, false), 3));
        for _ in 0..10 {
            push(&mut remote, &[b'x'; 30]);
        }
        assert!(remote.is_behind());
        until(&mut remote, |remote| !remote.is_behind());
        assert_eq!((remote.dropped(), remote.queue.len()), (10, 0));
        // And one that comes back gets what is said from then on.
        let listener = TcpListener::bind(address).unwrap();
        push(&mut remote, b"later");
        until(&mut remote, |remote| remote.queue.is_empty());
        assert_eq!(remote.dropped(), 10);
        let (mut server, _) = listener.accept().unwrap();
        drop(remote);
        let mut bytes = Vec::new();
        server.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("later") && !text.contains("xxx"), "{text}");
    }

    /// A server of this host, and an order to it whose stream is kept so.
    fn streaming(stream: LogStream) -> (TcpListener, Remote) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let order = forward(listener.local_addr().unwrap(), 1 << 30, false);
        (listener, Remote::new(Forward { stream, ..order }))
    }

    #[test]
    fn a_server_that_takes_nothing_for_too_long_is_left_and_the_line_goes_to_the_next() {
        let (listener, mut remote) = streaming(LogStream {
            patience: Some(50),
            renewal: None,
        });
        let (deaf, _) = listener.accept().unwrap();
        // More than the sockets' buffers take.
        for _ in 0..20_000 {
            push(&mut remote, &[b'x'; 1000]);
        }
        until(&mut remote, |remote| remote.stuck.is_some());
        until(&mut remote, |remote| remote.channel.is_none());
        assert!(remote.is_waiting() && !remote.queue.is_empty());
        drop(deaf);
        listener.set_nonblocking(true).unwrap();
        let mut heard = None;
        while heard.is_none() {
            remote.work();
            heard = listener.accept().ok();
        }
    }

    #[test]
    fn a_connection_is_renewed_between_two_lines_when_it_is_old_enough() {
        let (listener, mut remote) = streaming(LogStream {
            patience: None,
            renewal: Some(100),
        });
        push(&mut remote, b"first");
        until(&mut remote, |remote| remote.queue.is_empty());
        let (mut before, _) = listener.accept().unwrap();
        until(&mut remote, |remote| {
            remote.begun.elapsed() >= Duration::from_millis(100)
        });
        assert!(remote.channel.is_some(), "without a line it stays");
        push(&mut remote, b"second");
        until(&mut remote, |remote| remote.queue.is_empty());
        let (mut after, _) = listener.accept().unwrap();
        drop(remote);
        let mut told = [Vec::new(), Vec::new()];
        before.read_to_end(&mut told[0]).unwrap();
        after.read_to_end(&mut told[1]).unwrap();
        let told = told.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(told[0].contains("first") && !told[0].contains("second"));
        assert!(told[1].contains("second") && !told[1].contains("first"));
    }

    #[test]
    fn an_answer_of_the_name_server_moves_the_peer_and_none_leaves_it() {
        let [old, new] = ["127.0.0.1:1", "127.0.0.2:2"].map(|one| one.parse().unwrap());
        let mut peer = LogPeer::Tcp(vec![old]);
        peer.move_to(Vec::new());
        assert_eq!(peer, LogPeer::Tcp(vec![old]));
        peer.move_to(vec![new]);
        assert_eq!(peer, LogPeer::Tcp(vec![new]));
        let mut local = LogPeer::Unix("/x".into());
        local.move_to(vec![new]);
        assert_eq!(local, LogPeer::Unix("/x".into()));
    }

    #[test]
    fn pieces_of_a_long_line_are_counted() {
        let mut long = Long::default();
        assert_eq!(long.next(true, 1), None);
        let pieces = [long.next(false, 2), long.next(false, 3), long.next(true, 4)];
        let told = pieces.map(|piece| piece.map(|p| (p.line, p.ordinal, p.last)).unwrap());
        assert_eq!(told, [(2, 1, false), (2, 2, false), (2, 3, true)]);
        assert_eq!(long.next(true, 5), None);
    }
}
