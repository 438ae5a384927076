//! The ends of a process's streams: ours, and those it inherits.

use std::{
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::Path,
};

use hakone_mount::Detached;
use hakone_supervision::{FrameKind, Streams, WindowSize};
use rustix::{
    fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open},
    io::{Errno, fcntl_dupfd_cloexec},
    mount::MountAttrFlags,
    pipe::{PipeFlags, pipe_with},
    termios::{Winsize, tcsetwinsize},
};

/// The streams that a process inherits.
#[derive(Debug)]
pub(crate) enum Theirs {
    /// Three descriptors.
    Pipes {
        /// Its input.
        stdin: OwnedFd,
        /// Its output.
        stdout: OwnedFd,
        /// Its errors.
        stderr: OwnedFd,
    },
    /// A terminal, which the runtime makes inside the container.
    Terminal(WindowSize),
}

/// Our ends of a process's streams, non-blocking.
#[derive(Debug, Default)]
pub(crate) struct Ours {
    /// Takes its input.
    pub(crate) stdin: Option<OwnedFd>,
    /// Gives its output and errors.
    pub(crate) outputs: Vec<(FrameKind, OwnedFd)>,
    /// Its terminal, for resizing.
    pub(crate) terminal: Option<OwnedFd>,
}

/// Makes pipes for the streams wanted; `/dev/null` stands for the others.
pub(crate) fn pipes(wanted: Streams) -> Result<(Ours, Theirs), Errno> {
    let mut ours = Ours::default();
    let mut output = |wanted: bool, kind| {
        if !wanted {
            return lent_null();
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        non_blocking(&read)?;
        ours.outputs.push((kind, read));
        Ok(write)
    };
    let stdout = output(wanted.stdout, FrameKind::Stdout)?;
    let stderr = output(wanted.stderr, FrameKind::Stderr)?;
    let stdin = match wanted.stdin {
        false => lent_null()?,
        true => {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
            non_blocking(&write)?;
            ours.stdin = Some(write);
            read
        }
    };
    let theirs = Theirs::Pipes {
        stdin,
        stdout,
        stderr,
    };
    Ok((ours, theirs))
}

/// The host's `/dev/null` by a read-only mount of nobody else's: a container whose root is the host's could change the device's mode
/// and owner, for everybody. Who has a null device of its own gets that one in its place.
fn lent_null() -> Result<OwnedFd, Errno> {
    let errno = |error: hakone_mount::Error| error.errno().unwrap_or(Errno::IO);
    let mount = Detached::bind(Path::new("/dev/null"), false).map_err(errno)?;
    let read_only = MountAttrFlags::MOUNT_ATTR_RDONLY;
    mount
        .set(read_only, MountAttrFlags::empty())
        .map_err(errno)?;
    let again = format!("/proc/self/fd/{}", mount.as_fd().as_raw_fd());
    open(again, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}

impl Ours {
    /// Takes a terminal's master: it gives output and takes input.
    pub(crate) fn terminal(master: OwnedFd, with_input: bool) -> Result<Self, Errno> {
        non_blocking(&master)?;
        let stdin = match with_input {
            true => Some(duplicate(&master)?),
            false => None,
        };
        Ok(Self {
            stdin,
            outputs: vec![(FrameKind::Stdout, duplicate(&master)?)],
            terminal: Some(master),
        })
    }
}

/// Resizes a terminal; its processes get `SIGWINCH`.
pub(crate) fn resize(terminal: &OwnedFd, size: WindowSize) -> Result<(), Errno> {
    let size = Winsize {
        ws_row: size.rows,
        ws_col: size.cols,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size)
}

fn duplicate(descriptor: &OwnedFd) -> Result<OwnedFd, Errno> {
    fcntl_dupfd_cloexec(descriptor, 3)
}

fn non_blocking(descriptor: &OwnedFd) -> Result<(), Errno> {
    fcntl_setfl(descriptor, fcntl_getfl(descriptor)? | OFlags::NONBLOCK)
}
