//! Starts supervisors from our own sealed executable, and reaps those that end while we live.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use hakone_container::{Launch, Launcher};
use hakone_process::{Child, ExecutableSeal, Spawn, spawn_supervisor};
use tokio::{io::unix::AsyncFd, runtime::Handle};
use tracing::warn;

/// The launcher of the real daemon.
pub(crate) struct Joined {
    seal: ExecutableSeal,
    runtime: Handle,
}

impl Joined {
    /// Seals the executable; must be called inside the runtime that will reap.
    pub(crate) fn new() -> Result<Self, hakone_process::Error> {
        Ok(Self {
            seal: ExecutableSeal::new()?,
            runtime: Handle::current(),
        })
    }
}

impl Launcher for Joined {
    fn launch(&self, launch: Launch) -> io::Result<u32> {
        let child = spawn_supervisor(Spawn {
            seal: &self.seal,
            order: &launch.order,
            listener: launch.listener,
            netns: launch.namespace,
            log: launch.complaints,
        })
        .map_err(io::Error::other)?;
        let pid = child.pid().as_raw_nonzero().get().unsigned_abs();
        let pidfd = child.as_fd().try_clone_to_owned()?;
        self.runtime.spawn(reap(child, pidfd));
        Ok(pid)
    }
}

/// Waits on the process descriptor, so that no thread stands idle for each container.
async fn reap(mut child: Child, pidfd: OwnedFd) {
    #[expect(
        deprecated,
        reason = "sound for a descriptor that is owned; its successor is unsafe"
    )]
    let watched = AsyncFd::new(pidfd);
    let ended = match watched {
        Ok(pidfd) => pidfd.readable().await.map(|_| ()),
        Err(error) => Err(error),
    };
    if let Err(error) = ended.and_then(|()| child.try_wait().map(|_| ())) {
        warn!(%error, "could not reap a supervisor");
    }
}
