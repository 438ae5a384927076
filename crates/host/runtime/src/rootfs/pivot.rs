//! Makes a mounted folder the root, and lets go of the old one.

use std::{os::fd::AsFd as _, path::Path};

use hakone_mount::{Detached, Propagation, Root, propagate};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, StatxAttributes, StatxFlags, open, statx},
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
    let is_shared = propagation.is_some_and(Propagation::is_shared);
    if is_shared {
        make_parent_private(rootfs)?;
    }
    if locked || !is_mount(rootfs)? {
        let root = Root::open(rootfs).map_err(StartError::of)?;
        let itself = Detached::bind(rootfs, true).map_err(StartError::of)?;
        itself
            .attach(root.as_fd())
            .map_err(StartError::step("bind root"))?;
    }
    if is_shared {
        // The old root is stacked on the new one for a moment, so the new one must be private too.
        make_private(rootfs)?;
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
            return make_private(folder);
        }
    }
    Ok(())
}

fn make_private(mount: &Path) -> Result<(), StartError> {
    let private = Propagation::parse("private").unwrap_or(Propagation::PRIVATE_ALL);
    propagate(mount, private).map_err(StartError::of)
}

fn is_mount(path: &Path) -> Result<bool, StartError> {
    let status = statx(CWD, path, AtFlags::empty(), StatxFlags::empty());
    let status = status.map_err(StartError::step("stat root"))?;
    Ok(status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Pivots without a folder for the old root: both are stacked on `/` for a moment, the upper one is taken away.
pub(super) fn enter(root: &Root) -> Result<(), StartError> {
    let old = open(
        "/",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(StartError::step("open old root"))?;
    fchdir(root.as_fd()).map_err(StartError::step("enter root"))?;
    pivot_root(".", ".").map_err(StartError::step("pivot_root"))?;
    // Taking it away must not take the host's mounts away. By descriptor: where we stand is below the old root, and what
    // the user shares with the host there must stay its peer.
    fchdir(old.as_fd()).map_err(StartError::step("enter old root"))?;
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change(".", slave).map_err(StartError::step("cut old root off"))?;
    unmount(".", UnmountFlags::DETACH).map_err(StartError::step("unmount old root"))?;
    chdir("/").map_err(StartError::step("chdir to new root"))
}
