//! Answers the requests of the control socket.

use hakone_base::ExecId;
use hakone_supervision::{
    ExecOrder, FailureKind, Frame, FrameKind, MAX_HELD, MAX_HELD_PER_MESSAGE, Notice, Reply,
    Request, Streams, WindowSize,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    connection::Purpose,
    error::Error,
    process::{INIT, Process},
    runtime::Started,
    server::{Server, Stage, now},
    stdio::resize,
};

/// What is told of an exec that ended or never was.
const NO_EXEC: &str = "the exec is not running";

impl Server {
    /// Takes every frame that a client has sent whole; one that sends none is cut off.
    pub(crate) fn take_frames(&mut self, id: u32) {
        while let Some(connection) = self.connections.get_mut(&id) {
            match connection.decoder.next_frame() {
                Ok(Some(frame)) => self.take_frame(id, &frame),
                Ok(None) => return,
                Err(_) => return self.cut_off(id),
            }
        }
    }

    fn take_frame(&mut self, id: u32, frame: &Frame) {
        match frame.kind {
            FrameKind::Stdin => self.give_input(id, &frame.payload),
            FrameKind::CloseStdin => self.end_input(id),
            FrameKind::Request => self.take_request(id, frame),
            FrameKind::Stdout | FrameKind::Stderr | FrameKind::Reply | FrameKind::Notice => {
                self.refuse(id, "a client sends requests and input only");
            }
        }
    }

    fn take_request(&mut self, id: u32, frame: &Frame) {
        let Ok(request) = frame.message::<Request>() else {
            return self.refuse(id, "unknown request");
        };
        let reply = match request {
            Request::Start => self.start(),
            Request::Abort if !self.is_waiting_for_start() => failed("the container was started"),
            Request::Abort => {
                self.answer(id, &Reply::Ok);
                return self.abandon();
            }
            Request::Watch => return self.watch(id),
            Request::Attach(streams) => return self.attach(id, streams),
            Request::Signal { number } => self.signal(number),
            Request::Resize(size) => self.resize(INIT, size),
            Request::Exec(order) => return self.exec(id, &order),
            Request::ExecResize { id, size } => self.resize_exec(&id, size),
            Request::ExecKill { id } => self.kill_exec(&id),
            Request::Hold => self.hold(id),
            Request::Held => return self.give_held(id),
            Request::Release => {
                self.held = Vec::new();
                Reply::Ok
            }
        };
        self.answer(id, &reply);
    }

