//! Opens a container's root: the one of its running init, or one mounted for us alone.
//!
//! Of a running container everything is seen that it sees itself, memory and volumes included. One that rests is mounted
//! anew, in a mount namespace that nobody else has and that goes with its last descriptor.

use std::{
    fs::File,
    io::Read as _,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    thread,
};

use hakone_mount::{Detached, Options, Propagation, Root, overlay, propagate_all, stack};
use rustix::{
    fs::{CWD, Mode, OFlags, fstat, open, openat},
    io::Errno,
    mount::{MountAttrFlags, OpenTreeFlags, open_tree},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space},
};

use crate::{Error, Held, Inlay, Place};

const PATH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// What the root is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Reading all that the container sees.
    Read,
    /// Writing to it.
    Write,
    /// Reading its own files alone, without what is mounted over them.
    Bare,
}

/// A container's root, and the mount namespace that it belongs to.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) root: Root,
    namespace: Option<OwnedFd>,
}

impl View {
    /// Opens the root. Blocks.
    pub(crate) fn open(held: &Held, purpose: Purpose) -> Result<Self, Error> {
        match (held.place, purpose) {
            (Place::Running(pid), Purpose::Bare) => {
                let (root, namespace) = running(held, pid)?;
                drop(root);
                bare(&namespace)
            }
            (Place::Running(pid), Purpose::Read | Purpose::Write) => {
                let (root, namespace) = running(held, pid)?;
                Ok(Self {
                    root: Root::held(root, Path::new("/")),
                    namespace: Some(namespace),
                })
            }
            (Place::Resting, _) => resting(held, purpose),
        }
    }

    /// Runs `work` in the root's own mount namespace: there the kernel refuses to remove what is mounted on.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce(&Root) -> T + Send) -> Result<T, Error> {
        let Some(namespace) = &self.namespace else {
            return Ok(work(&self.root));
        };
        on_own_thread(|| {
            enter(namespace)?;
            Ok(work(&self.root))
        })
    }
}

/// Opens the root and the mount namespace of an init that is sure to be the container's.
fn running(held: &Held, pid: i32) -> Result<(OwnedFd, OwnedFd), Error> {
    let ended = |_errno| Error::Ended(held.id.clone());
    // The folder stands for the process, not for its number: a number given anew is no match.
    let process = openat(CWD, format!("/proc/{pid}"), PATH, Mode::empty()).map_err(ended)?;
    let read = OFlags::RDONLY | OFlags::CLOEXEC;
    let groups = openat(&process, "cgroup", read, Mode::empty()).map_err(ended)?;
    let mut text = String::new();
    File::from(groups).read_to_string(&mut text).ok();
    if !text.contains(held.id.as_str()) {
        return Err(Error::Ended(held.id.clone()));
    }
    let root = openat(&process, "root", PATH, Mode::empty()).map_err(ended)?;
    let namespace = openat(&process, "ns/mnt", read, Mode::empty()).map_err(ended)?;
    Ok((root, namespace))
}

/// Shows the mount that is the container's root, without those on top of it.
fn bare(namespace: &OwnedFd) -> Result<View, Error> {
    on_own_thread(|| {
        enter(namespace)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(CWD, "/", flags).map_err(Error::kernel("clone the root mount"))?;
        Ok(View {
            root: Root::held(tree, Path::new("/")),
            namespace: None,
        })
    })
}

fn resting(held: &Held, purpose: Purpose) -> Result<View, Error> {
    match held.mounts.is_empty() || purpose == Purpose::Bare {
        true => plain(held, purpose),
        false => on_own_thread(|| furnished(held, purpose)),
    }
}

/// The container's layers, its own one on top.
fn layers(held: &Held) -> Vec<PathBuf> {
    let upper = held.folder.join("upper");
    let own = upper.is_dir().then_some(upper);
    held.layers.iter().cloned().chain(own).collect()
}

/// The root as its container would write to it.
fn writing(held: &Held) -> Result<Detached, Error> {
    Ok(stack::writing(overlay::Parts {
        layers: &held.layers,
        upper: &held.folder.join("upper"),
        work: &held.folder.join("work"),
        writes: overlay::Writes::Durable,
    })?)
}

