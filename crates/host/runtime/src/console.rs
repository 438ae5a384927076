//! The terminal of a process, made by the container's own devpts.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use hakone_mount::{Detached, Root};
use rustix::{
    fs::OFlags,
    process::ioctl_tiocsctty,
    pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::{StartError, Stdio, channel::Channel, child, stdio};

/// Both sides of a new terminal.
#[derive(Debug)]
pub(crate) struct Console {
    master: OwnedFd,
    slave: OwnedFd,
}

/// Makes a terminal and shows it as `/dev/console`.
pub(crate) fn open(root: &Root, rows: u16, cols: u16) -> Result<Console, StartError> {
    let console = make(root, rows, cols)?;
    // Never through a link that the image brought (CVE-2025-52565).
    let target = match root.resolve_plain(Path::new("/dev/console")) {
        Ok(target) => target,
        Err(_missing) => {
            root.ensure_file(Path::new("/dev/console"))
                .map_err(StartError::of)?;
            root.resolve_plain(Path::new("/dev/console"))
                .map_err(StartError::of)?
        }
    };
    let slave = Detached::bind_at(console.slave.as_fd(), false).map_err(StartError::of)?;
    slave
        .attach(target.as_fd())
        .map_err(StartError::step("bind console"))?;
    Ok(console)
}

/// Makes a terminal. Its slave side comes from the master itself, not by a path that could be bent.
pub(crate) fn make(root: &Root, rows: u16, cols: u16) -> Result<Console, StartError> {
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let master = root
        .open_plain(Path::new("/dev/pts/ptmx"), flags)
        .map_err(StartError::of)?;
    unlockpt(&master).map_err(StartError::step("unlock terminal"))?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags).map_err(StartError::step("open terminal"))?;
    let size = Winsize {
        ws_row: rows,
        ws_col: cols,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    if (rows, cols) != (0, 0) {
        tcsetwinsize(&master, size).map_err(StartError::step("size terminal"))?;
    }
    Ok(Console { master, slave })
}

/// Puts the streams of the process in place; a terminal becomes the session's, its master goes to the parent.
pub(crate) fn connect(
    stdio: Stdio,
    console: Option<Console>,
    channel: &Channel,
) -> Result<(), StartError> {
    match (stdio, console) {
        (
            Stdio::Pipes {
                stdin,
                stdout,
                stderr,
            },
            _,
        ) => stdio::place_own(&[stdin, stdout, stderr]),
        (Stdio::Terminal { .. }, Some(console)) => {
            ioctl_tiocsctty(&console.slave).map_err(StartError::step("take terminal"))?;
            stdio::place(&console.slave, &console.slave, &console.slave)?;
            child::give_console(channel, console.master)
        }
        (Stdio::Terminal { .. }, None) => Err(StartError::of("no terminal was made")),
    }
}
