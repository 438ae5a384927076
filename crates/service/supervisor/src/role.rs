//! The supervisor's whole life, from its first instruction to its last.

use std::{
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::ExitCode,
};

use hakone_supervision::Order;
use signal_hook::{consts::SIGCHLD, low_level::pipe};

use crate::{
    descriptors::Descriptors,
    error::{Error, chain},
    log::Log,
    prepare,
    process::{INIT, Process},
    runtime::Container,
    server::{Server, Stage},
};

/// What of the order is needed after the start.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The folder for `exit.json` and the root.
    pub(crate) run_dir: PathBuf,
    /// Whether the first client that leaves closes the container's input.
    pub(crate) stdin_once: bool,
}

/// Supervises the container of the order at `path`, from its making to its end.
///
/// Descriptor 0 is the listening control socket, 1 the network namespace or `/dev/null`, 2 takes complaints. Whatever
/// goes wrong with the container is told over the control socket; only what keeps that from working fails here.
#[must_use]
pub fn main(path: &Path) -> ExitCode {
    let Ok(descriptors) = Descriptors::take() else {
        return ExitCode::FAILURE;
    };
    match supervise(path, descriptors) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Complaint(descriptors, error)) => {
            descriptors.complain(&chain(&error));
            ExitCode::FAILURE
        }
    }
}

struct Complaint(Descriptors, Error);

fn supervise(path: &Path, mut descriptors: Descriptors) -> Result<(), Complaint> {
    let (order, children) = match begin(path) {
        Ok(begun) => begun,
        Err(error) => return Err(Complaint(descriptors, error)),
    };
    let netns = descriptors.netns.take();
    let settings = Settings {
        run_dir: order.run_dir.clone(),
        stdin_once: order.stdin_once,
    };
    let log = Log::open(order.log.clone());
    let mut server = Server::new(settings, descriptors, log, (children, prepare::daemon()));
    match Container::create(&order, netns) {
        Ok((container, pid, ours)) => {
            server.oom = container.oom_events();
            server.container = Some(container);
            server.processes.insert(INIT, Process::new(pid, ours));
            server.stage = Stage::Created;
        }
        Err(error) => server.stage = Stage::Failed(error),
    }
    // From here on nothing of the order and the specification is kept.
    drop(order);
    if let Err(error) = server.serve() {
        server.complain(&chain(&error));
    }
    Ok(())
}

fn begin(path: &Path) -> Result<(Order, UnixStream), Error> {
    // Keeps no file system of the daemon's working folder busy.
    rustix::process::chdir("/").map_err(Error::kernel("leave the working folder"))?;
    prepare::detach()?;
    let order = prepare::order(path)?;
    let pair = || {
        let (ours, handlers) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        pipe::register(SIGCHLD, handlers)?;
        Ok(ours)
    };
    let children = pair().map_err(Error::read("the signal pipe"))?;
    Ok((order, children))
}
