//! Layers as one tree that nobody else sees, for whoever looks into a container that does not run.
//!
//! Never attached, or attached in a mount namespace of the looker's own: dropped, it is gone. A container that runs is looked
//! at through its own root and needs none of this.

use std::path::{Path, PathBuf};

use rustix::mount::MountAttrFlags;

use crate::{
    Detached, Error,
    overlay::{self, Parts},
};

/// Stacks the parts of a container as it would write to them.
///
/// # Errors
/// When a folder is missing, or the file system of `upper` cannot carry an overlay.
pub fn writing(parts: Parts<'_>) -> Result<Detached, Error> {
    overlay::detached(parts.layers, Some(parts)).map_err(Error::step("mount overlay", parts.upper))
}

/// Stacks layers, lowest first, to be read only: nothing is synced when the tree goes.
///
/// # Errors
/// As [`writing`].
pub fn reading(layers: &[PathBuf]) -> Result<Detached, Error> {
    let tree = match layers {
        // An overlay without a writable folder wants two layers.
        [only] => Detached::bind(only, false)?,
        layers => overlay::detached(layers, None)
            .map_err(Error::step("mount overlay", Path::new("layers")))?,
    };
    tree.set(MountAttrFlags::MOUNT_ATTR_RDONLY, MountAttrFlags::empty())?;
    Ok(tree)
}
