//! Tells when the kernel killed a process of the group for want of memory.

use std::{
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    event::{EventfdFlags, eventfd},
    fs::{Mode, OFlags, inotify, open},
};

use crate::{Cgroup, Error, Version, file};

/// A pollable source of out-of-memory kills.
#[derive(Debug)]
pub struct OomEvents {
    descriptor: OwnedFd,
    /// v1 delivers as long as the watched file is open.
    _control: Option<OwnedFd>,
    counter: PathBuf,
    seen: u64,
}

impl OomEvents {
    pub(crate) fn open(cgroup: &Cgroup) -> Result<Self, Error> {
        let folder = cgroup
            .folder("memory")
            .ok_or(Error::Unsupported("watching memory"))?;
        let counter = counter(cgroup.version(), folder);
        let opened = match cgroup.version() {
            Version::V2 => watch(&counter).map(|descriptor| (descriptor, None)),
            Version::V1 | Version::Hybrid => {
                subscribe(folder).map(|(event, control)| (event, Some(control)))
            }
        };
        let (descriptor, control) = opened.map_err(|source| Error::Read {
            path: counter.clone(),
            source,
        })?;
        Ok(Self {
            descriptor,
            _control: control,
            seen: file::keyed(&counter, "oom_kill"),
            counter,
        })
    }

    /// Consumes what made the descriptor readable and tells how many processes were killed since the last call.
    ///
    /// v1 also wakes when the group is removed: that is no kill.
    pub fn take(&mut self) -> u64 {
        let mut buffer = [0; 4096];
        // Both kinds are non-blocking; nothing to read is no event.
        rustix::io::read(&self.descriptor, &mut buffer).ok();
        let now = file::keyed(&self.counter, "oom_kill").max(self.seen);
        let new = now - self.seen;
        self.seen = now;
        new
    }
}

impl AsFd for OomEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

pub(crate) fn kills(cgroup: &Cgroup) -> u64 {
    cgroup.folder("memory").map_or(0, |folder| {
        file::keyed(&counter(cgroup.version(), folder), "oom_kill")
    })
}

fn counter(version: Version, folder: &Path) -> PathBuf {
    match version {
        Version::V2 => folder.join("memory.events"),
        Version::V1 | Version::Hybrid => folder.join("memory.oom_control"),
    }
}

fn watch(events: &Path) -> Result<OwnedFd, rustix::io::Errno> {
    let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
    let descriptor = inotify::init(flags)?;
    inotify::add_watch(&descriptor, events, inotify::WatchFlags::MODIFY)?;
    Ok(descriptor)
}

fn subscribe(folder: &Path) -> Result<(OwnedFd, OwnedFd), rustix::io::Errno> {
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let control = open(folder.join("memory.oom_control"), flags, Mode::empty())?;
    let order = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
    file::write_raw(&folder.join("cgroup.event_control"), &order)?;
    Ok((event, control))
}
