//! Copies a file or the contents of a folder from one root into another, as COPY and ADD mean it.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Component, Path, PathBuf},
};

use hakone_mount::Root;
use hakone_tar::status;
use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid,
        XattrFlags, chownat, fchmod, fgetxattr, fsetxattr, fstat, futimens, linkat, mkdirat,
        mknodat, openat, readlinkat, statat, symlinkat, unlinkat, utimensat,
    },
    io::Errno,
};

use crate::{Error, Keep, error::errno, walk};

/// How things are copied.
#[derive(Clone, Copy)]
pub struct CopyOptions<'a> {
    /// Whose they become; `None` keeps their owners.
    pub owner: Option<(u32, u32)>,
    /// Their mode; `None` keeps theirs.
    pub mode: Option<u32>,
    /// What of a folder is copied, by its path below the source's root.
    pub keep: Keep<'a>,
}

impl std::fmt::Debug for CopyOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyOptions")
            .field("owner", &self.owner)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// What a path of a source names.
pub(crate) enum Source {
    /// A folder.
    Folder(OwnedFd),
    /// Something else, by its name in a folder; no link.
    Entry {
        folder: OwnedFd,
        name: Vec<u8>,
        stat: Stat,
    },
}

/// Finds what a path names, the links that it ends in followed inside the root.
pub(crate) fn locate(root: &Root, path: &Path) -> Result<Source, Error> {
    let failed = Error::kernel("stat", path.as_os_str().as_bytes());
    if let Ok(folder) = walk::open(root, path) {
        return Ok(Source::Folder(folder));
    }
    let looked = |path: &Path| status(root, path).map_err(|error| failed(of_tar(&error)));
    let mut found = looked(path)?;
    if found.kind() == FileType::Symlink {
        found = looked(&found.target)?;
    }
    match found.kind() {
        FileType::RegularFile | FileType::Fifo => Ok(Source::Entry {
            folder: found.folder,
            name: found.name,
            stat: found.stat,
        }),
        FileType::Symlink => Err(failed(Errno::NOENT)),
        FileType::Directory
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Err(Error::Special(path.display().to_string())),
    }
}

fn of_tar(error: &hakone_tar::Error) -> Errno {
    match error {
        hakone_tar::Error::Kernel { errno, .. } => *errno,
        error if error.is_missing() => Errno::NOENT,
        _ => Errno::IO,
    }
}

/// Copies what `from` names in `source` to `to` in `target`: a folder's contents into a folder, a file as a file, or into the
/// folder when `to` is one or ends in a slash.
///
/// # Errors
/// When something is not there, in the way, or cannot be written.
pub fn copy(
    (source, from): (&Root, &Path),
    (target, to): (&Root, &Path),
    options: &CopyOptions<'_>,
) -> Result<(), Error> {
    let mut copier = Copier {
        options,
        links: HashMap::new(),
    };
    match locate(source, from)? {
        Source::Folder(folder) => {
            let into = ensure(target, &resolved(target, to)?, options.owner)?;
            copier.folder(&folder, &into, from, 0)
        }
        Source::Entry { folder, name, stat } => {
            let (above, last) = place(target, from, to)?;
            let into = ensure(target, &above, options.owner)?;
            let last = last.as_bytes();
            copier.entry((&folder, &name), (&into, last), &stat, from)
        }
    }
}

/// Decides in which folder a file goes, and under which name.
fn place(target: &Root, from: &Path, to: &Path) -> Result<(PathBuf, std::ffi::OsString), Error> {
    let at = resolved(target, to)?;
    let slash = to.as_os_str().as_bytes().ends_with(b"/");
    let own = from.file_name().unwrap_or_default().to_os_string();
    if slash || walk::open(target, &at).is_ok() {
        return Ok((at, own));
    }
    let above = at.parent().unwrap_or(Path::new("/")).to_path_buf();
    match at.file_name() {
        Some(name) => Ok((above, name.to_os_string())),
        None => Ok((at, own)),
    }
}

