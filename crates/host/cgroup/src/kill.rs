//! Kills every process of a group, forks in flight included.

use std::{thread, time::Duration};

use rustix::process::{Signal, kill_process};

use crate::{Cgroup, Error, file, freezer};

const ROUNDS: u32 = 5000;
const NAP: Duration = Duration::from_millis(1);

/// Kills until the group is empty: a process that forks faster than we read is frozen first.
pub(crate) fn kill_all(cgroup: &Cgroup) -> Result<(), Error> {
    for _round in 0..ROUNDS {
        if cgroup.pids()?.is_empty() {
            return Ok(());
        }
        strike(cgroup)?;
        thread::sleep(NAP);
    }
    Err(Error::Timeout(cgroup.path().into()))
}

fn strike(cgroup: &Cgroup) -> Result<(), Error> {
    if let Some(folder) = cgroup.unified() {
        // Since Linux 5.14: atomic, forks included. Older kernels take the road below.
        file::write_raw(&folder.join("cgroup.kill"), "1").ok();
    }
    // Killing goes on where freezing is not possible.
    freezer::freeze(cgroup).ok();
    for pid in cgroup.pids()? {
        // Gone already is what we want.
        kill_process(pid, Signal::KILL).ok();
    }
    freezer::thaw(cgroup).or_else(|error| match error {
        Error::Unsupported(_) => Ok(()),
        other => Err(other),
    })
}
