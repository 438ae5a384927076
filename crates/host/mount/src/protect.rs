//! Hides or write-protects single paths of a container's root.

use std::{
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{FileType, fstat},
    io::Errno,
    mount::MountAttrFlags,
};

use crate::{Detached, Error, Options, Root};

/// Covers `path` with nothing: `null` over a file, an empty read-only folder over a folder. A missing path is well.
///
/// `null` is a null device, made sure of by its descriptor (CVE-2025-31133), in this mount namespace: before Linux 6.15 nothing else
/// can be copied. The cover is read-only: a device is written to all the same, but its mode and owner stay, which may be the host's.
///
/// # Errors
/// When the cover cannot be attached: the caller must not go on.
pub fn mask(root: &Root, path: &Path, null: BorrowedFd<'_>) -> Result<(), Error> {
    let Some(target) = existing(root, path)? else {
        return Ok(());
    };
    let status = fstat(&target).map_err(Error::step("stat", path))?;
    let cover = match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => {
            let options = Options::parse([
                "ro",
                "nosuid",
                "nodev",
                "noexec",
                "nr_blocks=1",
                "nr_inodes=1",
            ]);
            Detached::filesystem("tmpfs", "tmpfs", &options)?
        }
        _file => {
            let cover = Detached::bind_at(null, false)?;
            let read_only = MountAttrFlags::MOUNT_ATTR_RDONLY;
            cover.set(read_only, MountAttrFlags::empty())?;
            cover
        }
    };
    attach(cover, &target, path)
}

/// Makes `path` and everything mounted below it read-only. A missing path is well.
///
/// # Errors
/// When it cannot be protected: the caller must not go on.
pub fn read_only(root: &Root, path: &Path) -> Result<(), Error> {
    let Some(target) = existing(root, path)? else {
        return Ok(());
    };
    let cover = Detached::bind_at(target.as_fd(), true)?;
    cover.set_all(MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    attach(cover, &target, path)
}

fn existing(root: &Root, path: &Path) -> Result<Option<OwnedFd>, Error> {
    match root.resolve(path) {
        Ok(target) => Ok(Some(target)),
        Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::NOTDIR)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn attach(cover: Detached, target: &OwnedFd, path: &Path) -> Result<(), Error> {
    cover
        .attach(target.as_fd())
        .map(drop)
        .map_err(Error::step("protect", path))
}
