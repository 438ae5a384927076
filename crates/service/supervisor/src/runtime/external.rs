//! Containers made by a program with runc's command line.
//!
//! The program makes the container and goes; being subreaper, we become init's parent. It finds the network namespace
//! through our own descriptor table (`/proc/<us>/fd/N`), so that nothing needs to be mounted anywhere. Its mistakes are
//! read from its log, as its errors go to the container's own stream.

use std::{
    fs,
    io::Read as _,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::net::UnixListener,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use hakone_base::ContainerId;
use hakone_cgroup::Cgroup;
use hakone_mount::Root;
use hakone_process::{Streams as Descriptors, Tool};
use hakone_spec::{ResolvedUser, user};
use hakone_store::{Durability, write_atomic};
use hakone_supervision::{CONFIG_FILE, ExecOrder, Order, Runtime};
use oci_spec::runtime::{LinuxNamespaceType, Process, Spec};
use rustix::{
    fs::{Mode, OFlags, open},
    process::{Pid, getpid},
};
use serde::Deserialize;

use super::{console, exec, init_streams, start_failure};
use crate::{
    descriptors::null,
    error::Error,
    stdio::{Ours, Theirs, pipes},
};

/// How long the program may take; a cold disk under load is slow.
const DEADLINE: Duration = Duration::from_secs(120);
/// The longest `passwd` or `group` file that is read from an image.
const DATABASE: u64 = 1024 * 1024;

/// A container that a program made.
#[derive(Debug)]
pub(crate) struct External {
    program: PathBuf,
    state: PathBuf,
    id: ContainerId,
    /// Our bundle: the specification as the program gets it, its log, its pid files.
    bundle: PathBuf,
    root: PathBuf,
    user: String,
    groups: Vec<String>,
    cgroup: Option<Cgroup>,
    /// Holds the network namespace until init has it.
    netns: Option<OwnedFd>,
}

#[derive(Deserialize)]
struct Line {
    level: String,
    msg: String,
}

impl External {
    pub(super) fn create(
        order: &Order,
        mut spec: Spec,
        root: PathBuf,
        netns: Option<OwnedFd>,
    ) -> Result<(Self, Pid, Ours), Error> {
        let Runtime::External { path, root: state } = &order.runtime else {
            return Err(start_failure("the runtime is no program"));
        };
        let mut made = Self {
            program: path.clone(),
            state: state.clone(),
            id: order.container.clone(),
            bundle: order.run_dir.join("bundle"),
            root,
            user: order.user.clone(),
            groups: order.groups.clone(),
            cgroup: None,
            netns,
        };
        made.write_bundle(order, &mut spec)?;
        match made.make(order) {
            Ok((pid, ours)) => {
                made.cgroup = Cgroup::open(&order.cgroup).ok();
                Ok((made, pid, ours))
            }
            Err(error) => {
                made.remove();
                Err(error)
            }
        }
    }

    pub(super) fn start(&mut self) -> Result<(), Error> {
        let tool = self.tool("start")?.argument(self.id.as_str());
        let (_, streams) = nothing()?;
        self.run(&tool, streams)?;
        self.netns = None;
        Ok(())
    }

    pub(super) fn exec(&mut self, order: &ExecOrder) -> Result<(Pid, Ours), Error> {
        let name = format!("exec-{}", order.id.short());
        let (file, pid_file) = (self.file(&name, "json"), self.file(&name, "pid"));
        write_json(&file, &self.exec_process(order)?)?;
        let tool = self.tool("exec")?.argument("--detach");
        let tool = tool.argument("--process").argument(&file);
        let launched = self.launch(
            tool.argument("--pid-file").argument(&pid_file),
            (order.terminal, order.streams),
        );
        let pid = launched.and_then(|ours| Ok((read_pid(&pid_file)?, ours)));
        for leftover in [file, pid_file] {
            fs::remove_file(leftover).ok();
        }
        pid
    }

    pub(super) fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref()
    }

    pub(super) fn remove(self) {
        let tool = self.tool("delete");
        let deleted = tool.and_then(|tool| {
            let (_, streams) = nothing()?;
            self.run(
                &tool.argument("--force").argument(self.id.as_str()),
                streams,
            )
        });
        // Not made at all, or gone already: then the group, if any, is all that is left.
        if let (Err(_), Some(cgroup)) = (deleted, &self.cgroup) {
            cgroup.kill_all().ok();
            cgroup.remove().ok();
        }
        fs::remove_dir_all(&self.bundle).ok();
    }

    fn make(&self, order: &Order) -> Result<(Pid, Ours), Error> {
        let pid_file = self.file("init", "pid");
        let tool = self.tool("create")?.argument("--bundle");
        let tool = tool.argument(&self.bundle).argument("--pid-file");
        let stdio = (order.terminal, init_streams(order));
        let ours = self.launch(tool.argument(&pid_file), stdio)?;
        Ok((read_pid(&pid_file)?, ours))
    }

    /// Runs the program so that it starts a process with these streams.
    fn launch(
        &self,
        tool: Tool,
        (terminal, streams): (bool, hakone_supervision::Streams),
    ) -> Result<Ours, Error> {
        if !terminal {
            let (ours, theirs) = pipes(streams).map_err(Error::kernel("pipes"))?;
            self.run(&tool.argument(self.id.as_str()), descriptors(theirs)?)?;
            return Ok(ours);
        }
        // An address holds 107 bytes: the way through our descriptor is short wherever the run folder is.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder =
            open(&self.bundle, flags, Mode::empty()).map_err(Error::kernel("open bundle"))?;
        let path = format!("/proc/{}/fd/{}/console.sock", getpid(), folder.as_raw_fd());
        let listener = UnixListener::bind(&path).map_err(Error::read(&path))?;
        let tool = tool.argument("--console-socket").argument(&path);
        let (_, nothing) = nothing()?;
        let ran = self.run(&tool.argument(self.id.as_str()), nothing);
        fs::remove_file(&path).ok();
        ran?;
        let master = console::receive(&listener)?;
        Ours::terminal(master, streams.stdin).map_err(Error::kernel("terminal"))
    }

    fn tool(&self, verb: &str) -> Result<Tool, Error> {
        let log = self.file("runtime", "log");
        // The program appends; what it said before is no news.
        fs::remove_file(&log).ok();
        let tool = Tool::new(&self.program).map_err(Error::part("runtime"))?;
        Ok(tool
            .deadline(DEADLINE)
            .argument("--root")
            .argument(&self.state)
            .argument("--log")
            .argument(log)
            .arguments(["--log-format", "json", verb]))
    }

    fn run(&self, tool: &Tool, streams: Descriptors) -> Result<(), Error> {
        let status = tool.run_with(streams).map_err(Error::part("runtime"))?;
        match status.success() {
            true => Ok(()),
            false => Err(start_failure(&self.complaint())),
        }
    }

    /// Gives the last error in the program's log.
    fn complaint(&self) -> String {
        let log = fs::read_to_string(self.file("runtime", "log")).unwrap_or_default();
        let lines = log.lines().rev();
        let lines = lines.filter_map(|line| serde_json::from_str::<Line>(line).ok());
        let mut errors = lines.filter(|line| matches!(line.level.as_str(), "error" | "fatal"));
        let last = errors.next().map(|line| line.msg);
        last.unwrap_or_else(|| format!("{} failed", self.program.display()))
    }

    /// Writes the specification as the program is to read it: numbers for names, our mount, our namespace.
    fn write_bundle(&self, order: &Order, spec: &mut Spec) -> Result<(), Error> {
        fs::create_dir_all(&self.bundle).map_err(Error::read(&self.bundle))?;
        if let Some(root) = spec.root_mut() {
            root.set_path(self.root.clone());
        }
        let resolved = self.resolve(&self.user, &self.groups)?;
        if let Some(process) = spec.process_mut() {
            exec::set_user(process, &resolved);
            exec::set_console(process, order.console);
        }
        self.set_network(spec);
        if self.netns.is_some() {
            show_host_sys(spec);
        }
        write_json(&self.bundle.join(CONFIG_FILE), spec)
    }

    fn set_network(&self, spec: &mut Spec) {
        let (Some(netns), Some(linux)) = (&self.netns, spec.linux_mut()) else {
            return;
        };
        let ours = format!("/proc/{}/fd/{}", getpid(), netns.as_raw_fd());
        let all = linux.namespaces_mut().iter_mut().flatten();
        for namespace in all.filter(|each| each.typ() == LinuxNamespaceType::Network) {
            namespace.set_path(Some(PathBuf::from(&ours)));
        }
    }

    fn exec_process(&self, order: &ExecOrder) -> Result<Process, Error> {
        let spec = crate::prepare::spec(&self.bundle)?;
        let base = spec.process().clone().unwrap_or_default();
        let mut process = exec::process(base, order);
        if let Some(user) = &order.user {
            exec::set_user(&mut process, &self.resolve(user, &[])?);
        }
        Ok(process)
    }

    fn resolve(&self, user: &str, groups: &[String]) -> Result<ResolvedUser, Error> {
        let root = Root::open(&self.root).map_err(Error::part("root file system"))?;
        let (passwd, group) = (
            database(&root, "/etc/passwd"),
            database(&root, "/etc/group"),
        );
        user::resolve(&passwd, &group, user, groups)
            .map_err(|error| start_failure(&error.to_string()))
    }

    fn file(&self, name: &str, kind: &str) -> PathBuf {
        self.bundle.join(format!("{name}.{kind}"))
    }
}

