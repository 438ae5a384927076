//! What a caller gives and gets.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use hakone_cgroup::Cgroup;
use oci_spec::runtime::{Process, Spec};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use crate::{StartError, channel::Channel, create};

/// Set to `true` in a spec's annotations, PID 1 is our own small init: it forwards signals and reaps orphans.
pub const INIT_ANNOTATION: &str = "dev.hakone.init";

/// What a container is made of.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The OCI runtime spec; `linux.seccomp`, `linux.cgroupsPath` and `hooks` are the caller's business.
    pub spec: Spec,
    /// The root file system, mounted in the caller's mount namespace.
    pub rootfs: std::path::PathBuf,
    /// The network namespace to live in; else what the spec says.
    pub netns: Option<OwnedFd>,
    /// A compiled seccomp program, as the kernel lays it out.
    pub seccomp: Option<Vec<u8>>,
    /// Where the three standard streams lead.
    pub stdio: Stdio,
    /// The control group, with its limits set.
    pub cgroup: &'a Cgroup,
    /// `name|uid[:group|gid]`, resolved in the container's own files; empty takes the spec's numbers.
    pub user: String,
    /// Groups to add, by name or number.
    pub groups: Vec<String>,
}

/// A further process for a running container.
#[derive(Debug)]
pub struct ExecLaunch<'a> {
    /// The container's first process.
    pub init: Pid,
    /// The program, its rights and limits.
    pub process: Process,
    /// As in [`Launch`].
    pub user: String,
    /// As in [`Launch`].
    pub groups: Vec<String>,
    /// As in [`Launch`].
    pub seccomp: Option<Vec<u8>>,
    /// As in [`Launch`].
    pub stdio: Stdio,
    /// The container's control group.
    pub cgroup: &'a Cgroup,
}

/// Where the standard streams of a process lead.
#[derive(Debug)]
pub enum Stdio {
    /// To these descriptors.
    Pipes {
        /// Read by the process.
        stdin: OwnedFd,
        /// Written by it.
        stdout: OwnedFd,
        /// Written by it.
        stderr: OwnedFd,
    },
    /// To a new terminal of the container's own.
    Terminal {
        /// Its height.
        rows: u16,
        /// Its width.
        cols: u16,
    },
}

/// A container whose first process waits to become the program. Dropped, it is killed and reaped.
#[derive(Debug)]
pub struct Created {
    pub(crate) running: Option<Running>,
    pub(crate) channel: Channel,
    pub(crate) pid: Pid,
    pub(crate) warnings: Vec<String>,
}

/// A process of a container, a child of the caller.
#[derive(Debug)]
pub struct Running {
    /// Its id on the host.
    pub pid: Pid,
    /// Readable when it ended; never names another process.
    pub pidfd: OwnedFd,
    /// The master side of its terminal.
    pub console: Option<OwnedFd>,
    /// Where the calls are asked that its seccomp program puts to a listener; unanswered, they wait for ever.
    pub listener: Option<OwnedFd>,
    /// What could not be done and was gone without, such as raising a limit.
    pub warnings: Vec<String>,
}

impl Created {
    /// The id of the first process on the host.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The master side of the terminal.
    #[must_use]
    pub fn console(&self) -> Option<BorrowedFd<'_>> {
        let running = self.running.as_ref()?;
        running.console.as_ref().map(|console| console.as_fd())
    }

    /// What could not be done and was gone without.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Lets the first process become the program; returns when it has.
    ///
    /// # Errors
    /// When the program cannot be run; the process is reaped.
    pub fn start(mut self) -> Result<Running, StartError> {
        let listener = create::release(&self.channel)?;
        let mut running = self.running.take().ok_or_else(create::died)?;
        running.listener = listener;
        running.warnings = std::mem::take(&mut self.warnings);
        Ok(running)
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.kill_and_reap();
        }
    }
}

impl Running {
    pub(crate) fn of(pid: Pid, pidfd: OwnedFd) -> Self {
        Self {
            pid,
            pidfd,
            console: None,
            listener: None,
            warnings: Vec::new(),
        }
    }

    /// Ends a process that did not come so far as to be the caller's business.
    pub(crate) fn kill_and_reap(&self) {
        // Dead already is what we want.
        pidfd_send_signal(&self.pidfd, Signal::KILL).ok();
        waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED).ok();
    }
}
