//! Containers made by our own runtime, in this process.

use std::{
    fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use hakone_cgroup::Cgroup;
use hakone_runtime::{Created, ExecLaunch, Launch, Running, StartError, Stdio};
use hakone_supervision::{ExecOrder, FailureKind, Order, WindowSize};
use oci_spec::runtime::{LinuxResources, Spec};
use rustix::{io::fcntl_dupfd_cloexec, process::Pid};

use super::{Started, exec, init_streams};
use crate::{
    error::{Error, chain},
    prepare,
    stdio::{Ours, Theirs, pipes},
};

/// A container of our own runtime.
#[derive(Debug)]
pub(crate) struct Builtin {
    /// The container at the barrier.
    created: Option<Created>,
    init: Pid,
    cgroup: Cgroup,
    bundle: PathBuf,
    seccomp: Option<PathBuf>,
    user: String,
    groups: Vec<String>,
}

impl Builtin {
    pub(super) fn create(
        order: &Order,
        spec: Spec,
        root: PathBuf,
        netns: Option<OwnedFd>,
    ) -> Result<(Self, Pid, Ours), Error> {
        let (ours, theirs) = streams(order.terminal, init_streams(order), order.console)?;
        let seccomp = order.seccomp.as_deref().map(program).transpose()?;
        let cgroup = Cgroup::create(&order.cgroup, &resources(&spec))
            .map_err(Error::part("control group"))?;
        let launch = Launch {
            spec,
            rootfs: root,
            netns,
            seccomp,
            stdio: stdio(theirs),
            cgroup: &cgroup,
            user: order.user.clone(),
            groups: order.groups.clone(),
        };
        let created = match hakone_runtime::create(launch) {
            Ok(created) => created,
            Err(error) => {
                cgroup.remove().ok();
                return Err(refusal(&error));
            }
        };
        let made = Self {
            init: created.pid(),
            cgroup,
            bundle: order.bundle.clone(),
            seccomp: order.seccomp.clone(),
            user: order.user.clone(),
            groups: order.groups.clone(),
            created: Some(created),
        };
        match made.console(ours, order.open_stdin) {
            Ok(ours) => Ok((made.init, ours)).map(|(pid, ours)| (made, pid, ours)),
            Err(error) => {
                made.remove();
                Err(error)
            }
        }
    }

    pub(super) fn start(&mut self) -> Result<Started, Error> {
        let created = self.created.take().ok_or_else(|| Error::Start {
            kind: FailureKind::Other,
            message: "the container was started already".to_owned(),
        })?;
        // The process is our child as long as it is not reaped, so its number is all we need of it.
        let running = created.start().map_err(|error| refusal(&error))?;
        Ok(Started {
            warnings: running.warnings,
            listener: running.listener,
        })
    }

    pub(super) fn exec(&self, order: &ExecOrder) -> Result<(Pid, Ours, Option<OwnedFd>), Error> {
        let spec = prepare::spec(&self.bundle)?;
        let base = spec.process().clone().unwrap_or_default();
        let (ours, theirs) = streams(order.terminal, order.streams, order.console)?;
        let (user, groups) = match &order.user {
            Some(user) => (user.clone(), Vec::new()),
            None => (self.user.clone(), self.groups.clone()),
        };
        let launch = ExecLaunch {
            init: self.init,
            process: exec::process(base, order),
            user,
            groups,
            seccomp: self.seccomp.as_deref().map(program).transpose()?,
            stdio: stdio(theirs),
            cgroup: &self.cgroup,
        };
        let running: Running = hakone_runtime::exec(launch).map_err(|error| refusal(&error))?;
        let ours = match running.console {
            Some(master) => {
                Ours::terminal(master, order.streams.stdin).map_err(Error::kernel("terminal"))?
            }
            None => ours,
        };
        Ok((running.pid, ours, running.listener))
    }

    pub(super) fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// Dropping what waits at the barrier kills it; the group then is empty but for what an exec left.
    pub(super) fn remove(mut self) {
        drop(self.created.take());
        self.cgroup.kill_all().ok();
        self.cgroup.remove().ok();
    }

    fn console(&self, pipes: Ours, with_input: bool) -> Result<Ours, Error> {
        let console = self.created.as_ref().and_then(Created::console);
        let Some(console) = console else {
            return Ok(pipes);
        };
        let fail = || Error::kernel("terminal");
        let master = fcntl_dupfd_cloexec(console, 3).map_err(fail())?;
        Ours::terminal(master, with_input).map_err(fail())
    }
}

fn streams(
    terminal: bool,
    wanted: hakone_supervision::Streams,
    size: Option<WindowSize>,
) -> Result<(Ours, Theirs), Error> {
    match terminal {
        true => Ok((Ours::default(), Theirs::Terminal(size.unwrap_or_default()))),
        false => pipes(wanted).map_err(Error::kernel("pipes")),
    }
}

fn stdio(theirs: Theirs) -> Stdio {
    match theirs {
        Theirs::Pipes {
            stdin,
            stdout,
            stderr,
        } => Stdio::Pipes {
            stdin,
            stdout,
            stderr,
        },
        Theirs::Terminal(WindowSize { rows, cols }) => Stdio::Terminal { rows, cols },
    }
}

fn resources(spec: &Spec) -> LinuxResources {
    let linux = spec.linux().as_ref();
    let resources = linux.and_then(|linux| linux.resources().clone());
    resources.unwrap_or_default()
}

/// Reads a compiled system-call filter; without it the container must not start.
fn program(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(Error::read(path))
}

fn refusal(error: &StartError) -> Error {
    let kind = match error {
        StartError::NotFound(_) => FailureKind::NotFound,
        StartError::Permission(_) => FailureKind::Permission,
        StartError::Other(_) => FailureKind::Other,
    };
    Error::Start {
        kind,
        message: chain(error),
    }
}