/// Reads a file of the image; one that is missing or unreadable knows nobody.
fn database(root: &Root, path: &str) -> String {
    let mut text = Vec::new();
    if let Ok(file) = root.read_file(Path::new(path)) {
        let file = fs::File::from(file);
        file.take(DATABASE).read_to_end(&mut text).ok();
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn nothing() -> Result<(Ours, Descriptors), Error> {
    let (ours, theirs) =
        pipes(hakone_supervision::Streams::default()).map_err(Error::kernel("open /dev/null"))?;
    Ok((ours, descriptors(theirs)?))
}

fn descriptors(theirs: Theirs) -> Result<Descriptors, Error> {
    match theirs {
        Theirs::Pipes {
            stdin,
            stdout,
            stderr,
        } => Ok(Descriptors {
            stdin,
            stdout,
            stderr,
        }),
        Theirs::Terminal(_) => {
            let open = || null().map_err(Error::kernel("open /dev/null"));
            Ok(Descriptors {
                stdin: open()?,
                stdout: open()?,
                stderr: open()?,
            })
        }
    }
}

fn read_pid(path: &Path) -> Result<Pid, Error> {
    let text = fs::read_to_string(path).map_err(Error::read(path))?;
    let number = text.trim().parse().ok().and_then(Pid::from_raw);
    number.ok_or_else(|| Error::Unreadable {
        path: path.to_owned(),
        reason: "no process number".to_owned(),
    })
}

fn write_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    serde_json::to_vec(value)
        .map_err(std::io::Error::from)
        .and_then(|bytes| write_atomic(path, &bytes, Durability::Process))
        .map_err(Error::read(path))
}

/// A mapped root may neither mount the `sysfs` of a network that its user namespace does not own, nor set its parameters:
/// it is shown the host's, read-only, and the parameters stay as the network has them.
fn show_host_sys(spec: &mut Spec) {
    let Some(linux) = spec.linux_mut() else {
        return;
    };
    if linux.uid_mappings().as_ref().is_none_or(Vec::is_empty) {
        return;
    }
    if let Some(parameters) = linux.sysctl_mut() {
        parameters.retain(|name, _value| !name.starts_with("net."));
    }
    let options = ["rbind", "rro", "nosuid", "noexec", "nodev"];
    let mounts = spec.mounts_mut().iter_mut().flatten();
    for mount in mounts.filter(|mount| mount.typ().as_deref() == Some("sysfs")) {
        mount.set_typ(Some("bind".to_owned()));
        mount.set_source(Some(PathBuf::from("/sys")));
        mount.set_options(Some(options.map(str::to_owned).into()));
    }
}
