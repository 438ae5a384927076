//! Sets how mounts spread between namespaces.

use std::path::Path;

use rustix::mount::{MountPropagationFlags, mount_change};

use crate::{Error, Propagation};

/// Sets the propagation of the mount at `path`.
///
/// # Errors
/// `INVAL` when no mount is there.
pub fn propagate(path: &Path, propagation: Propagation) -> Result<(), Error> {
    let mut flags = propagation.kind;
    if propagation.recursive {
        flags |= MountPropagationFlags::REC;
    }
    mount_change(path, flags).map_err(Error::step("change propagation of", path))
}

/// Sets the propagation of every mount of the calling process's namespace.
///
/// # Errors
/// `PERM` without `CAP_SYS_ADMIN`.
pub fn propagate_all(propagation: Propagation) -> Result<(), Error> {
    let all = Propagation {
        recursive: true,
        ..propagation
    };
    propagate(Path::new("/"), all)
}
