//! Makes processes: `clone3` with namespaces, a pidfd and a cgroup, for a single-threaded caller.
//!
//! A child made from a process with several threads may find a lock held forever, so both functions
//! count the threads first and refuse: that check is what makes them safe to offer.

use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use rustix::{io::Errno, process::Pid};

use crate::result::{check, size_of};

/// Which namespaces a new process gets for itself: `CLONE_NEW*` bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespaces(u64);

impl Namespaces {
    /// None: the child shares all of the parent's.
    pub const NONE: Self = Self(0);
    /// Mount points.
    pub const MOUNT: Self = Self(libc::CLONE_NEWNS as u64);
    /// Control groups as the process sees them.
    pub const CGROUP: Self = Self(libc::CLONE_NEWCGROUP as u64);
    /// Host and domain name.
    pub const UTS: Self = Self(libc::CLONE_NEWUTS as u64);
    /// System V IPC and POSIX message queues.
    pub const IPC: Self = Self(libc::CLONE_NEWIPC as u64);
    /// User and group ids.
    pub const USER: Self = Self(libc::CLONE_NEWUSER as u64);
    /// Process ids.
    pub const PID: Self = Self(libc::CLONE_NEWPID as u64);
    /// Network stack.
    pub const NETWORK: Self = Self(libc::CLONE_NEWNET as u64);

    /// These and `other`.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These but not `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Reports whether all of `other` are among these.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// On which side of a fork the caller finds itself.
#[derive(Debug)]
pub enum Forked {
    /// The caller, with its new child.
    Parent {
        /// The child's id in the caller's pid namespace.
        child: Pid,
        /// A handle that never names another process.
        pidfd: OwnedFd,
    },
    /// The new process.
    Child,
}

#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Forks into new `namespaces` and, with `cgroup` (a folder of the v2 hierarchy), straight into it.
///
/// # Errors
/// `BUSY` when the caller has more than one thread; else what `clone3` says.
pub fn clone_process(
    namespaces: Namespaces,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<Forked, Errno> {
    single_threaded()?;
    let mut pidfd: RawFd = -1;
    let mut arguments = CloneArgs {
        flags: namespaces.0 | libc::CLONE_PIDFD as u64,
        pidfd: (&raw mut pidfd).addr() as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::try_from(cgroup.as_raw_fd()).unwrap_or_default();
    }
    (&raw mut pidfd).expose_provenance();
    // SAFETY: `arguments` is a live, fully initialised `struct clone_args` of the size we pass; the kernel
    // writes only to `pidfd`, which outlives the call. Without CLONE_VM the child has memory of its own, and as
    // the caller has one thread no lock can be held by a thread that does not exist in the child.
    let child = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const arguments,
            size_of::<CloneArgs>(),
        )
    };
    forked(check(child)?, pidfd)
}

/// Forks without new namespaces, through the old call that seccomp profiles allow inside a container.
///
/// # Errors
/// `BUSY` when the caller has more than one thread; else what `fork` says.
pub fn fork() -> Result<Option<Pid>, Errno> {
    single_threaded()?;
    // SAFETY: the caller has one thread, so the child is an exact copy without locks held by others.
    let child = unsafe { libc::fork() };
    Ok(pid(check(libc::c_long::from(child))?))
}

/// Moves the calling process into new namespaces.
///
/// # Errors
/// What `unshare` says, `PERM` without `CAP_SYS_ADMIN`.
pub fn unshare(namespaces: Namespaces) -> Result<(), Errno> {
    let flags = libc::c_int::try_from(namespaces.0).map_err(|_too_large| Errno::INVAL)?;
    // SAFETY: only CLONE_NEW* bits can be in a `Namespaces`; none of them touches memory or descriptors.
    let done = unsafe { libc::unshare(flags) };
    check(libc::c_long::from(done)).map(drop)
}

fn forked(child: libc::c_long, pidfd: RawFd) -> Result<Forked, Errno> {
    let Some(child) = pid(child) else {
        return Ok(Forked::Child);
    };
    // SAFETY: `clone3` succeeded with CLONE_PIDFD, so `pidfd` is a new descriptor that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Forked::Parent { child, pidfd })
}

fn pid(raw: libc::c_long) -> Option<Pid> {
    i32::try_from(raw).ok().and_then(Pid::from_raw)
}

/// The folder of the threads has two links and one more for each thread.
fn single_threaded() -> Result<(), Errno> {
    let folder = rustix::fs::stat("/proc/self/task")?;
    if folder.st_nlink == 3 {
        Ok(())
    } else {
        Err(Errno::BUSY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_refused() {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || receiver.recv());
        assert_eq!(
            clone_process(Namespaces::NONE, None).unwrap_err(),
            Errno::BUSY
        );
        assert_eq!(fork().unwrap_err(), Errno::BUSY);
        drop(sender);
        thread.join().unwrap().unwrap_err();
    }
}
