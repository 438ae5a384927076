//! Makes the upper folder of a container's overlay what its program left: without what the engine put there for the run.

use std::{
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fgetxattr, openat, openat2,
        statat, unlinkat,
    },
    io::Errno,
};

use crate::{Error, walk};

const OPAQUE: &str = "trusted.overlay.opaque";
/// A mark of the overlay that says where a folder was moved from: such a folder is not whole by itself.
const REDIRECT: &str = "trusted.overlay.redirect";

/// Removes the empty files and folders at `stubs`, where the engine mounted things, with the folders that were made for
/// them alone; and devices and sockets, which no image has. Nothing may use the folder meanwhile.
///
/// # Errors
/// When it cannot be read or changed, or holds folders that are not whole.
pub fn settle(upper: &Path, layers: &[PathBuf], stubs: &[PathBuf]) -> Result<(), Error> {
    let failed = Error::kernel("open", upper.as_os_str().as_bytes());
    let root = openat(CWD, upper, walk::FOLDER, Mode::empty()).map_err(&failed)?;
    for stub in stubs {
        remove_stub(&root, layers, stub.strip_prefix("/").unwrap_or(stub));
    }
    weed(&root, upper, 0)
}

/// One that holds something, or is not there, is none of ours.
fn remove_stub(root: &OwnedFd, layers: &[PathBuf], stub: &Path) {
    let Some((folder, name, stat)) = look(root, stub) else {
        return;
    };
    let removed = match walk::kind(&stat) {
        FileType::RegularFile if stat.st_size == 0 => {
            unlinkat(&folder, name.as_slice(), AtFlags::empty())
        }
        FileType::Directory
            if !is_marked(&folder, &name, OPAQUE) && !differs(layers, stub, &stat) =>
        {
            unlinkat(&folder, name.as_slice(), AtFlags::REMOVEDIR)
        }
        _ => return,
    };
    if removed.is_err() {
        return;
    }
    let mut above = stub.parent();
    while let Some(path) = above.filter(|path| !path.as_os_str().is_empty()) {
        if !remove_bare(root, layers, path) {
            return;
        }
        above = path.parent();
    }
}

/// Removes a folder that says nothing: it is empty, and as it is below or was not there.
fn remove_bare(root: &OwnedFd, layers: &[PathBuf], path: &Path) -> bool {
    let Some((folder, name, stat)) = look(root, path) else {
        return false;
    };
    if is_marked(&folder, &name, OPAQUE) || differs(layers, path, &stat) {
        return false;
    }
    unlinkat(&folder, name.as_slice(), AtFlags::REMOVEDIR).is_ok()
}

/// Reports whether a folder has another owner or mode than below; one that is new has the mode that the engine gives.
fn differs(layers: &[PathBuf], path: &Path, stat: &Stat) -> bool {
    match former(layers, path) {
        Some(former) => {
            (former.st_mode, former.st_uid, former.st_gid)
                != (stat.st_mode, stat.st_uid, stat.st_gid)
        }
        None => stat.st_mode & 0o7777 != 0o755,
    }
}

/// Finds what the uppermost layer that has a path says of it.
fn former(layers: &[PathBuf], path: &Path) -> Option<Stat> {
    for layer in layers.iter().rev() {
        let root = openat(CWD, layer, walk::FOLDER, Mode::empty()).ok()?;
        if let Some((_, _, stat)) = look(&root, path) {
            return (walk::kind(&stat) == FileType::Directory).then_some(stat);
        }
    }
    None
}

/// Looks at a path without following anything.
fn look(root: &OwnedFd, path: &Path) -> Option<(OwnedFd, Vec<u8>, Stat)> {
    let name = path.file_name()?.as_bytes().to_vec();
    let above = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let folder = openat2(root, above, walk::FOLDER, Mode::empty(), resolve).ok()?;
    let stat = statat(&folder, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some((folder, name, stat))
}

fn is_marked(folder: &OwnedFd, name: &[u8], mark: &str) -> bool {
    let mut value = [0; 256];
    openat(folder, name, walk::FOLDER, Mode::empty()).is_ok_and(|opened| {
        matches!(
            fgetxattr(&opened, mark, &mut value),
            Ok(1..) | Err(Errno::RANGE)
        )
    })
}

/// Removes devices and sockets, whiteouts excepted.
fn weed(folder: &OwnedFd, path: &Path, depth: usize) -> Result<(), Error> {
    walk::check_depth(depth, path)?;
    let failed = Error::kernel("read", path.as_os_str().as_bytes());
    for (name, kind) in kinds(folder).map_err(&failed)? {
        match kind {
            FileType::Directory => {
                let below = path.join(std::ffi::OsStr::from_bytes(&name));
                if is_marked(folder, &name, REDIRECT) {
                    return Err(Error::Special(below.display().to_string()));
                }
                let opened = walk::below(folder, &name).map_err(&failed)?;
                weed(&opened, &below, depth + 1)?;
            }
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Socket => {
                let stat = statat(folder, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW);
                let whiteout =
                    kind == FileType::CharacterDevice && stat.map_err(&failed)?.st_rdev == 0;
                if !whiteout {
                    unlinkat(folder, name.as_slice(), AtFlags::empty()).map_err(&failed)?;
                }
            }
            FileType::RegularFile | FileType::Symlink | FileType::Fifo | FileType::Unknown => {}
        }
    }
    Ok(())
}

/// Gives names and kinds, as the folder itself tells them.
fn kinds(folder: &OwnedFd) -> Result<Vec<(Vec<u8>, FileType)>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let own = openat(folder, ".", flags, Mode::empty())?;
    let mut found = Vec::new();
    for entry in rustix::fs::Dir::new(own)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let name = name.to_bytes().to_vec();
        let kind = match entry.file_type() {
            FileType::Unknown => {
                walk::kind(&statat(folder, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW)?)
            }
            kind => kind,
        };
        found.push((name, kind));
    }
    Ok(found)
}

/// Sums the bytes of the files of a folder.
#[must_use]
pub fn size(folder: &Path) -> u64 {
    openat(CWD, folder, walk::FOLDER, Mode::empty()).map_or(0, |root| sum(&root, 0))
}

fn sum(folder: &OwnedFd, depth: usize) -> u64 {
    if depth > walk::MAX_DEPTH {
        return 0;
    }
    let mut total = 0_u64;
    for (name, kind) in kinds(folder).unwrap_or_default() {
        total += match kind {
            FileType::Directory => {
                walk::below(folder, &name).map_or(0, |below| sum(&below, depth + 1))
            }
            FileType::RegularFile => statat(folder, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW)
                .map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0)),
            _ => 0,
        };
    }
    total
}
