//! The parent's side of a new container.

use std::{os::fd::OwnedFd, path::PathBuf};

use hakone_sys::{Forked, Namespaces, clone_process};
use oci_spec::runtime::Spec;
use rustix::process::Pid;

use crate::{
    Created, Launch, Running, StartError,
    channel::{Channel, Message},
    id_map, init,
    namespace::{Visit, Wanted},
    plan::Plan,
    process::{Beside, Order},
    rootfs,
};

/// Makes the container and its first process, everything done but the program itself.
///
/// # Errors
/// In Docker's words; nothing is left behind.
pub fn create(launch: Launch<'_>) -> Result<Created, StartError> {
    let wanted = Wanted::read(&launch.spec, launch.netns)?;
    let process = launch.spec.process().as_ref();
    let process = process.ok_or_else(|| StartError::of("the spec names no process"))?;
    let beside = Beside {
        make_folder: true,
        user: launch.user,
        groups: launch.groups,
        seccomp: launch.seccomp,
    };
    let order = Order::read(process, beside)?;
    let door = launch.cgroup.door().map_err(StartError::of)?;
    let (ours, theirs) = Channel::pair()?;
    let mut plan = Plan {
        cgroup: launch.cgroup,
        door,
        order,
        stdio: launch.stdio,
        rootfs: launch.rootfs,
        spec: &launch.spec,
        wanted,
        lent: Vec::new(),
    };
    let forked = fork(&mut plan)?;
    match forked {
        Forked::Child => {
            drop(ours);
            init::run(plan, &theirs)
        }
        Forked::Parent { child, pidfd } => {
            drop(theirs);
            let ours = ours.with(&pidfd)?;
            let running = Running::of(child, pidfd);
            prepare(running, ours, &launch.spec, plan.order.oom_score)
        }
    }
}

/// The cgroup namespace is made by the child: its root is the group the maker is in at that moment.
fn fork(plan: &mut Plan<'_>) -> Result<Forked, StartError> {
    let new = plan.wanted.new.without(Namespaces::CGROUP);
    let visit = Visit::enter(&plan.wanted.joined)?;
    plan.lent = rootfs::lend(plan.spec, &plan.wanted)?;
    let forked = clone_process(new, plan.door.unified());
    match forked {
        // The child stays.
        Ok(Forked::Child) => {
            visit.stay();
            Ok(Forked::Child)
        }
        Ok(parent) => visit.leave().map(|()| parent),
        Err(errno) => Err(StartError::step("clone")(errno)),
    }
}

/// Serves the first process until it is ready.
fn prepare(
    running: Running,
    channel: Channel,
    spec: &Spec,
    oom_score: Option<i32>,
) -> Result<Created, StartError> {
    let mut created = Created {
        pid: running.pid,
        running: Some(running),
        channel,
        warnings: Vec::new(),
    };
    created
        .warnings
        .extend(set_oom_score(created.pid, oom_score));
    loop {
        match created
            .channel
            .receive()
            .map_err(StartError::step("hear of init"))?
        {
            Some(Message::Map) => {
                id_map::write(created.pid, spec)?;
                let answer = created.channel.send(&Message::Map);
                answer.map_err(StartError::step("answer init"))?;
            }
            Some(Message::Warning(text)) => created.warnings.push(text),
            Some(Message::Console(console)) => {
                if let Some(running) = &mut created.running {
                    running.console = Some(console);
                }
            }
            Some(Message::Ready) => return Ok(created),
            Some(Message::Failed(error)) => return Err(error),
            Some(Message::Listener(_) | Message::Mount(_)) => {
                return Err(StartError::of("unexpected word of init"));
            }
            None => return Err(died()),
        }
    }
}

/// Sets how soon the kernel kills the process for want of memory; by the parent, as the child cannot open its own file.
pub(crate) fn set_oom_score(pid: Pid, score: Option<i32>) -> Option<String> {
    let score = score?;
    let path = PathBuf::from(format!("/proc/{}/oom_score_adj", pid.as_raw_nonzero()));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    if text.trim() == score.to_string() {
        return None;
    }
    // Lowering it needs CAP_SYS_RESOURCE: without, the container runs with what it has.
    let written = rustix::fs::open(
        &path,
        rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .and_then(|file| rustix::io::write(file, score.to_string().as_bytes()));
    let errno = written.err()?;
    let reason = hakone_sys::reason(errno);
    Some(format!("oom_score_adj {score} could not be set: {reason}"))
}

/// Opens the barrier and waits until the process is the program or says why not; gives the listener of its filter.
pub(crate) fn release(channel: &Channel) -> Result<Option<OwnedFd>, StartError> {
    // A process that died in between is told by the closed channel.
    channel.send(&Message::Ready).map_err(|_gone| died())?;
    let mut listener = None;
    loop {
        match channel
            .receive()
            .map_err(StartError::step("hear of init"))?
        {
            None => return Ok(listener),
            Some(Message::Listener(given)) => listener = Some(given),
            Some(Message::Failed(error)) => return Err(error),
            Some(_) => return Err(StartError::of("unexpected word of init")),
        }
    }
}

pub(crate) fn died() -> StartError {
    StartError::of("container init was killed or died before it could start")
}
