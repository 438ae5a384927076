//! The end of a container: everything it wrote is kept, everything it had is undone, and the exit is on record before
//! anyone hears of it.

use std::{collections::BTreeMap, time::Duration};

use hakone_store::{Durability, write_atomic};
use hakone_supervision::{EXIT_FILE, Exit, Notice};

use crate::{
    connection::Purpose,
    error::Error,
    prepare,
    process::INIT,
    server::{Server, Stage, now},
};

/// How long a client may take nothing at the end before we leave without it.
const LINGER: Duration = Duration::from_secs(10);
/// The most output that is read after the end: a process that survives its container could write for ever.
const REST: usize = 1024;

impl Server {
    /// Concludes that init ended with this code.
    pub(crate) fn conclude(&mut self, code: i32) {
        if matches!(self.stage, Stage::Created | Stage::Failed(_)) {
            self.processes.remove(&INIT);
            self.stage = Stage::Failed(Error::Part {
                step: "init",
                reason: format!("ended with code {code} before it could be started"),
            });
            return;
        }
        self.note_oom();
        if let Some(container) = &mut self.container {
            container.kill_rest();
        }
        self.reap();
        self.drain();
        self.finish_all_execs();
        self.clean_up();
        self.record(Exit {
            code,
            oom: self.was_oom,
            at: now(),
            error: self.complaint(),
        });
    }

    /// Undoes a container that is never to run, or never will.
    pub(crate) fn abandon(&mut self) {
        if matches!(self.stage, Stage::Running { .. } | Stage::Over(_)) {
            return;
        }
        self.clean_up();
        self.stage = Stage::Over(None);
        self.hang_up();
    }

    /// Removes all that was made for the container. Each step is independent of the others.
    pub(crate) fn clean_up(&mut self) {
        self.daemon = None;
        self.oom = None;
        self.filters = BTreeMap::new();
        if let Some(container) = self.container.take() {
            container.remove();
        }
        self.processes.clear();
        self.held = Vec::new();
        self.root = prepare::remove_root(&self.settings.run_dir).or(self.root.take());
        if matches!(self.stage, Stage::Over(_)) {
            self.hang_up();
        }
    }

    /// Reports whether a client or the log server still has something to take.
    pub(crate) fn is_lingering(&self) -> bool {
        if self.log.is_lingering() {
            return true;
        }
        let stuck = self.connections.values();
        let mut stuck = stuck.filter_map(|connection| connection.stuck_since());
        stuck.any(|since| since.elapsed() < LINGER)
    }

    fn record(&mut self, exit: Exit) {
        let path = self.settings.run_dir.join(EXIT_FILE);
        let written = serde_json::to_vec(&exit)
            .map_err(std::io::Error::from)
            .and_then(|bytes| write_atomic(&path, &bytes, Durability::Process));
        if let Err(error) = written {
            self.complain(&format!("could not record the exit: {error}"));
        }
        self.announce(&Notice::Exited(exit.clone()));
        self.stage = Stage::Over(Some(exit));
        self.hang_up();
    }

    /// Moves what is still in the pipes, whether clients keep up or not.
    fn drain(&mut self) {
        let mut all: Vec<(u32, usize)> = Vec::new();
        for (key, process) in &self.processes {
            all.extend((0..process.outputs.len()).rev().map(|index| (*key, index)));
        }
        for (key, index) in all {
            let mut left = REST;
            while left > 0 && self.pump(key, index) {
                left -= 1;
            }
        }
        self.log.end(now());
    }

    /// Execs die with init; those whose end we have not seen yet died of the kernel's `SIGKILL`.
    fn finish_all_execs(&mut self) {
        const KILLED: i32 = 137;
        for process in self.processes.values_mut() {
            process.outputs.clear();
            let now = std::time::Instant::now();
            process.ended.get_or_insert((KILLED, now));
        }
        self.finish_execs();
    }

    fn complaint(&self) -> Option<String> {
        match self.log.lost() {
            0 => None,
            lost => Some(format!("{lost} log entries could not be written")),
        }
    }

    /// Lets every client go that has what it is to get.
    fn hang_up(&mut self) {
        for connection in self.connections.values_mut() {
            match connection.purpose {
                Purpose::Watch | Purpose::Stream { .. } | Purpose::Closing => {
                    connection.purpose = Purpose::Closing;
                }
                Purpose::Questions => {}
            }
        }
    }
}
