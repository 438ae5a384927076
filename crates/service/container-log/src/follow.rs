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
use tracing::debug;

/// A lost notice delays a line by no more than this.
const GLANCE: Duration = Duration::from_secs(1);
/// And this where the kernel gives no notices: root has 128 watches on most hosts, and shares them with other programs.
const UNTOLD: Duration = Duration::from_millis(200);

/// Comes to pass when a container ends and nothing is written any more.
pub type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Rings when there may be something new.
pub(crate) struct Bell {
    folder: Option<AsyncFd<OwnedFd>>,
    ended: End,
}

impl Bell {
    /// Listens from now on: what is written after this call rings.
    pub(crate) fn new(log: &Path, ended: End) -> Self {
        let folder = watched(log.parent().unwrap_or(log));
        let folder =
            folder.inspect_err(|error| debug!(%error, "a log is looked at instead of watched"));
        Self {
            folder: folder.ok(),
            ended,
        }
    }

    /// Waits; `false` when the container ended, after which nothing new comes.
    pub(crate) async fn wait(&mut self) -> bool {
        let glance = self.glance();
        tokio::select! {
            biased;
            () = &mut self.ended => return false,
            () = noticed(self.folder.as_ref()) => (),
            () = tokio::time::sleep(glance) => (),
        }
        true
    }

    const fn glance(&self) -> Duration {
        match &self.folder {
            Some(_) => GLANCE,
            None => UNTOLD,
        }
    }
}

/// Waits for a notice and takes it; for ever where there are none.
async fn noticed(folder: Option<&AsyncFd<OwnedFd>>) {
    let Some(folder) = folder else {
        return std::future::pending().await;
    };
    if let Ok(mut ready) = folder.readable().await {
        empty(ready.get_inner());
        ready.clear_ready();
    }
}

fn watched(folder: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
    let watch = inotify::init(flags)?;
    let events = inotify::WatchFlags::MODIFY
        | inotify::WatchFlags::CREATE
        | inotify::WatchFlags::MOVED_TO
        | inotify::WatchFlags::ONLYDIR;
    inotify::add_watch(&watch, folder, events)?;
    register(watch)
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
