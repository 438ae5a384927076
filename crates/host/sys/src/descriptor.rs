//! Closes what a child must not inherit.

use std::{
    convert::Infallible,
    os::fd::{AsRawFd as _, OwnedFd},
    panic,
};

use rustix::io::Errno;

use crate::{exec::exit_now, result::check};

/// Marks every descriptor from `first` on to be closed by the next `execve`.
///
/// CVE-2024-21626: one leaked descriptor of a host folder is a way out of the container. Marking
/// instead of closing keeps the descriptors that the caller still needs until `execve`.
///
/// # Errors
/// `NOSYS` before Linux 5.11.
pub fn close_from(first: u32) -> Result<(), Errno> {
    // SAFETY: CLOSE_RANGE_CLOEXEC closes nothing now, so no owned descriptor becomes dangling.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    check(done).map(drop)
}

/// Closes every descriptor from `first` on, then runs `forever`, which has nothing open above it and never returns.
///
/// For a process that stays in our program inside a container and must hold no way out of it.
pub fn without_descriptors(first: u32, forever: impl FnOnce() -> Infallible) -> ! {
    // SAFETY: owners of these descriptors live in frames below this one, which are never returned to as
    // `forever` cannot return; a panic in it ends the process. So no closed descriptor is used again.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    let forever = panic::catch_unwind(panic::AssertUnwindSafe(forever));
    match forever {
        Ok(never) => match never {},
        Err(_panic) => exit_now(255),
    }
}

/// Closes every descriptor from `first` on but one, then runs `forever` with that one, which never returns.
///
/// For a forked process that stays in our program beside its parent: what it holds open is open although the parent has closed it,
/// sockets of clients among it.
pub fn with_one_descriptor(
    first: u32,
    kept: OwnedFd,
    forever: impl FnOnce(OwnedFd) -> Infallible,
) -> ! {
    let number = kept.as_raw_fd().unsigned_abs();
    for (from, to) in [
        (first, number.saturating_sub(1)),
        (first.max(number.saturating_add(1)), u32::MAX),
    ] {
        if from <= to {
            // SAFETY: owners of these descriptors live in frames below this one, which are never returned to as
            // `forever` cannot return; a panic in it ends the process. `kept` is in neither range.
            unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) };
        }
    }
    let forever = panic::catch_unwind(panic::AssertUnwindSafe(|| forever(kept)));
    match forever {
        Ok(never) => match never {},
        Err(_panic) => exit_now(255),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_from_a_number_no_process_reaches_succeeds() {
        close_from(0x7fff_0000).unwrap();
    }
}
