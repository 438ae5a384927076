//! What all walks share: folders opened by name in a folder that is held, names in order, a bound on depth.

use std::{os::fd::OwnedFd, path::Path};

use hakone_mount::Root;
use rustix::{
    fs::{FileType, Mode, OFlags, Stat, openat},
    io::Errno,
};

use crate::Error;

/// Folders within folders that a tree may have.
pub(crate) const MAX_DEPTH: usize = 512;
/// How a folder is opened.
pub(crate) const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Says of a path below a root, and whether it is a folder, whether it counts; a folder that does not is left out with all
/// that it holds.
pub type Keep<'a> = &'a dyn Fn(&Path, bool) -> bool;

/// Opens a folder in a folder.
pub(crate) fn below(folder: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    openat(folder, name, FOLDER, Mode::empty())
}

/// Opens a folder by its path, links followed inside the root.
pub(crate) fn open(root: &Root, path: &Path) -> Result<OwnedFd, Errno> {
    let path = match path.as_os_str().is_empty() {
        true => Path::new("."),
        false => path,
    };
    root.open_in(path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Tells what a status is of.
pub(crate) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Refuses to go deeper than any real tree.
pub(crate) fn check_depth(depth: usize, path: &Path) -> Result<(), Error> {
    match depth > MAX_DEPTH {
        true => Err(Error::Depth(path.display().to_string())),
        false => Ok(()),
    }
}
