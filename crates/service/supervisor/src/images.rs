//! Shows images in a container: their layers as one tree, mounted where the bundle binds from.
//!
//! Layers belong to every container of their image, so the tree is an overlay without a writable folder, also of a single layer:
//! that can be read only in itself, and nobody inside can make it writable, whatever it may mount. A part of an image is found by
//! the image's own links, which end inside of it. Mounted in our own mount namespace, like the root, before the runtime looks.

use std::{
    fs,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use hakone_mount::{Detached, Root, stack};
use hakone_supervision::{IMAGES, ImageView, Order};
use rustix::{
    fs::{FileType, Mode, OFlags, fstat, open},
    mount::{UnmountFlags, unmount},
};

use crate::{error::Error, prepare::while_shifted};

/// What fills an overlay up to the two layers that it wants.
const EMPTY: [&str; 2] = ["empty.0", "empty.1"];

/// Mounts all images of an order.
pub(crate) fn mount(order: &Order, namespace: Option<&OwnedFd>) -> Result<(), Error> {
    if order.images.is_empty() {
        return Ok(());
    }
    let folder = order.run_dir.join(IMAGES);
    remove(&order.run_dir);
    for name in EMPTY {
        let path = folder.join(name);
        fs::create_dir_all(&path).map_err(Error::read(&path))?;
    }
    for image in &order.images {
        show(image, &folder, namespace)?;
    }
    Ok(())
}

/// Takes their places away; what is not there is well.
pub(crate) fn remove(run_dir: &Path) {
    let folder = run_dir.join(IMAGES);
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let path = entry.path();
        unmount(&path, UnmountFlags::DETACH).ok();
        // Never what is below: a place that is still mounted stays.
        fs::remove_dir(&path)
            .or_else(|_| fs::remove_file(&path))
            .ok();
    }
    fs::remove_dir(&folder).ok();
}

fn show(image: &ImageView, folder: &Path, namespace: Option<&OwnedFd>) -> Result<(), Error> {
    let place = folder.join(&image.name);
    fs::create_dir(&place).map_err(Error::read(&place))?;
    let tree = stacked(&image.layers, folder, namespace)?;
    let target = Root::open(&place).map_err(Error::part("image mount"))?;
    let whole = tree
        .attach(target.as_fd())
        .map_err(Error::kernel("attach the image"))?;
    match &image.subpath {
        None => Ok(()),
        Some(path) => narrow(&Root::held(whole, &place), path, &place),
    }
}

/// Stacks the layers; with a user namespace they show the ids of that one.
fn stacked(
    layers: &[PathBuf],
    folder: &Path,
    namespace: Option<&OwnedFd>,
) -> Result<Detached, Error> {
    let missing = EMPTY.len().saturating_sub(layers.len());
    let empty = EMPTY.iter().take(missing).map(|name| folder.join(name));
    let all: Vec<PathBuf> = empty.chain(layers.iter().cloned()).collect();
    let own: Vec<&Path> = layers.iter().map(PathBuf::as_path).collect();
    while_shifted(&own, namespace, || {
        stack::reading(&all).map_err(Error::part("image mount"))
    })
}

/// Leaves at `place` a part of what is mounted there.
fn narrow(root: &Root, path: &Path, place: &Path) -> Result<(), Error> {
    let found = root.resolve(path).map_err(Error::part("image-subpath"))?;
    let stat = fstat(&found).map_err(Error::kernel("look at the image-subpath"))?;
    let part = Detached::bind_at(found.as_fd(), false).map_err(Error::part("image-subpath"))?;
    unmount(place, UnmountFlags::DETACH).map_err(Error::kernel("unmount the whole image"))?;
    let target = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => open(place, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()),
        _ => as_file(place),
    };
    let target = target.map_err(Error::kernel("open the place of the image-subpath"))?;
    part.attach(target.as_fd())
        .map(drop)
        .map_err(Error::kernel("attach the image-subpath"))
}

/// Makes a place for a file of one for a folder.
fn as_file(place: &Path) -> Result<OwnedFd, rustix::io::Errno> {
    rustix::fs::rmdir(place)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDONLY | OFlags::CLOEXEC;
    open(place, flags, Mode::from_raw_mode(0o600))
}
