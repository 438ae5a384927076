//! The three standard streams of a process.
//!
//! One that leads nowhere is the container's own `/dev/null`: of the host's, root inside could change mode and owner, and see who opens
//! it. Called after the container's root was entered.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::{
    fs::{FileType, Gid, Mode, OFlags, Uid, fchown, fstat, open},
    io::Errno,
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout},
};

use crate::{StartError, rootfs::is_null};

/// Puts the streams on 0, 1 and 2; those that lead nowhere lead to the container's own nowhere.
pub(crate) fn place_own(streams: &[OwnedFd; 3]) -> Result<(), StartError> {
    let own = streams.iter().any(is_null).then(own_null).flatten();
    let [input, output, error] = streams;
    let of = |stream| match &own {
        Some(own) if is_null(stream) => own,
        _ => stream,
    };
    place(of(input), of(output), of(error))
}

/// Nothing where the container has no such device, or has put something else in its place: the one given then is of a read-only mount.
fn own_null() -> Option<OwnedFd> {
    let flags = OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    // Looked at before it is opened: opening another device, or a queue, may do something or wait.
    let seen = open("/dev/null", flags | OFlags::PATH, Mode::empty()).ok()?;
    if !is_null(&seen) {
        return None;
    }
    let null = open("/dev/null", flags | OFlags::RDWR, Mode::empty()).ok()?;
    is_null(&null).then_some(null)
}

/// Puts the streams on 0, 1 and 2.
pub(crate) fn place(input: &OwnedFd, output: &OwnedFd, error: &OwnedFd) -> Result<(), StartError> {
    let failure = || StartError::step("place standard streams");
    // Copies above 2 first: one stream may sit on the number of another.
    let input = aside(input).map_err(failure())?;
    let output = aside(output).map_err(failure())?;
    let error = aside(error).map_err(failure())?;
    dup2_stdin(&input).map_err(failure())?;
    dup2_stdout(&output).map_err(failure())?;
    dup2_stderr(&error).map_err(failure())
}

fn aside(stream: &OwnedFd) -> Result<OwnedFd, Errno> {
    rustix::io::fcntl_dupfd_cloexec(stream, 3)
}

/// Gives pipes and the terminal to the user, so that it can open `/dev/stdout` again.
pub(crate) fn give_to(user: u32) -> Result<(), StartError> {
    for stream in [stdin(), stdout(), stderr()] {
        give(stream.as_fd(), user)
            .map_err(StartError::step("give standard streams to the user"))?;
    }
    Ok(())
}

fn give(stream: BorrowedFd<'_>, user: u32) -> Result<(), Errno> {
    let status = fstat(stream)?;
    let kind = FileType::from_raw_mode(status.st_mode);
    // A device such as the host's /dev/null stays whose it is; the terminal of the container is its user's.
    let is_terminal = rustix::termios::isatty(stream);
    let is_device = kind == FileType::CharacterDevice && !is_terminal;
    if is_device || status.st_uid == user {
        return Ok(());
    }
    match fchown(stream, Some(Uid::from_raw(user)), None::<Gid>) {
        // Sockets and read-only places cannot be given; the process can still use them as they are.
        Ok(()) | Err(Errno::INVAL | Errno::PERM | Errno::ROFS) => Ok(()),
        Err(errno) => Err(errno),
    }
}
