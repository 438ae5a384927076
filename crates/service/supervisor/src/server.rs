//! The loop: moves bytes between the container's processes, the log and the clients.

use std::{
    collections::BTreeMap,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    time::{Instant, SystemTime},
};

use hakone_base::Timestamp;
use hakone_cgroup::OomEvents;
use hakone_supervision::{Exit, FrameKind, Notice};
use rustix::{
    event::PollFlags,
    io::{Errno, read},
    net::{SocketFlags, accept_with},
    process::{Pid, WaitOptions, wait},
};

use crate::{
    connection::{Connection, PATIENCE, Purpose},
    descriptors::Descriptors,
    error::Error,
    interest::{SILENCE, Token},
    log::Log,
    ping::{Allowance, PINGS},
    process::{INIT, Process, Taken, exit_code},
    role::Settings,
    runtime::Container,
    socketcall::Makers,
};

/// Bytes moved at once; what an idle supervisor's heap keeps of it counts a thousand times.
const CHUNK: usize = 32 * 1024;

/// How far the container is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Made, waiting to be let go.
    Created,
    /// Could not be made; the daemon hears of it when it wants to let go.
    Failed(Error),
    /// Runs.
    Running {
        /// The process, in the host's process namespace.
        pid: Pid,
        /// Since when.
        at: Timestamp,
    },
    /// Ended or given up; everything is undone.
    Over(Option<Exit>),
}

/// One container's supervisor.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) settings: Settings,
    complaints: OwnedFd,
    pub(crate) listener: OwnedFd,
    pub(crate) container: Option<Container>,
    pub(crate) stage: Stage,
    pub(crate) log: Log,
    pub(crate) processes: BTreeMap<u32, Process>,
    pub(crate) connections: BTreeMap<u32, Connection>,
    /// Descriptors kept for the daemon.
    pub(crate) held: Vec<OwnedFd>,
    /// The daemon's life, watched until it lets the container go.
    pub(crate) daemon: Option<OwnedFd>,
    /// Readable when a child ended.
    pub(crate) children: UnixStream,
    pub(crate) oom: Option<OomEvents>,
    /// Where processes ask for sockets, by key.
    pub(crate) filters: BTreeMap<u32, OwnedFd>,
    pub(crate) allowance: Allowance,
    pub(crate) makers: Makers,
    pub(crate) was_oom: bool,
    pub(crate) born: Instant,
    next_key: u32,
    buffer: Vec<u8>,
    /// The root of a container that is over. Let go last of all: see [`remove_root`](crate::prepare::remove_root).
    pub(crate) root: Option<OwnedFd>,
}

impl Server {
    pub(crate) fn new(
        settings: Settings,
        descriptors: Descriptors,
        log: Log,
        (children, daemon): (UnixStream, Option<OwnedFd>),
    ) -> Self {
        Self {
            settings,
            complaints: descriptors.complaints,
            listener: descriptors.listener,
            container: None,
            stage: Stage::Over(None),
            log,
            processes: BTreeMap::new(),
            connections: BTreeMap::new(),
            held: Vec::new(),
            daemon,
            children,
            oom: None,
            filters: BTreeMap::new(),
            allowance: Allowance::new(Instant::now(), PINGS),
            makers: Makers::new(Instant::now()),
            was_oom: false,
            born: Instant::now(),
            next_key: INIT,
            buffer: Vec::new(),
            root: None,
        }
    }

    /// Serves until the container is over and every client has what it is to get.
    pub(crate) fn serve(&mut self) -> Result<(), Errno> {
        while !self.is_done() {
            for (token, flags) in self.wait()? {
                self.handle(token, flags);
            }
            self.settle();
        }
        Ok(())
    }

    /// Tells the administrator; there is nobody to tell that it could not be told.
    pub(crate) fn complain(&self, message: &str) {
        rustix::io::write(&self.complaints, format!("{message}\n").as_bytes()).ok();
    }

    /// Gives a key for a connection or an exec.
    pub(crate) fn key(&mut self) -> u32 {
        self.next_key += 1;
        self.next_key
    }

    /// Tells all watchers.
    pub(crate) fn announce(&mut self, notice: &Notice) {
        let all = self.connections.values_mut();
        for watcher in all.filter(|each| each.purpose == Purpose::Watch) {
            watcher.say(notice);
        }
    }

    /// Reports whether the daemon has yet to let the container go.
    pub(crate) fn is_waiting_for_start(&self) -> bool {
        matches!(self.stage, Stage::Created | Stage::Failed(_))
    }

    fn handle(&mut self, token: Token, flags: PollFlags) {
        match token {
            Token::Children => self.reap(),
            Token::Daemon => self.abandon(),
            Token::Listener => self.accept(),
            Token::Oom => self.note_oom(),
            Token::Filter(key) => self.answer_filter(key, flags),
            Token::Log => self.log.forward(),
            Token::Connection(id) => self.handle_connection(id, flags),
            Token::Input(key) => self.flush_input(key),
            Token::Output(key, index) => {
                self.pump(key, index);
            }
        }
    }

