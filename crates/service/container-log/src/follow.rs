//! Waits for a log to grow: the kernel tells of writes in its folder, the container of its end.

use std::{
    future::Future,
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::Path,
    pin::Pin,
    time::Duration,
};

use rustix::fs::inotify;
use tokio::{
    fs::File,
    io::{Interest, unix::AsyncFd},
};

/// A lost notice delays a line by no more than this.
const GLANCE: Duration = Duration::from_secs(1);

/// Comes to pass when a container ends and nothing is written any more.
pub type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Rings when there may be something new.
pub(crate) struct Bell {
    folder: AsyncFd<OwnedFd>,
    ended: End,
}

impl Bell {
    /// Listens from now on: what is written after this call rings.
    pub(crate) fn new(log: &Path, ended: End) -> io::Result<Self> {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let watch = inotify::init(flags)?;
        let folder = log.parent().unwrap_or(log);
        let events = inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::ONLYDIR;
        inotify::add_watch(&watch, folder, events)?;
        Ok(Self {
            folder: register(watch)?,
            ended,
        })
    }

    /// Waits; `false` when the container ended, after which nothing new comes.
    pub(crate) async fn wait(&mut self) -> bool {
        tokio::select! {
            biased;
            () = &mut self.ended => return false,
            ready = self.folder.readable() => {
                if let Ok(mut ready) = ready {
                    empty(ready.get_inner());
                    ready.clear_ready();
                }
            }
            () = tokio::time::sleep(GLANCE) => (),
        }
        true
    }
}

#[expect(
    deprecated,
    reason = "the descriptor is owned and never changed behind tokio's back; the new form is unsafe"
)]
fn register(watch: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(watch, Interest::READABLE)
}

/// Reads all notices: that there were some is all they say.
fn empty(watch: &OwnedFd) {
    let mut space = [MaybeUninit::uninit(); 4096];
    let mut notices = inotify::Reader::new(watch, &mut space);
    while notices.next().is_ok() {}
}

/// Reports whether an open log is still the one at `path`, or was rotated away.
pub(crate) async fn is_same(open: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (open.metadata().await, tokio::fs::metadata(path).await) else {
        return false;
    };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}
