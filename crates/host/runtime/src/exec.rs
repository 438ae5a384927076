//! A further process in a running container: `docker exec`.

use std::{
    fs,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::Path,
};

use hakone_cgroup::Door;
use hakone_mount::Root;
use hakone_sys::{Forked, Namespaces, clone_process, join_new_session_keyring};
use rustix::{
    process::{Gid, Pid, PidfdFlags, Uid, pidfd_open},
    thread::{
        ThreadNameSpaceType, move_into_thread_name_spaces, set_thread_res_gid, set_thread_res_uid,
    },
};

use crate::{
    ExecLaunch, Running, StartError, Stdio,
    channel::{Channel, Message},
    child::{self, NeverReturn},
    console, create,
    credentials::{self, Ready},
    namespace::{Joined, Visit},
    process::{Beside, Order},
};

/// All that the new process needs, prepared by its parent.
#[derive(Debug)]
struct Plan {
    door: Door,
    init: OwnedFd,
    namespaces: ThreadNameSpaceType,
    order: Order,
    stdio: Stdio,
}

/// Starts a process in the namespaces, the control group and the root of a running container.
///
/// # Errors
/// In Docker's words; no process is left behind.
pub fn exec(launch: ExecLaunch<'_>) -> Result<Running, StartError> {
    let beside = Beside {
        make_folder: false,
        user: launch.user,
        groups: launch.groups,
        seccomp: launch.seccomp,
    };
    // Opened before the namespaces are looked at: from then on the number means this process.
    let init = pidfd_open(launch.init, PidfdFlags::empty())
        .map_err(StartError::step("container is not running"))?;
    let plan = Plan {
        door: launch.cgroup.door().map_err(StartError::of)?,
        init,
        namespaces: differing(launch.init),
        order: Order::read(&launch.process, beside)?,
        stdio: launch.stdio,
    };
    let (ours, theirs) = Channel::pair()?;
    match fork(&plan, launch.init)? {
        Forked::Child => {
            drop(ours);
            run(plan, &theirs)
        }
        Forked::Parent { child, pidfd } => {
            drop(theirs);
            let ours = ours.with(&pidfd)?;
            let running = Running::of(child, pidfd);
            let oom_score = plan.order.oom_score;
            // The parent's copies of the streams: kept, no reader would ever see their end.
            drop(plan);
            follow(running, &ours, oom_score)
        }
    }
}

const NAMESPACES: [(&str, ThreadNameSpaceType); 6] = [
    ("user", ThreadNameSpaceType::USER),
    ("mnt", ThreadNameSpaceType::MOUNT),
    ("net", ThreadNameSpaceType::NETWORK),
    ("ipc", ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION),
    ("uts", ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME),
    ("cgroup", ThreadNameSpaceType::CONTROL_GROUP),
];

/// Which namespaces of the container are not ours: joining one's own user namespace is an error.
fn differing(init: Pid) -> ThreadNameSpaceType {
    let others = NAMESPACES.iter().filter(|(name, _kind)| !same(init, name));
    others.fold(ThreadNameSpaceType::empty(), |all, (_name, kind)| {
        all | *kind
    })
}

fn same(init: Pid, name: &str) -> bool {
    let identity = |path: String| fs::metadata(path).ok().map(|one| (one.dev(), one.ino()));
    let ours = identity(format!("/proc/self/ns/{name}"));
    let theirs = identity(format!("/proc/{}/ns/{name}", init.as_raw_nonzero()));
    ours.is_some() && ours == theirs
}

/// A process cannot change its own pid namespace, only that of its children: so the parent joins it for a moment.
fn fork(plan: &Plan, init: Pid) -> Result<Forked, StartError> {
    let pids = match same(init, "pid") {
        true => Vec::new(),
        false => {
            let path = format!("/proc/{}/ns/pid", init.as_raw_nonzero());
            vec![Joined::pids_of(Path::new(&path))?]
        }
    };
    let visit = Visit::enter(&pids)?;
    match clone_process(Namespaces::NONE, plan.door.unified()) {
        Ok(Forked::Child) => {
            visit.stay();
            Ok(Forked::Child)
        }
        Ok(parent) => visit.leave().map(|()| parent),
        Err(errno) => Err(StartError::step("clone")(errno)),
    }
}

/// Waits until the process is the program or says why not.
fn follow(
    mut running: Running,
    channel: &Channel,
    oom_score: Option<i32>,
) -> Result<Running, StartError> {
    running
        .warnings
        .extend(create::set_oom_score(running.pid, oom_score));
    let failure = loop {
        match channel
            .receive()
            .map_err(StartError::step("hear of the process"))
        {
            Ok(None) => return Ok(running),
            Ok(Some(Message::Warning(text))) => running.warnings.push(text),
            Ok(Some(Message::Console(console))) => running.console = Some(console),
            Ok(Some(Message::Listener(listener))) => running.listener = Some(listener),
            Ok(Some(Message::Failed(error))) | Err(error) => break error,
            Ok(Some(Message::Map | Message::Mount(_) | Message::Ready)) => {
                break StartError::of("unexpected word of the process");
            }
        }
    };
    running.kill_and_reap();
    Err(failure)
}

fn run(plan: Plan, channel: &Channel) -> ! {
    let _never = NeverReturn;
    match prepare(plan, channel).and_then(|ready: Ready| ready.execute(channel)) {
        Ok(never) => match never {},
        Err(error) => child::fail(channel, error),
    }
}

fn prepare(plan: Plan, channel: &Channel) -> Result<Ready, StartError> {
    child::isolate()?;
    plan.door.enter().map_err(StartError::step("join cgroup"))?;
    if !plan.namespaces.is_empty() {
        move_into_thread_name_spaces(plan.init.as_fd(), plan.namespaces)
            .map_err(StartError::step("join namespaces"))?;
    }
    if plan.namespaces.contains(ThreadNameSpaceType::USER) {
        become_root_inside().map_err(StartError::step("take the ids of root"))?;
        child::hide()?;
    }
    // As for the first process.
    join_new_session_keyring().ok();
    let console = match plan.stdio {
        Stdio::Terminal { rows, cols } => {
            let root = Root::open(Path::new("/")).map_err(StartError::of)?;
            Some(console::make(&root, rows, cols)?)
        }
        Stdio::Pipes { .. } => None,
    };
    console::connect(plan.stdio, console, channel)?;
    let (ready, warnings) = credentials::prepare(plan.order)?;
    child::warn(channel, warnings)?;
    Ok(ready)
}

fn become_root_inside() -> Result<(), rustix::io::Errno> {
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)
}
