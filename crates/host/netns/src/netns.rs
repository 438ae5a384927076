//! A namespace held by a descriptor.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    thread,
};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::Error;

/// The calling thread's own namespace; `/proc/self` would be that of the process's first thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace, alive at least as long as this value.
#[derive(Debug)]
pub struct Netns(OwnedFd);

impl Netns {
    /// Makes a namespace and runs `first` inside, on the same thread, before anybody else can see it.
    ///
    /// # Errors
    /// When the kernel makes no namespace or no thread.
    pub fn create<T: Send>(first: impl FnOnce(&Self) -> T + Send) -> Result<(Self, T), Error> {
        on_own_thread(move || {
            unshare().map_err(Error::Create)?;
            let netns = Self::current()?;
            let value = first(&netns);
            Ok((netns, value))
        })?
    }

    /// Opens the calling thread's namespace.
    ///
    /// # Errors
    /// When `/proc` is not there.
    pub fn current() -> Result<Self, Error> {
        Self::open(Path::new(OWN))
    }

    /// Opens the namespace of a process.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn of_process(process: i32) -> Result<Self, Error> {
        Self::open(Path::new(&format!("/proc/{process}/ns/net")))
    }

    /// Opens a namespace by a path such as `/run/netns/blue`.
    ///
    /// # Errors
    /// When the path leads nowhere.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let opened = File::open(path).map_err(|source| Error::Open {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self(opened.into()))
    }

    /// Runs a closure inside, on a thread of its own, and waits for it.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the closure panics.
    pub fn on<T: Send>(&self, run: impl FnOnce() -> T + Send) -> Result<T, Error> {
        on_own_thread(|| {
            move_into_link_name_space(self.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(|errno| Error::Enter(errno.into()))?;
            Ok(run())
        })?
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Netns {
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }
}

impl From<Netns> for OwnedFd {
    fn from(netns: Netns) -> Self {
        netns.0
    }
}

fn on_own_thread<T: Send>(run: impl FnOnce() -> T + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("netns".to_owned())
            .stack_size(256 * 1024)
            .spawn_scoped(scope, run)
            .map_err(Error::Thread)?;
        let panicked = |_| Error::Thread(io::Error::other("the thread panicked"));
        thread.join().map_err(panicked)
    })
}

#[expect(
    deprecated,
    reason = "the call is unsafe for CLONE_FILES alone, which is not asked for here"
)]
fn unshare() -> io::Result<()> {
    Ok(rustix::thread::unshare(UnshareFlags::NEWNET)?)
}