    fn answer(&mut self, id: u32, reply: &Reply) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.say(reply);
        }
    }

    fn refuse(&mut self, id: u32, message: &str) {
        self.answer(id, &failed(message));
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.open = false;
        }
    }

    fn start(&mut self) -> Reply {
        match std::mem::replace(&mut self.stage, Stage::Over(None)) {
            Stage::Created => self.start_created(),
            Stage::Failed(error) => {
                self.clean_up();
                error.reply()
            }
            stage @ (Stage::Running { .. } | Stage::Over(_)) => {
                self.stage = stage;
                failed("the container was started already")
            }
        }
    }

    fn start_created(&mut self) -> Reply {
        self.daemon = None;
        let container = self.container.as_mut();
        let (Some(container), Some(init)) = (container, self.processes.get(&INIT)) else {
            return failed("the container is gone");
        };
        let pid = init.pid;
        match container.start() {
            Ok(Started { warnings, listener }) => {
                self.listen(listener);
                let at = now();
                self.stage = Stage::Running { pid, at };
                let pid = pid.as_raw_nonzero().get();
                self.announce(&Notice::Started { pid, at });
                Reply::Started { pid, warnings }
            }
            Err(error) => {
                self.clean_up();
                error.reply()
            }
        }
    }

    fn watch(&mut self, id: u32) {
        let notice = match &self.stage {
            Stage::Running { pid, at } => Some(Notice::Started {
                pid: pid.as_raw_nonzero().get(),
                at: *at,
            }),
            Stage::Over(Some(exit)) => Some(Notice::Exited(exit.clone())),
            Stage::Created | Stage::Failed(_) | Stage::Over(None) => None,
        };
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.say(&Reply::Ok);
        connection.purpose = match self.stage {
            Stage::Over(_) => Purpose::Closing,
            Stage::Created | Stage::Failed(_) | Stage::Running { .. } => Purpose::Watch,
        };
        if let Some(notice) = notice {
            connection.say(&notice);
        }
        if self.was_oom {
            connection.say(&Notice::Oom);
        }
    }

    fn attach(&mut self, id: u32, streams: Streams) {
        let over = matches!(self.stage, Stage::Over(_));
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.say(&Reply::Ok);
        connection.purpose = match over {
            true => Purpose::Closing,
            false => Purpose::Stream {
                process: INIT,
                streams,
            },
        };
    }

    fn signal(&self, number: i32) -> Reply {
        let Stage::Running { pid, .. } = self.stage else {
            return failed("the container is not running");
        };
        let Some(signal) = hakone_sys::signal(number) else {
            return failed(&format!("invalid signal: {number}"));
        };
        // Reaped in this very turn: what the signal was for has happened, and the number may soon be another's.
        if self.has_init_ended() {
            return Reply::Ok;
        }
        // Our child, not reaped yet: the number cannot have become another process's.
        done("kill", kill_process(pid, signal))
    }

    /// Reports whether init was reaped, of which the conclusions are drawn at the end of a turn only.
    fn has_init_ended(&self) -> bool {
        let init = self.processes.get(&INIT);
        init.is_none_or(|init| init.ended.is_some())
    }

    fn resize(&self, key: u32, size: WindowSize) -> Reply {
        let process = self.processes.get(&key);
        match process.and_then(|process| process.terminal.as_ref()) {
            Some(terminal) => done("resize", resize(terminal, size)),
            None => failed("the process has no terminal"),
        }
    }

    fn resize_exec(&self, id: &ExecId, size: WindowSize) -> Reply {
        match self.find_exec(id) {
            Some((key, _)) => self.resize(key, size),
            None => failed(NO_EXEC),
        }
    }

    fn kill_exec(&self, id: &ExecId) -> Reply {
        match self.find_exec(id) {
            // Our child, not reaped yet: the number cannot have become another process's.
            Some((_, process)) if process.ended.is_none() => {
                done("kill", kill_process(process.pid, Signal::KILL))
            }
            Some(_) | None => failed(NO_EXEC),
        }
    }

    fn find_exec(&self, id: &ExecId) -> Option<(u32, &Process)> {
        let mut all = self.processes.iter();
        let found = all.find(|(_, process)| process.exec.as_ref() == Some(id));
        found.map(|(key, process)| (*key, process))
    }

    fn exec(&mut self, id: u32, order: &ExecOrder) {
        match self.launch(id, order) {
            Err(error) => self.answer(id, &error.reply()),
            Ok((key, pid)) => {
                let pid = pid.as_raw_nonzero().get();
                self.answer(id, &Reply::ExecStarted { pid });
                let connection = self.connections.get_mut(&id);
                if let Some(connection) = connection.filter(|_| !order.detach) {
                    connection.purpose = Purpose::Stream {
                        process: key,
                        streams: order.streams,
                    };
                }
            }
        }
    }

    fn launch(&mut self, id: u32, order: &ExecOrder) -> Result<(u32, Pid), Error> {
        let running = matches!(self.stage, Stage::Running { .. }) && !self.has_init_ended();
        let container = self.container.as_mut().filter(|_| running);
        let container = container.ok_or_else(|| Error::Start {
            kind: FailureKind::Other,
            message: "the container is not running".to_owned(),
        })?;
        let (pid, ours, listener) = container.exec(order)?;
        let mut process = Process::new(pid, ours);
        process.exec = Some(order.id.clone());
        process.client = (!order.detach).then_some(id);
        let key = self.key();
        self.processes.insert(key, process);
        self.listen(listener);
        Ok((key, pid))
    }

    fn hold(&mut self, id: u32) -> Reply {
        let connection = self.connections.get_mut(&id);
        let received = connection.map(|each| std::mem::take(&mut each.received));
        let received = received.unwrap_or_default();
        if self.held.len() + received.len() > MAX_HELD {
            return failed("too many descriptors are held");
        }
        self.held.extend(received);
        Reply::Ok
    }

    /// Full messages first; the last one is never full, so that the daemon knows it as the last.
    fn give_held(&mut self, id: u32) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let full = self.held.chunks_exact(MAX_HELD_PER_MESSAGE);
        let last = full.remainder();
        for descriptors in full.chain([last]) {
            let count = descriptors.len();
            if connection
                .give(&Reply::Held { count }, descriptors)
                .is_err()
            {
                return connection.give_up();
            }
        }
    }

    fn give_input(&mut self, id: u32, bytes: &[u8]) {
        let purpose = self.connections.get(&id).map(|each| each.purpose);
        let Some(Purpose::Stream { process, streams }) = purpose else {
            return;
        };
        let process = self.processes.get_mut(&process);
        if let Some(process) = process.filter(|_| streams.stdin) {
            process.input.push(bytes);
        }
    }

    /// Takes the end of a client's input: an exec's ends for good, the container's only when it was asked for once,
    /// a terminal's never.
    pub(crate) fn end_input(&mut self, id: u32) {
        let purpose = self.connections.get(&id).map(|each| each.purpose);
        let Some(Purpose::Stream {
            process: key,
            streams,
        }) = purpose
        else {
            return;
        };
        let once = self.settings.stdin_once;
        let process = self.processes.get_mut(&key);
        if let Some(process) = process.filter(|_| streams.stdin && (key != INIT || once)) {
            close_input(process);
        }
    }
}

fn close_input(process: &mut Process) {
    if process.terminal.is_none() {
        process.input.close();
    }
}

fn done(what: &str, result: rustix::io::Result<()>) -> Reply {
    match result {
        Ok(()) => Reply::Ok,
        Err(error) => failed(&format!("{what}: {}", hakone_sys::reason(error))),
    }
}

fn failed(message: &str) -> Reply {
    Reply::Failed {
        kind: FailureKind::Other,
        message: message.to_owned(),
    }
}
