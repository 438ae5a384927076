//! Starts this program in its supervisor role.
//!
//! Descriptors travel as the first three: `std` moves them there between `vfork` and `execve`, so nothing inheritable
//! ever exists in the daemon and no other child can catch it. The environment is empty: what the administrator set
//! for the daemon is no container's business.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::{Error, ExecutableSeal};

/// What a supervisor is started with.
#[derive(Debug)]
pub struct Spawn<'a> {
    /// Our executable.
    pub seal: &'a ExecutableSeal,
    /// The order's file.
    pub order: &'a Path,
    /// The listening control socket: descriptor 0.
    pub listener: OwnedFd,
    /// The container's network namespace: descriptor 1; `/dev/null` when there is none to enter.
    pub netns: Option<OwnedFd>,
    /// Where it complains: descriptor 2; `/dev/null` when nowhere.
    pub log: Option<OwnedFd>,
}

/// A child of ours, to be reaped by us as long as we live.
#[derive(Debug)]
pub struct Child {
    child: std::process::Child,
    pidfd: OwnedFd,
}

/// Starts `hakone supervise <order>` from the sealed executable, in our working folder, which it leaves itself. Blocks for
/// about a millisecond.
///
/// # Errors
/// When the kernel refuses.
pub fn spawn_supervisor(spawn: Spawn<'_>) -> Result<Child, Error> {
    let path = spawn.seal.path();
    #[expect(
        clippy::disallowed_methods,
        reason = "the sealed executable is no tool"
    )]
    let mut command = Command::new(&path);
    command.arg0("hakone").arg("supervise").arg(spawn.order);
    // No folder, user or hook is set here: `std` then starts it by `vfork`. A plain fork copies the daemon's page tables and
    // lets each of its threads fault on what it writes next, a fifth of the processor time of a container's start.
    command.env_clear();
    command.stdin(spawn.listener);
    command.stdout(spawn.netns.map_or_else(Stdio::null, Stdio::from));
    command.stderr(spawn.log.map_or_else(Stdio::null, Stdio::from));
    let start = |source| Error::Start {
        program: path.clone(),
        source,
    };
    let child = command.spawn().map_err(start)?;
    Child::watch(child).map_err(start)
}

impl Child {
    fn watch(mut child: std::process::Child) -> io::Result<Self> {
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Self { child, pidfd }),
            Err(error) => {
                child.kill().ok();
                child.wait().ok();
                Err(error.into())
            }
        }
    }

    /// Gives its process number.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Reaps it if it has ended; nothing while it runs. [`AsFd`] is readable from its end on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for its end and reaps it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// Kills it; with it dies its container.
    ///
    /// # Errors
    /// When the kernel refuses; a child that has ended is no error.
    pub fn kill(&self) -> io::Result<()> {
        match pidfd_send_signal(&self.pidfd, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