    fn accept(&mut self) {
        // A client that went away meanwhile is no failure.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        if let Ok(socket) = accept_with(&self.listener, flags) {
            let id = self.key();
            self.connections.insert(id, Connection::new(socket));
        }
    }

    fn handle_connection(&mut self, id: u32, flags: PollFlags) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if flags.contains(PollFlags::OUT) {
            connection.flush();
        }
        if flags.contains(PollFlags::IN) {
            return self.receive(id);
        }
        if flags.intersects(PollFlags::HUP | PollFlags::ERR) {
            self.cut_off(id);
        }
    }

    /// Forgets a client that is gone or does not speak our language.
    pub(crate) fn cut_off(&mut self, id: u32) {
        self.end_input(id);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.give_up();
        }
    }

    fn receive(&mut self, id: u32) {
        self.buffer.resize(CHUNK, 0);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        match connection.receive(&mut self.buffer) {
            Ok(0) => {
                connection.open = false;
                self.end_input(id);
            }
            Ok(count) => {
                let bytes = self.buffer.get(..count).unwrap_or_default();
                connection.decoder.push(bytes);
                self.take_frames(id);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.cut_off(id),
        }
    }

    fn flush_input(&mut self, key: u32) {
        if let Some(process) = self.processes.get_mut(&key) {
            process.input.flush();
        }
    }

    /// Moves one chunk of output to the log and the clients; tells whether there may be more.
    pub(crate) fn pump(&mut self, key: u32, index: usize) -> bool {
        self.buffer.resize(CHUNK, 0);
        let Some(process) = self.processes.get_mut(&key) else {
            return false;
        };
        let (kind, count) = match process.take(index, &mut self.buffer) {
            (kind, Taken::Bytes(count)) => (kind, count),
            (_, Taken::Nothing | Taken::End) => return false,
        };
        let bytes = self.buffer.get(..count).unwrap_or_default();
        if key == INIT {
            self.log.take(kind, bytes, now());
        }
        for connection in self.connections.values_mut() {
            if wants(connection.purpose, key, kind) {
                connection.stream(kind, bytes);
            }
        }
        true
    }

    /// Reaps every child that ended: init, execs, and orphans that came to us.
    pub(crate) fn reap(&mut self) {
        let mut signals = [0; 64];
        // Only a wake-up: what it says is that `wait` has something.
        read(self.children.as_fd(), &mut signals).ok();
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let mut all = self.processes.values_mut();
            if let Some(process) = all.find(|process| process.pid == pid) {
                process.ended = Some((exit_code(status), Instant::now()));
            }
            self.forget_maker(pid);
        }
    }

    pub(crate) fn note_oom(&mut self) {
        let kills = self.oom.as_mut().map_or(0, OomEvents::take);
        if kills > 0 {
            self.was_oom = true;
            self.announce(&Notice::Oom);
        }
    }

    /// Draws the conclusions of what was just handled.
    fn settle(&mut self) {
        let init = self.processes.get(&INIT);
        if let Some((code, _)) = init.and_then(|process| process.ended) {
            self.conclude(code);
        }
        self.finish_execs();
        if self.log.is_waiting() {
            self.log.forward();
        }
        for connection in self.connections.values_mut() {
            let stuck = connection.stuck_since();
            if stuck.is_some_and(|since| since.elapsed() >= PATIENCE) {
                connection.give_up();
            }
        }
        self.connections
            .retain(|_, connection| !connection.is_done());
        if self.is_waiting_for_start() && self.next_key == INIT && self.born.elapsed() >= SILENCE {
            self.abandon();
        }
        // Output in full flow keeps its buffer; a quiet container gives it back.
        self.buffer = Vec::new();
    }

    /// Announces execs that ended.
    pub(crate) fn finish_execs(&mut self) {
        let finished = |(key, process): (&u32, &Process)| process.is_finished().then_some(*key);
        let execs = self.processes.iter().filter(|(key, _)| **key != INIT);
        let keys: Vec<u32> = execs.filter_map(finished).collect();
        for key in keys {
            self.finish_exec(key);
        }
    }

    fn finish_exec(&mut self, key: u32) {
        let Some(process) = self.processes.remove(&key) else {
            return;
        };
        let (Some(id), Some((code, _))) = (process.exec, process.ended) else {
            return;
        };
        let notice = Notice::ExecExited { id, code };
        let client = process.client.and_then(|id| self.connections.get_mut(&id));
        if let Some(client) = client {
            client.say(&notice);
            client.purpose = Purpose::Closing;
        }
        self.announce(&notice);
    }

    fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Over(_)) && !self.is_lingering()
    }
}

/// Tells the time.
pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}

fn wants(purpose: Purpose, key: u32, kind: FrameKind) -> bool {
    let Purpose::Stream { process, streams } = purpose else {
        return false;
    };
    let wanted = match kind == FrameKind::Stderr {
        true => streams.stderr,
        false => streams.stdout,
    };
    process == key && wanted
}
