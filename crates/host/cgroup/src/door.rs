//! The way into a control group for a process that enters by itself.
//!
//! Writing another process's id to `cgroup.procs` takes the kernel's threadgroup lock, whose first
//! taker waits for an RCU grace period. A thread that writes `0` to `tasks` moves only itself, and
//! the kernel skips the lock (since Linux 5.7). The v2 tree is entered by `clone3` itself.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
};

use crate::{Error, cgroup::Folder};

/// The open files of a group that a process needs to enter it, also from inside other namespaces.
#[derive(Debug)]
pub struct Door {
    legacy: Vec<OwnedFd>,
    unified: Option<OwnedFd>,
}

impl Door {
    pub(crate) fn open(folders: &[Folder]) -> Result<Self, Error> {
        let mut door = Self {
            legacy: Vec::new(),
            unified: None,
        };
        for folder in folders {
            if folder.hierarchy.is_unified() {
                door.unified = Some(descriptor(&folder.path, OFlags::PATH | OFlags::DIRECTORY)?);
            } else {
                let tasks = folder.path.join("tasks");
                door.legacy.push(descriptor(&tasks, OFlags::WRONLY)?);
            }
        }
        Ok(door)
    }

    /// The folder in the v2 tree, for `clone3` with `CLONE_INTO_CGROUP`.
    #[must_use]
    pub fn unified(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(|folder| folder.as_fd())
    }

    /// Moves the calling thread, which must be its process's only one, into the v1 trees.
    ///
    /// # Errors
    /// What the kernel says: `NOSPC` for a cpuset without processors, `AGAIN` at the limit of processes.
    pub fn enter(&self) -> Result<(), Errno> {
        for tasks in &self.legacy {
            rustix::io::write(tasks, b"0")?;
        }
        Ok(())
    }
}

fn descriptor(path: &std::path::Path, flags: OFlags) -> Result<OwnedFd, Error> {
    open(path, flags | OFlags::CLOEXEC, Mode::empty()).map_err(|source| Error::Folder {
        path: path.into(),
        source,
    })
}
