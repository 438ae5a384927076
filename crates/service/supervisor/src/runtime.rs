//! Who makes the container: our own runtime, or a program with runc's command line. Both behave alike.

mod builtin;
mod console;
mod exec;
mod external;

use std::os::fd::OwnedFd;

use hakone_cgroup::{Cgroup, OomEvents};
use hakone_supervision::{ExecOrder, FailureKind, Order, Runtime, Streams};
use rustix::process::Pid;

use self::{builtin::Builtin, external::External};
use crate::{error::Error, prepare, stdio::Ours};

/// A container that was made.
#[derive(Debug)]
pub(crate) enum Container {
    /// By our own runtime.
    Builtin(Builtin),
    /// By a program.
    External(External),
}

/// What comes of letting a program run.
#[derive(Debug, Default)]
pub(crate) struct Started {
    /// What was gone without.
    pub(crate) warnings: Vec<String>,
    /// Where its filter asks.
    pub(crate) listener: Option<OwnedFd>,
}

impl Container {
    /// Makes the container up to the barrier: everything but its program.
    pub(crate) fn create(
        order: &Order,
        netns: Option<OwnedFd>,
    ) -> Result<(Self, Pid, Ours), Error> {
        let mut spec = prepare::spec(&order.bundle)?;
        if let Some(process) = spec.process_mut() {
            exec::lend(process, &prepare::lent(&order.run_dir)?);
        }
        let root = prepare::root(order, &spec)?;
        match order.runtime {
            Runtime::Builtin => Builtin::create(order, spec, root, netns)
                .map(|(made, pid, ours)| (Self::Builtin(made), pid, ours)),
            Runtime::External { .. } => External::create(order, spec, root, netns)
                .map(|(made, pid, ours)| (Self::External(made), pid, ours)),
        }
    }

    /// Lets the program run.
    pub(crate) fn start(&mut self) -> Result<Started, Error> {
        match self {
            Self::Builtin(made) => made.start(),
            Self::External(made) => made.start().map(|()| Started::default()),
        }
    }

    /// Runs one more process; it is a child of ours, and may come with the listener of its filter.
    pub(crate) fn exec(
        &mut self,
        order: &ExecOrder,
    ) -> Result<(Pid, Ours, Option<OwnedFd>), Error> {
        match self {
            Self::Builtin(made) => made.exec(order),
            Self::External(made) => made.exec(order).map(|(pid, ours)| (pid, ours, None)),
        }
    }

    /// Watches for want of memory; a host without a memory controller has nothing to watch.
    pub(crate) fn oom_events(&self) -> Option<OomEvents> {
        self.cgroup()?.oom_events().ok()
    }

    /// Kills what is left of the container after init's end; with a process namespace of its own there is nothing.
    pub(crate) fn kill_rest(&mut self) {
        if let Some(cgroup) = self.cgroup() {
            // What cannot be killed keeps its group, which the daemon finds and reports.
            cgroup.kill_all().ok();
        }
    }

    /// Undoes the container, whatever state it is in.
    pub(crate) fn remove(self) {
        match self {
            Self::Builtin(made) => made.remove(),
            Self::External(made) => made.remove(),
        }
    }

    pub(crate) fn cgroup(&self) -> Option<&Cgroup> {
        match self {
            Self::Builtin(made) => Some(made.cgroup()),
            Self::External(made) => made.cgroup(),
        }
    }
}

/// Which streams the container's process gets: output always, for the log.
fn init_streams(order: &Order) -> Streams {
    Streams {
        stdin: order.open_stdin,
        stdout: true,
        stderr: true,
    }
}

/// Sorts a runtime's message as Docker does, by its words.
fn start_failure(message: &str) -> Error {
    let message = message
        .rsplit_once("unable to start container process: ")
        .map_or(message, |(_, reason)| reason)
        .trim();
    let missing = ["executable file not found", "no such file or directory"];
    let forbidden = ["permission denied", "not a directory"];
    let says = |words: [&str; 2]| words.iter().any(|word| message.contains(word));
    let kind = match (says(missing), says(forbidden)) {
        (true, _) => FailureKind::NotFound,
        (_, true) => FailureKind::Permission,
        (false, false) => FailureKind::Other,
    };
    Error::Start {
        kind,
        message: message.to_owned(),
    }
}
