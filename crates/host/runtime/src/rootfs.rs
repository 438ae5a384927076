//! Builds the tree that a container sees, and makes it the root.
//!
//! Everything is done through descriptors below the container's root, before the pivot: the image may hold any
//! symbolic link, and another process of a shared volume may swap one at any moment.

mod cgroup_view;
mod device;
mod lend;
mod mount;
mod pivot;

use hakone_mount::{Propagation, Root, mask, propagate, propagate_all, read_only};
use hakone_sys::Namespaces;
use oci_spec::runtime::{Linux, Spec};
use std::{
    os::fd::{AsFd as _, BorrowedFd},
    path::Path,
};

use rustix::{mount::MountAttrFlags, process::chdir};

use crate::{
    StartError, Stdio,
    console::{self, Console},
    plan::Plan,
    sysctl,
};

pub(crate) use device::is_null;
pub(crate) use lend::lend;
pub(crate) use mount::Source;

/// Opens what will be bound into the container, while the process still has the host's ids and paths.
pub(crate) fn open_sources(plan: &mut Plan<'_>) -> Result<Vec<Source>, StartError> {
    let mut lent = std::mem::take(&mut plan.lent).into_iter();
    let mounts = plan.spec.mounts().iter().flatten();
    mounts
        .map(|one| match lent.next().flatten() {
            Some(made) => Ok(Source::Lent(made)),
            None => Source::open(one, plan.spec, plan.cgroup),
        })
        .collect()
}

/// Goes to the folder that the root is in, and names the root from there: a user namespace's root may not walk to it, for the
/// folders above are the host's. Who shares mounts with the host has to.
pub(crate) fn stand_before(plan: &mut Plan<'_>) -> Result<(), StartError> {
    let is_shared = propagation(plan.spec)?.is_some_and(Propagation::is_shared);
    if let (false, Some(folder), Some(name)) =
        (is_shared, plan.rootfs.parent(), plan.rootfs.file_name())
    {
        chdir(folder).map_err(StartError::step("enter the folder of the root"))?;
        plan.rootfs = Path::new(".").join(name);
    }
    Ok(())
}

/// Mounts everything and pivots; gives the terminal when one was asked for.
pub(crate) fn build(plan: &Plan<'_>, sources: Vec<Source>) -> Result<Option<Console>, StartError> {
    let host_null = device::null()?;
    let root = pivot::prepare(
        &plan.rootfs,
        propagation(plan.spec)?,
        has_user_namespace(plan),
    )?;
    let mounts = plan.spec.mounts().iter().flatten();
    for (one, source) in mounts.zip(sources) {
        mount::apply(&root, one, source)?;
    }
    device::populate(&root, plan)?;
    let console = match plan.stdio {
        Stdio::Terminal { rows, cols } => Some(console::open(&root, rows, cols)?),
        Stdio::Pipes { .. } => None,
    };
    sysctl::apply(&root, plan.spec, &plan.wanted)?;
    let null = device::own_null(&root).unwrap_or(host_null);
    protect(&root, plan.spec, null.as_fd())?;
    pivot::enter(&root)?;
    finish(plan.spec)?;
    Ok(console)
}

fn protect(root: &Root, spec: &Spec, null: BorrowedFd<'_>) -> Result<(), StartError> {
    let Some(linux) = spec.linux() else {
        return Ok(());
    };
    for path in linux.readonly_paths().iter().flatten() {
        read_only(root, Path::new(path)).map_err(StartError::of)?;
    }
    for path in linux.masked_paths().iter().flatten() {
        mask(root, Path::new(path), null).map_err(StartError::of)?;
    }
    Ok(())
}

/// The last touches, from inside: how the root spreads, and whether it can be written to.
fn finish(spec: &Spec) -> Result<(), StartError> {
    let inside = Path::new("/");
    if let Some(propagation) = propagation(spec)? {
        propagate(inside, propagation).map_err(StartError::of)?;
    }
    let root = spec.root().as_ref();
    if root.and_then(|root| root.readonly()) == Some(true) {
        let root = Root::open(inside).map_err(StartError::of)?;
        let attributes = hakone_sys::MountAttributes {
            set: MountAttrFlags::MOUNT_ATTR_RDONLY,
            ..hakone_sys::MountAttributes::default()
        };
        hakone_sys::mount_setattr(root.as_fd(), &attributes)
            .map_err(StartError::step("make root read-only"))?;
    }
    Ok(())
}

fn propagation(spec: &Spec) -> Result<Option<Propagation>, StartError> {
    let text = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.rootfs_propagation().as_ref());
    match text.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => match Propagation::parse(text) {
            Some(propagation) => Ok(Some(propagation)),
            None => Err(StartError::Other(format!(
                "rootfsPropagation={text} is not supported"
            ))),
        },
    }
}

/// Reports whether the container has a user namespace of its own, where no device can be made.
fn has_user_namespace(plan: &Plan<'_>) -> bool {
    plan.wanted.new.has(Namespaces::USER)
}

/// Keeps later mounts of the host arriving, and ours from leaving, unless the spec shares them.
fn isolate_mounts(propagation: Option<Propagation>) -> Result<(), StartError> {
    let propagation = propagation.unwrap_or(Propagation::SLAVE_ALL);
    propagate_all(propagation).map_err(StartError::of)
}

fn linux(spec: &Spec) -> Option<&Linux> {
    spec.linux().as_ref()
}
