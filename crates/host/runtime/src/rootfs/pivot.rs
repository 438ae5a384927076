//! Makes a mounted folder the root, and lets go of the old one.

use std::{os::fd::AsFd as _, path::Path};

use hakone_mount::{Detached, Propagation, Root, propagate};
use rustix::{
    fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx},
    mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount},
    process::{chdir, fchdir, pivot_root},
};

use super::isolate_mounts;
use crate::StartError;

/// Opens the container's root, as a mount of its own, in a namespace that leaks nothing to the host.
///
/// The mounts that a new user namespace finds are locked, and the kernel pivots to no locked one: so it is bound anew.
pub(super) fn prepare(
    rootfs: &Path,
    propagation: Option<Propagation>,
    locked: bool,
) -> Result<Root, StartError> {
    isolate_mounts(propagation)?;
    if propagation.is_some_and(Propagation::is_shared) {
        make_parent_private(rootfs)?;
    }
    if locked || !is_mount(rootfs)? {
        let root = Root::open(rootfs).map_err(StartError::of)?;
        let itself = Detached::bind(rootfs, true).map_err(StartError::of)?;
        itself
            .attach(root.as_fd())
            .map_err(StartError::step("bind root"))?;
    }
    Root::open(rootfs).map_err(StartError::of)
}

/// The kernel refuses to pivot below a shared mount.
fn make_parent_private(rootfs: &Path) -> Result<(), StartError> {
    let Some(parent) = rootfs.parent() else {
        return Ok(());
    };
    for folder in parent.ancestors() {
        if is_mount(folder)? {
            let private = Propagation::parse("private").unwrap_or(Propagation::PRIVATE_ALL);
            return propagate(folder, private).map_err(StartError::of);
        }
    }
    Ok(())
}

fn is_mount(path: &Path) -> Result<bool, StartError> {
    let status = statx(CWD, path, AtFlags::empty(), StatxFlags::empty());
    let status = status.map_err(StartError::step("stat root"))?;
    Ok(status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Pivots without a folder for the old root: both are stacked on `/` for a moment, the upper one is taken away.
pub(super) fn enter(root: &Root) -> Result<(), StartError> {
    fchdir(root.as_fd()).map_err(StartError::step("enter root"))?;
    pivot_root(".", ".").map_err(StartError::step("pivot_root"))?;
    // Taking it away must not take the host's mounts away.
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change(".", slave).map_err(StartError::step("cut old root off"))?;
    unmount(".", UnmountFlags::DETACH).map_err(StartError::step("unmount old root"))?;
    chdir("/").map_err(StartError::step("chdir to new root"))
}
