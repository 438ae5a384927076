//! Signal masks and dispositions, for processes between `clone` and `execve` and for our own PID 1.

use std::mem::MaybeUninit;

use rustix::{io::Errno, process::Signal};

use crate::result::last;

const HIGHEST: libc::c_int = 64;

/// Gives every signal its default action and unblocks all, as a fresh program expects.
///
/// Rust's runtime ignores `SIGPIPE` and the supervisor blocks what it reads by `signalfd`; both would
/// be inherited through `execve`.
pub fn reset_signals() {
    for number in 1..=HIGHEST {
        // SAFETY: SIG_DFL installs no handler; numbers the system keeps for itself just answer EINVAL.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    set_mask(&empty());
}

/// Blocks all signals, to be taken by [`wait_for_signal`].
pub fn block_all_signals() {
    set_mask(&full());
}

/// Waits until any signal arrives.
///
/// # Errors
/// `INTR` when a debugger interfered.
pub fn wait_for_signal() -> Result<Signal, Errno> {
    let all = full();
    // SAFETY: `all` is an initialised set that outlives the call; a null pointer asks for no details.
    let number = unsafe { libc::sigwaitinfo(&raw const all, std::ptr::null_mut()) };
    if number < 0 {
        return Err(last());
    }
    signal(number).ok_or(Errno::INVAL)
}

/// The signal with this number, real-time ones included; none for the two the C library keeps for itself.
#[must_use]
pub fn signal(number: i32) -> Option<Signal> {
    let realtime = libc::SIGRTMIN()..=libc::SIGRTMAX();
    if !realtime.contains(&number) {
        return Signal::from_named_raw(number);
    }
    // SAFETY: the range holds only signals that exist and that the C library leaves to programs.
    Some(unsafe { Signal::from_raw_unchecked(number) })
}

fn set_mask(mask: &libc::sigset_t) {
    // SAFETY: `mask` is an initialised set; a null pointer asks for no old mask.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, mask, std::ptr::null_mut()) };
}

fn empty() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the call writes a whole `sigset_t` to the pointer, which is valid for that.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised by the call above.
    unsafe { set.assume_init() }
}

fn full() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the call writes a whole `sigset_t` to the pointer, which is valid for that.
    unsafe { libc::sigfillset(set.as_mut_ptr()) };
    // SAFETY: initialised by the call above.
    unsafe { set.assume_init() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_of_the_c_library_have_no_name_here() {
        assert!(signal(32).is_none());
        assert!(signal(0).is_none());
        assert_eq!(signal(9), Some(Signal::KILL));
        assert_eq!(signal(37).map(Signal::as_raw), Some(37));
    }
}