/// Follows the links that a target's path ends in, inside its root.
fn resolved(target: &Root, to: &Path) -> Result<PathBuf, Error> {
    let trimmed = trimmed(to);
    match status(target, &trimmed) {
        Ok(found) if found.kind() == FileType::Symlink => Ok(found.target),
        Ok(_) => Ok(trimmed),
        Err(error) if error.is_missing() => Ok(trimmed),
        Err(error) => Err(Error::kernel("stat", to.as_os_str().as_bytes())(of_tar(
            &error,
        ))),
    }
}

/// Takes slashes and dots out.
fn trimmed(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => drop(plain.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    plain
}

/// Opens a folder of the target, making what is missing on the way for the new owner.
fn ensure(target: &Root, path: &Path, owner: Option<(u32, u32)>) -> Result<OwnedFd, Error> {
    let failed = Error::kernel("mkdir", path.as_os_str().as_bytes());
    let mut at = PathBuf::from("/");
    for part in path.components() {
        let Component::Normal(name) = part else {
            continue;
        };
        at.push(name);
        match walk::open(target, &at) {
            Ok(_) => {}
            Err(Errno::NOENT) => {
                let made = target.ensure_folder(&at)?;
                give(made.as_fd(), owner).map_err(&failed)?;
            }
            Err(Errno::NOTDIR) => return Err(Error::NotFolder(at.display().to_string())),
            Err(errno) => return Err(failed(errno)),
        }
    }
    walk::open(target, path).map_err(failed)
}

fn give(file: impl AsFd, owner: Option<(u32, u32)>) -> Result<(), Errno> {
    let Some((uid, gid)) = owner else {
        return Ok(());
    };
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    chownat(file, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
}

struct Copier<'a> {
    options: &'a CopyOptions<'a>,
    /// Where a file with several names was copied to first: the folder and its name there.
    links: HashMap<(u64, u64), (OwnedFd, Vec<u8>)>,
}

/// A folder and a name in it.
type Named<'a> = (&'a OwnedFd, &'a [u8]);

impl Copier<'_> {
    fn folder(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        full: &Path,
        depth: usize,
    ) -> Result<(), Error> {
        walk::check_depth(depth, full)?;
        let failed = Error::kernel("copy", full.as_os_str().as_bytes());
        for name in hakone_mount::names(from).map_err(&failed)? {
            let stat = statat(from, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW);
            let stat = stat.map_err(&failed)?;
            let full = full.join(OsStr::from_bytes(&name));
            let is_folder = walk::kind(&stat) == FileType::Directory;
            if !(self.options.keep)(&full, is_folder) {
                continue;
            }
            match is_folder {
                true => self.below((from, &name), to, &full, depth)?,
                false => self.entry((from, &name), (to, &name), &stat, &full)?,
            }
        }
        Ok(())
    }

    /// Copies a folder in a folder; one that is there already takes the attributes of the new one.
    fn below(
        &mut self,
        (from, name): Named<'_>,
        to: &OwnedFd,
        full: &Path,
        depth: usize,
    ) -> Result<(), Error> {
        let failed = Error::kernel("copy", full.as_os_str().as_bytes());
        let opened = walk::below(from, name).map_err(&failed)?;
        let into = match walk::below(to, name) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => make_folder(to, name).map_err(&failed)?,
            // A file or a link, which is not followed: it makes way.
            Err(Errno::NOTDIR | Errno::LOOP) => {
                unlinkat(to, name, AtFlags::empty()).map_err(&failed)?;
                make_folder(to, name).map_err(&failed)?
            }
            Err(errno) => return Err(failed(errno)),
        };
        self.folder(&opened, &into, full, depth + 1)?;
        self.dress(&opened, &into).map_err(failed)
    }

    fn entry(
        &mut self,
        from: Named<'_>,
        to: Named<'_>,
        stat: &Stat,
        full: &Path,
    ) -> Result<(), Error> {
        let failed = Error::kernel("copy", full.as_os_str().as_bytes());
        clear(to).map_err(&failed)?;
        if stat.st_nlink > 1
            && let Some((folder, name)) = self.links.get(&(stat.st_dev, stat.st_ino))
        {
            let linked = linkat(folder, name.as_slice(), to.0, to.1, AtFlags::empty());
            return linked.map_err(failed);
        }
        match walk::kind(stat) {
            FileType::RegularFile => self.file(from, to).map_err(&failed)?,
            FileType::Symlink => {
                let target = readlinkat(from.0, from.1, Vec::new()).map_err(&failed)?;
                symlinkat(&target, to.0, to.1).map_err(&failed)?;
                self.own(to, stat).map_err(&failed)?;
            }
            FileType::Fifo => {
                let mode = Mode::from_raw_mode(self.options.mode.unwrap_or(stat.st_mode) & 0o7777);
                mknodat(to.0, to.1, FileType::Fifo, mode, 0).map_err(&failed)?;
                self.own(to, stat).map_err(&failed)?;
            }
            // Nothing without the program or the host that they belong to.
            FileType::Directory
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => return Ok(()),
        }
        if stat.st_nlink > 1 {
            let folder = openat(to.0, ".", walk::FOLDER, Mode::empty()).map_err(failed)?;
            self.links
                .insert((stat.st_dev, stat.st_ino), (folder, to.1.to_vec()));
        }
        Ok(())
    }

    fn file(&self, from: Named<'_>, to: Named<'_>) -> Result<(), Errno> {
        let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let write = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let from = openat(from.0, from.1, read, Mode::empty())?;
        let to = openat(to.0, to.1, write, Mode::from_raw_mode(0o600))?;
        let (mut from, mut to) = (File::from(from), File::from(to));
        io::copy(&mut from, &mut to).map_err(|error| errno(&error))?;
        self.dress(&from.into(), &to.into())
    }

    /// Sets owner, mode, capability and time; in this order, as a change of owner takes set-user-id and capability away.
    fn dress(&self, from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
        let stat = fstat(from)?;
        give(
            to,
            Some(self.options.owner.unwrap_or((stat.st_uid, stat.st_gid))),
        )?;
        let mode = self.options.mode.unwrap_or(stat.st_mode & 0o7777);
        fchmod(to, Mode::from_raw_mode(mode))?;
        let mut capability = [0; 64];
        if let Ok(length @ 1..) = fgetxattr(from, "security.capability", &mut capability) {
            let value = capability.get(..length).unwrap_or_default();
            fsetxattr(to, "security.capability", value, XattrFlags::empty())?;
        }
        futimens(to, &times(&stat))
    }

    fn own(&self, (folder, name): Named<'_>, stat: &Stat) -> Result<(), Errno> {
        let (uid, gid) = self.options.owner.unwrap_or((stat.st_uid, stat.st_gid));
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        chownat(folder, name, Some(uid), Some(gid), flags)?;
        utimensat(folder, name, &times(stat), flags)
    }
}

fn make_folder(above: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    mkdirat(above, name, Mode::from_raw_mode(0o755))?;
    walk::below(above, name)
}

/// Removes what stands in the way of a file, a folder with all it holds.
fn clear((folder, name): Named<'_>) -> Result<(), Errno> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => remove_folder((folder, name), 0),
        Err(errno) => Err(errno),
    }
}

pub(crate) fn remove_folder((folder, name): Named<'_>, depth: usize) -> Result<(), Errno> {
    if depth > walk::MAX_DEPTH {
        return Err(Errno::NAMETOOLONG);
    }
    let inside = walk::below(folder, name)?;
    for entry in hakone_mount::names(&inside)? {
        match unlinkat(&inside, entry.as_slice(), AtFlags::empty()) {
            Err(Errno::ISDIR) => remove_folder((&inside, &entry), depth + 1)?,
            other => other?,
        }
    }
    unlinkat(folder, name, AtFlags::REMOVEDIR)
}

fn times(stat: &Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: stat.st_mtime,
            tv_nsec: stat.st_mtime_nsec.try_into().unwrap_or_default(),
        },
    }
}

#[cfg(test)]
mod tests;
