//! Layers as one tree that nobody else sees, for whoever looks into a container that does not run.
//!
//! Never attached, or attached in a mount namespace of the looker's own: dropped, it is gone. Needs the kernel's calls that
//! take one layer each (Linux 6.8); a container that runs is looked at through its own root and needs none of this.

use std::path::{Path, PathBuf};

use rustix::{
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
        fsconfig_set_string, fsmount, fsopen,
    },
};

use crate::{Detached, Error, overlay::Parts, overlay::Writes};

/// Stacks the parts of a container as it would write to them.
///
/// # Errors
/// When a folder is missing, or the kernel is too old.
pub fn writing(parts: Parts<'_>) -> Result<Detached, Error> {
    make(parts.layers, Some(parts)).map_err(Error::step("mount overlay", parts.upper))
}

/// Stacks layers, lowest first, to be read only: nothing is synced when the tree goes.
///
/// # Errors
/// As [`writing`].
pub fn reading(layers: &[PathBuf]) -> Result<Detached, Error> {
    match layers {
        // An overlay without a writable folder wants two layers.
        [only] => {
            let tree = Detached::bind(only, false)?;
            tree.set(MountAttrFlags::MOUNT_ATTR_RDONLY, MountAttrFlags::empty())?;
            Ok(tree)
        }
        layers => make(layers, None).map_err(Error::step("mount overlay", Path::new("layers"))),
    }
}

fn make(layers: &[PathBuf], parts: Option<Parts<'_>>) -> Result<Detached, Errno> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", "overlay")?;
    for layer in layers.iter().rev() {
        fsconfig_set_string(&context, "lowerdir+", layer)?;
    }
    if let Some(parts) = parts {
        fsconfig_set_string(&context, "upperdir", parts.upper)?;
        fsconfig_set_string(&context, "workdir", parts.work)?;
    }
    if parts.is_some_and(|parts| parts.writes == Writes::Volatile) {
        fsconfig_set_flag(&context, "volatile")?;
    }
    fsconfig_create(&context)?;
    let attributes = match parts {
        Some(_) => MountAttrFlags::empty(),
        None => MountAttrFlags::MOUNT_ATTR_RDONLY,
    };
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map(Detached::from_tree)
}
