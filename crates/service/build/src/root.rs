//! Roots of images, to read from and to write on, in no tree of mounts: they go with their last descriptor.

use std::{fs, path::Path, path::PathBuf};

use hakone_mount::{Root, overlay, stack};

use crate::{Error, build::Build, neighbour::Ground, scratch::Temporary};

/// Opens the root of an image for reading.
pub(crate) fn reading(layers: &[PathBuf]) -> Result<Root, Error> {
    let tree = match layers {
        // An overlay without a writable folder wants two layers; an image without any is handled by the caller.
        [only] => return Root::open(only).map_err(refused),
        layers => stack::reading(layers).map_err(refused)?,
    };
    Ok(Root::held(tree.into(), Path::new("/")))
}

/// A root to write on: what is written lands in a folder of its own.
#[derive(Debug)]
pub(crate) struct Writing {
    /// The root; it must be gone before the folder is taken.
    root: Option<Root>,
    place: Temporary,
}

impl Writing {
    /// Stacks the layers below a new folder in `place`.
    pub(crate) fn open(layers: &[PathBuf], place: Temporary) -> Result<Self, Error> {
        let (upper, work) = (place.path().join("upper"), place.path().join("work"));
        make(&upper)?;
        let root = match layers {
            [] => Root::open(&upper).map_err(refused)?,
            layers => {
                make(&work)?;
                let parts = overlay::Parts {
                    layers,
                    upper: &upper,
                    work: &work,
                    writes: overlay::Writes::Volatile,
                };
                let tree = stack::writing(parts).map_err(refused)?;
                Root::held(tree.into(), Path::new("/"))
            }
        };
        let root = Some(root);
        Ok(Self { root, place })
    }

    /// Gives the root.
    pub(crate) fn root(&self) -> Result<&Root, Error> {
        self.root.as_ref().ok_or(Error::Cancelled)
    }

    /// Ends writing and gives the folder with what was written, and what keeps it.
    pub(crate) fn finish(mut self) -> (PathBuf, Temporary) {
        self.root = None;
        (self.place.path().join("upper"), self.place)
    }
}

/// The upper folder's own mode becomes that of the root.
fn make(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
        .map_err(Error::disk("make", path))
}

fn refused(error: hakone_mount::Error) -> Error {
    Error::Tree(error.into())
}

/// Gives the folders of an image's layers, none for scratch.
pub(crate) fn layers(build: &Build, ground: Option<&Ground>) -> Result<Vec<PathBuf>, Error> {
    let layers = ground.map(|ground| build.inner.images.layers(&ground.id));
    Ok(layers.transpose()?.unwrap_or_default())
}
