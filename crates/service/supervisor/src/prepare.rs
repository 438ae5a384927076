//! Makes the world of one container: a mount namespace of our own with the container's root in it.
//!
//! The root is mounted where nobody else sees it, so that it goes when we go, however we go.

use std::{
    fs,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use hakone_mount::{
    MountPoint, Propagation, Root, copy_up, overlay, propagate, propagate_all, shift_in_place,
};
use hakone_runtime::user_namespace;
use hakone_supervision::{CONFIG_FILE, ENVIRONMENT_FILE, Order, ROOTFS, Rootfs};
use hakone_sys::{Namespaces, unshare};
use oci_spec::runtime::Spec;
use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
    mount::{UnmountFlags, unmount},
    process::{PidfdFlags, getpid, getppid, pidfd_open, set_child_subreaper, setsid},
};

use crate::{
    error::{Error, chain},
    images, mtab,
};

/// Leaves the daemon's session and becomes the parent of what the container leaves behind.
pub(crate) fn detach() -> Result<(), Error> {
    // Fails only for a leader of a process group, which is out of the daemon's session already.
    setsid().ok();
    set_child_subreaper(Some(getpid())).map_err(Error::kernel("become subreaper"))
}

/// Opens the daemon, to notice its death; nothing when it is dead already, which the silence will show.
pub(crate) fn daemon() -> Option<OwnedFd> {
    pidfd_open(getppid()?, PidfdFlags::empty()).ok()
}

/// Reads the order.
pub(crate) fn order(path: &Path) -> Result<Order, Error> {
    json(path)
}

/// Reads the bundle's specification.
pub(crate) fn spec(bundle: &Path) -> Result<Spec, Error> {
    json(&bundle.join(CONFIG_FILE))
}

/// Takes the variables that the order's writer left in memory: they are there once.
pub(crate) fn lent(run_dir: &Path) -> Result<Vec<String>, Error> {
    let path = run_dir.join(ENVIRONMENT_FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let lent = json(&path);
    fs::remove_file(&path).map_err(Error::read(&path))?;
    lent
}

/// Mounts the container's root in a mount namespace of our own and fills its new volumes.
pub(crate) fn root(order: &Order, spec: &Spec) -> Result<PathBuf, Error> {
    let target = order.run_dir.join(ROOTFS);
    fs::create_dir_all(&target).map_err(Error::read(&target))?;
    unshare(Namespaces::MOUNT).map_err(Error::kernel("unshare mounts"))?;
    seclude(&target, spec)?;
    let namespace = user_namespace(spec).map_err(Error::part("user namespace"))?;
    stack(&order.rootfs, namespace.as_ref(), &target)?;
    if let Some(namespace) = &namespace {
        shift_volumes(order, namespace)?;
    }
    if order.rootfs.mtab {
        mtab::link(&order.rootfs.upper, spec, &target).map_err(Error::part("link /etc/mtab"))?;
    }
    fill_volumes(order, &target)?;
    images::mount(order, namespace.as_ref())?;
    Ok(target)
}

/// Mounts the overlay. With a user namespace all that it is made of shows the ids of that one: files are stored as the container
/// sees them, whichever ids it has this time.
fn stack(parts: &Rootfs, namespace: Option<&OwnedFd>, target: &Path) -> Result<(), Error> {
    let own = parts.upper.parent().into_iter();
    let layers = parts.layers.iter().map(PathBuf::as_path);
    let folders: Vec<&Path> = own.chain(layers).collect();
    while_shifted(&folders, namespace, || {
        overlay::mount(overlay_of(parts), target).map_err(Error::part("root file system"))
    })
}

/// Makes an overlay while the folders that it is made of show the ids of a user namespace, if there is one. It holds mounts of
/// its own of them.
pub(crate) fn while_shifted<T>(
    folders: &[&Path],
    namespace: Option<&OwnedFd>,
    make: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let Some(namespace) = namespace else {
        return make();
    };
    for folder in folders {
        shift_in_place(folder, namespace.as_fd()).map_err(Error::part("ids of a layer"))?;
    }
    let made = make()?;
    for folder in folders {
        unmount(*folder, UnmountFlags::DETACH).map_err(Error::kernel("unmount layer"))?;
    }
    Ok(made)
}

/// Shows volumes with the ids of a user namespace; what a file system cannot shift stays as it is.
fn shift_volumes(order: &Order, namespace: &OwnedFd) -> Result<(), Error> {
    for volume in &order.shifted {
        match shift_in_place(volume, namespace.as_fd()) {
            Err(error) if error.errno() == Some(Errno::INVAL) => {}
            other => other.map_err(Error::part("volume"))?,
        }
    }
    Ok(())
}

fn overlay_of(parts: &Rootfs) -> overlay::Parts<'_> {
    overlay::Parts {
        layers: &parts.layers,
        upper: &parts.upper,
        work: &parts.work,
        writes: match parts.ephemeral {
            true => overlay::Writes::Volatile,
            false => overlay::Writes::Durable,
        },
    }
}

/// Takes the root away and gives what keeps it alive; what is not there is well.
///
/// Whoever lets the last reference to an overlay go waits until the whole file system of its upper folder is synced:
/// more than 100 ms on a busy disk. So it is held until everyone has been told of the end. The mount point must be
/// gone before that: a later `rmdir` could hit the mount of the container's next start.
pub(crate) fn remove_root(run_dir: &Path) -> Option<OwnedFd> {
    let target = run_dir.join(ROOTFS);
    let kept = open(&target, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok();
    unmount(&target, UnmountFlags::DETACH).ok();
    fs::remove_dir(&target).ok();
    images::remove(run_dir);
    kept
}

/// Keeps our mounts from the host.
///
/// The host's later mounts and unmounts still arrive here, so that we pin none of its disks. A volume with shared
/// propagation must stay a peer of the host's mount, though: then only the mount that the root goes to is cut off.
fn seclude(target: &Path, spec: &Spec) -> Result<(), Error> {
    let cut = match wants_shared(spec) {
        false => propagate_all(Propagation::SLAVE_ALL),
        true => private(&mount_point(target)?),
    };
    cut.map_err(Error::part("seclude mounts"))
}

fn wants_shared(spec: &Spec) -> bool {
    let mounts = spec.mounts().iter().flatten();
    let mut options = mounts.flat_map(|mount| mount.options().iter().flatten());
    options.any(|option| option == "shared" || option == "rshared")
}

/// Finds the mount that a path is on.
fn mount_point(path: &Path) -> Result<PathBuf, Error> {
    const TABLE: &str = "/proc/self/mountinfo";
    let table = fs::read_to_string(TABLE).map_err(Error::read(TABLE))?;
    let found = MountPoint::of(&table, path);
    Ok(found.map_or_else(|| PathBuf::from("/"), |point| point.path))
}

fn fill_volumes(order: &Order, target: &Path) -> Result<(), Error> {
    if order.copy_up.is_empty() {
        return Ok(());
    }
    let root = Root::open(target).map_err(Error::part("root file system"))?;
    for each in &order.copy_up {
        copy_up(&root, &each.source_in_image, &each.volume)
            .map_err(Error::part("copy image content into volume"))?;
    }
    Ok(())
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let bytes = fs::read(path).map_err(Error::read(path))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::Unreadable {
        path: path.to_owned(),
        reason: chain(&error),
    })
}

fn private(mount: &Path) -> Result<(), hakone_mount::Error> {
    match Propagation::parse("private") {
        Some(private) => propagate(mount, private),
        None => Ok(()),
    }
}
