//! System calls that wait for the holder of a filter's listener (seccomp_unotify(2)).

use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::{io::Errno, process::Pid};

use crate::result::check;

/// A call that waits for an answer.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Names the call as long as it waits.
    pub id: u64,
    /// Who calls, in the process namespace of the listener's holder; none outside of it.
    pub caller: Option<Pid>,
    /// The calling convention, as the kernel marks it (`AUDIT_ARCH_*`).
    pub architecture: u32,
    /// The call's number in it.
    pub number: i32,
    /// The call's arguments. What pointers among them lead to may change at any time.
    pub arguments: [u64; 6],
}

/// What the kernel writes, with room for what a later one may add.
#[repr(C)]
struct Received {
    notification: libc::seccomp_notif,
    room: [u64; 16],
}

/// Takes one call.
///
/// # Errors
/// `NOENT` when the caller was interrupted meanwhile.
pub fn receive_question(listener: BorrowedFd<'_>) -> Result<Question, Errno> {
    // SAFETY: both are plain numbers, for which zero is a value; the kernel wants zeros.
    let mut received: Received = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most what it calls a notification, for which there is room.
    let done = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_RECV,
            &raw mut received,
        )
    };
    check(done.into())?;
    let it = received.notification;
    Ok(Question {
        id: it.id,
        caller: i32::try_from(it.pid).ok().and_then(Pid::from_raw),
        architecture: it.data.arch,
        number: it.data.nr,
        arguments: it.data.args,
    })
}

/// Reports whether a call waits still: only then what was read about its caller by number was about the caller.
#[must_use]
pub fn is_waiting(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the kernel reads one number.
    let done = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_ID_VALID,
            &raw const id,
        )
    };
    done == 0
}

/// Answers with a descriptor, which the caller gets under a number of its own.
///
/// # Errors
/// `NOENT` when the caller waits no longer, `MFILE` when it has too many.
pub fn answer_descriptor(
    listener: BorrowedFd<'_>,
    id: u64,
    descriptor: BorrowedFd<'_>,
    close_on_exec: bool,
) -> Result<(), Errno> {
    // SECCOMP_ADDFD_FLAG_SEND, of another width in the C library's header.
    add(listener, (id, 2), descriptor, close_on_exec).map(drop)
}

/// Gives the caller a descriptor and lets it wait on; tells the number that it has there.
///
/// # Errors
/// `NOENT` when the caller waits no longer, `MFILE` when it has too many.
pub fn add_descriptor(
    listener: BorrowedFd<'_>,
    id: u64,
    descriptor: BorrowedFd<'_>,
    close_on_exec: bool,
) -> Result<i32, Errno> {
    add(listener, (id, 0), descriptor, close_on_exec)
}

fn add(
    listener: BorrowedFd<'_>,
    (id, flags): (u64, u32),
    descriptor: BorrowedFd<'_>,
    close_on_exec: bool,
) -> Result<i32, Errno> {
    let number = |value: i32| u32::try_from(value).map_err(|_negative| Errno::BADF);
    let answer = libc::seccomp_notif_addfd {
        id,
        flags,
        srcfd: number(descriptor.as_raw_fd())?,
        newfd: 0,
        newfd_flags: match close_on_exec {
            true => number(libc::O_CLOEXEC)?,
            false => 0,
        },
    };
    // SAFETY: the kernel reads one structure and duplicates a descriptor that is open.
    let done = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_ADDFD,
            &raw const answer,
        )
    };
    let given = check(done.into())?;
    i32::try_from(given).map_err(|_no_descriptor| Errno::BADF)
}

/// Answers for the kernel: the call succeeded with zero, or failed.
///
/// # Errors
/// `NOENT` when the caller waits no longer.
pub fn answer_result(
    listener: BorrowedFd<'_>,
    id: u64,
    result: Result<(), Errno>,
) -> Result<(), Errno> {
    let error = result.err().map_or(0, |errno| -errno.raw_os_error());
    send(listener, (id, error, 0))
}

/// Leaves the call to the kernel, which judges it as if nobody had been asked. Only for calls whose arguments are all numbers:
/// memory could be another by then.
///
/// # Errors
/// `NOENT` when the caller waits no longer.
pub fn answer_nothing(listener: BorrowedFd<'_>, id: u64) -> Result<(), Errno> {
    send(listener, (id, 0, 1)) // SECCOMP_USER_NOTIF_FLAG_CONTINUE, likewise.
}

fn send(listener: BorrowedFd<'_>, (id, error, flags): (u64, i32, u32)) -> Result<(), Errno> {
    let answer = libc::seccomp_notif_resp {
        id,
        val: 0,
        error,
        flags,
    };
    // SAFETY: the kernel reads one structure.
    let done = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SEND,
            &raw const answer,
        )
    };
    check(done.into()).map(drop)
}