/// The root to be read, with memory on top of it for the places of mounts that it has none for yet.
fn furnishable(held: &Held) -> Result<Detached, Error> {
    let memory = Detached::filesystem("tmpfs", "tmpfs", &Options::default())?;
    let place = held.folder.join("work");
    memory
        .attach(Root::open(&place)?.as_fd())
        .map_err(Error::kernel("attach memory"))?;
    let (upper, work) = (place.join("upper"), place.join("work"));
    for folder in [&upper, &work] {
        let mode = Mode::from_raw_mode(0o755);
        rustix::fs::mkdir(folder, mode).map_err(Error::kernel("make a folder in memory"))?;
    }
    Ok(stack::writing(overlay::Parts {
        layers: &layers(held),
        upper: &upper,
        work: &work,
        writes: overlay::Writes::Volatile,
    })?)
}

/// A root without mounts needs no place in a tree.
fn plain(held: &Held, purpose: Purpose) -> Result<View, Error> {
    let tree = match purpose {
        Purpose::Write => writing(held)?,
        Purpose::Read | Purpose::Bare => stack::reading(&layers(held))?,
    };
    if held.read_only && purpose == Purpose::Write {
        tree.set(MountAttrFlags::MOUNT_ATTR_RDONLY, MountAttrFlags::empty())?;
    }
    Ok(View {
        root: Root::held(tree.into(), Path::new("/")),
        namespace: None,
    })
}

/// Puts root and mounts together in a mount namespace of the calling thread's own.
fn furnished(held: &Held, purpose: Purpose) -> Result<View, Error> {
    unshare(UnshareFlags::NEWNS).map_err(Error::kernel("make a mount namespace"))?;
    propagate_all(Propagation::SLAVE_ALL)?;
    let tree = match purpose {
        Purpose::Write => writing(held)?,
        Purpose::Read | Purpose::Bare => furnishable(held)?,
    };
    let sources: Vec<_> = held
        .mounts
        .iter()
        .filter_map(|inlay| Some((inlay, Detached::bind(&inlay.source, true).ok()?)))
        .collect();
    let place = Root::open(&held.folder)?;
    let root = tree
        .attach(place.as_fd())
        .map_err(Error::kernel("attach the root"))?;
    let root = Root::held(root, Path::new("/"));
    for (inlay, source) in sources {
        lay(&root, inlay, source)?;
    }
    let namespace = open(
        "/proc/thread-self/ns/mnt",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    let namespace = namespace.map_err(Error::kernel("open the mount namespace"))?;
    if held.read_only {
        let own = Detached::attached(root.as_fd())?;
        own.set(MountAttrFlags::MOUNT_ATTR_RDONLY, MountAttrFlags::empty())?;
    }
    Ok(View {
        root,
        namespace: Some(namespace),
    })
}

/// Mounts one path where the container would have it.
fn lay(root: &Root, inlay: &Inlay, source: Detached) -> Result<(), Error> {
    let folder = fstat(source.as_fd()).is_ok_and(|stat| {
        rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory
    });
    let target = match folder {
        true => root.ensure_folder(&inlay.destination)?,
        false => root.ensure_file(&inlay.destination)?,
    };
    if !inlay.writable {
        source.set_all(MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    }
    source
        .attach(target.as_fd())
        .map(drop)
        .map_err(Error::kernel("attach a volume"))
}

/// Moves the calling thread into a mount namespace; its root and working folder become those of the namespace.
fn enter(namespace: &OwnedFd) -> Result<(), Error> {
    unshare(UnshareFlags::FS).map_err(Error::kernel("leave the shared working folder"))?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount))
        .map_err(Error::kernel("enter the mount namespace"))
}

#[expect(
    deprecated,
    reason = "the call is unsafe for CLONE_FILES alone, which is not asked for here"
)]
fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    rustix::thread::unshare(flags)
}

/// Namespaces belong to threads: one that changes them is used for nothing else.
fn on_own_thread<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let spawned = thread::Builder::new()
            .name("archive".to_owned())
            .spawn_scoped(scope, work);
        let thread = spawned.map_err(|error| {
            Error::kernel("start a thread")(Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))
        })?;
        thread.join().map_err(|_panic| Error::Closing)?
    })
}
