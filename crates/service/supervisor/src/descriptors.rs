//! Takes the descriptors we were started with out of the first three places.
//!
//! What stays at 0 to 2 would be inherited by accident; `/dev/null` there is harmless. Complaints keep going to the
//! old descriptor 2.

use std::os::fd::OwnedFd;

use rustix::{
    fs::{Mode, OFlags, fstatfs, open},
    io::{Errno, fcntl_dupfd_cloexec},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout},
};

/// Magic number of the file system that namespaces live on (`NSFS_MAGIC`).
const NSFS: u64 = 0x6e73_6673;
/// The lowest descriptor that is not a standard stream.
const FIRST: i32 = 3;

/// What the daemon gave us.
#[derive(Debug)]
pub(crate) struct Descriptors {
    /// The listening control socket.
    pub(crate) listener: OwnedFd,
    /// The container's network namespace.
    pub(crate) netns: Option<OwnedFd>,
    /// Where to complain.
    pub(crate) complaints: OwnedFd,
}

impl Descriptors {
    /// Takes them; afterwards all standard streams are `/dev/null`.
    pub(crate) fn take() -> Result<Self, Errno> {
        let taken = Self {
            listener: fcntl_dupfd_cloexec(stdin(), FIRST)?,
            netns: Some(fcntl_dupfd_cloexec(stdout(), FIRST)?).filter(is_namespace),
            complaints: fcntl_dupfd_cloexec(stderr(), FIRST)?,
        };
        let null = null()?;
        dup2_stdin(&null)?;
        dup2_stdout(&null)?;
        dup2_stderr(&null)?;
        Ok(taken)
    }

    /// Tells the administrator; there is nobody to tell that it could not be told.
    pub(crate) fn complain(&self, message: &str) {
        rustix::io::write(&self.complaints, format!("{message}\n").as_bytes()).ok();
    }
}

/// Opens `/dev/null`.
pub(crate) fn null() -> Result<OwnedFd, Errno> {
    open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}

fn is_namespace(descriptor: &OwnedFd) -> bool {
    fstatfs(descriptor).is_ok_and(|fs| u64::try_from(fs.f_type).is_ok_and(|kind| kind == NSFS))
}
