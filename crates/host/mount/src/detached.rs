//! A mount that is not in the tree yet: made, configured, and only then attached.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use hakone_sys::{MountAttributes, mount_setattr};
use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat2},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
        fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
    },
};

use crate::{Error, Options, Propagation, root::HERE};

/// A mount outside the tree; dropped, it is gone.
#[derive(Debug)]
pub struct Detached(OwnedFd);

impl Detached {
    /// A copy of what is at the host path `source`, with everything mounted below it when `recursive`.
    ///
    /// # Errors
    /// `NOENT` when the source is missing.
    pub fn bind(source: &Path, recursive: bool) -> Result<Self, Error> {
        let flags = clone_flags(recursive);
        let tree = open_tree(HERE, source, flags).map_err(Error::step("bind", source))?;
        Ok(Self(tree))
    }

    /// The same of a path that leads through what a container may change: no part of it may be a link.
    ///
    /// # Errors
    /// `LOOP` when a part of it is one.
    pub fn bind_plain(source: &Path, recursive: bool) -> Result<Self, Error> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let opened = openat2(CWD, source, flags, Mode::empty(), resolve);
        Self::bind_at(
            opened.map_err(Error::step("bind", source))?.as_fd(),
            recursive,
        )
    }

    /// A copy of what `source` is open on.
    ///
    /// # Errors
    /// `INVAL` when it belongs to another mount namespace.
    pub fn bind_at(source: BorrowedFd<'_>, recursive: bool) -> Result<Self, Error> {
        let flags = clone_flags(recursive) | OpenTreeFlags::AT_EMPTY_PATH;
        let tree = open_tree(source, "", flags);
        tree.map(Self)
            .map_err(Error::step("bind", Path::new("descriptor")))
    }

    /// A new instance of a file system.
    ///
    /// # Errors
    /// When the kernel does not know the type or refuses an option.
    pub fn filesystem(kind: &str, source: &str, options: &Options) -> Result<Self, Error> {
        let make = || {
            let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
            fsconfig_set_string(&context, "source", source)?;
            for (key, value) in &options.data {
                configure(context.as_fd(), key, value.as_deref())?;
            }
            fsconfig_create(&context)?;
            fsmount(
                &context,
                FsMountFlags::FSMOUNT_CLOEXEC,
                options.set | options.set_all,
            )
        };
        make()
            .map(Self)
            .map_err(Error::step("mount", Path::new(kind)))
    }

    /// A mount that has its place already, to be changed there.
    ///
    /// # Errors
    /// When `root` is not open.
    pub fn attached(root: BorrowedFd<'_>) -> Result<Self, Error> {
        let copied = root.try_clone_to_owned().map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::MFILE);
            Error::step("copy", Path::new("descriptor"))(errno)
        });
        copied.map(Self)
    }

    /// Changes the attributes of this mount alone.
    ///
    /// # Errors
    /// `PERM` when an attribute is locked by an outer user namespace.
    pub fn set(&self, set: MountAttrFlags, clear: MountAttrFlags) -> Result<(), Error> {
        let attributes = MountAttributes {
            set,
            clear: with_times(set, clear),
            ..MountAttributes::default()
        };
        self.change(&attributes)
    }

    /// Sets attributes on this mount and all below it, in one step.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_all(&self, set: MountAttrFlags) -> Result<(), Error> {
        let attributes = MountAttributes {
            set,
            clear: with_times(set, MountAttrFlags::empty()),
            recursive: true,
            ..MountAttributes::default()
        };
        self.change(&attributes)
    }

    /// Shifts all owners by the mapping of a user namespace.
    ///
    /// # Errors
    /// `INVAL` when the file system cannot be shifted.
    pub fn shift(&self, user_namespace: BorrowedFd<'_>) -> Result<(), Error> {
        let attributes = MountAttributes {
            id_map: Some(user_namespace),
            recursive: true,
            ..MountAttributes::default()
        };
        self.change(&attributes)
    }

    /// Sets how this mount spreads.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn propagate(&self, propagation: Propagation) -> Result<(), Error> {
        let attributes = MountAttributes {
            propagation: propagation.kind,
            recursive: propagation.recursive,
            ..MountAttributes::default()
        };
        self.change(&attributes)
    }

    fn change(&self, attributes: &MountAttributes<'_>) -> Result<(), Error> {
        let changed = mount_setattr(self.0.as_fd(), attributes);
        changed.map_err(Error::step("change", Path::new("mount")))
    }

    /// Attaches it on top of `target` and gives back its root, open.
    ///
    /// # Errors
    /// `NOTDIR` when one is a folder and the other is not.
    pub fn attach(self, target: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&self.0, "", target, "", flags)?;
        Ok(self.0)
    }
}

/// What another process made; whether it is a mount shows when it is attached.
impl From<OwnedFd> for Detached {
    fn from(mount: OwnedFd) -> Self {
        Self(mount)
    }
}

/// The mount lives as long as the descriptor.
impl From<Detached> for OwnedFd {
    fn from(mount: Detached) -> Self {
        mount.0
    }
}

impl AsFd for Detached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn clone_flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags | OpenTreeFlags::AT_RECURSIVE
    } else {
        flags
    }
}

/// The kernel wants the old way of keeping access times cleared when a new one is set.
fn with_times(set: MountAttrFlags, clear: MountAttrFlags) -> MountAttrFlags {
    let times = MountAttrFlags::MOUNT_ATTR_NOATIME | MountAttrFlags::MOUNT_ATTR_STRICTATIME;
    if set.intersects(times) {
        clear | MountAttrFlags::MOUNT_ATTR__ATIME
    } else {
        clear
    }
}

fn configure(context: BorrowedFd<'_>, key: &str, value: Option<&str>) -> Result<(), Errno> {
    match value {
        Some(value) => fsconfig_set_string(context, key, value),
        None => fsconfig_set_flag(context, key),
    }
}
