//! Fills an empty volume with what the image has at its place.
//!
//! Both trees are walked by descriptors, so links inside them are copied and never followed. Owners, modes,
//! extended attributes, times and hard links are kept; devices and sockets are refused.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, chownat, fchmod,
        fgetxattr, flistxattr, fsetxattr, fstat, futimens, linkat, mkdirat, mknodat, open, openat,
        readlinkat, statat, symlinkat, utimensat,
    },
    io::Errno,
};

use crate::{Error, Root, names};

/// Copies the folder `source` of `root` into the host folder `volume`, when that is empty and the source exists.
///
/// # Errors
/// [`Error::Special`] for a device or socket; the volume may then be half filled.
pub fn copy_up(root: &Root, source: &Path, volume: &Path) -> Result<(), Error> {
    let to = open(volume, FOLDER, Mode::empty()).map_err(Error::step("open", volume))?;
    copy_into(root, source, &to)
}

/// As [`copy_up`], into an open folder, such as that of a new tmpfs.
///
/// # Errors
/// As [`copy_up`].
pub fn copy_into(root: &Root, source: &Path, volume: impl AsFd) -> Result<(), Error> {
    let from = match root.resolve(source) {
        Ok(path) => reopen(&path).map_err(Error::step("open", source)),
        Err(error) if error.errno() == Some(Errno::NOENT) => return Ok(()),
        Err(error) => Err(error),
    }?;
    let Some(from) = from else {
        return Ok(());
    };
    let to = openat(volume, ".", FOLDER, Mode::empty()).map_err(Error::step("open", source))?;
    if !is_empty(&to).map_err(Error::step("read", source))? {
        return Ok(());
    }
    let mut copy = Copy {
        volume: &to,
        links: HashMap::new(),
    };
    copy.folder(&from, &to, Path::new(""))
}

const FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::RDONLY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A readable descriptor of a folder known by path only; none for anything else.
fn reopen(path: &OwnedFd) -> Result<Option<OwnedFd>, Errno> {
    match openat(path, ".", FOLDER, Mode::empty()) {
        Ok(folder) => Ok(Some(folder)),
        Err(Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn is_empty(folder: &OwnedFd) -> Result<bool, Errno> {
    let mut names = names(folder)?;
    names.retain(|name| name != b"lost+found");
    Ok(names.is_empty())
}

struct Copy<'a> {
    volume: &'a OwnedFd,
    /// Where the first name of a file with several was copied to.
    links: HashMap<(u64, u64), PathBuf>,
}

/// One entry on both sides.
struct Entry<'a> {
    from: &'a OwnedFd,
    to: &'a OwnedFd,
    name: &'a [u8],
    status: Stat,
    path: PathBuf,
}

impl Copy<'_> {
    fn folder(&mut self, from: &OwnedFd, to: &OwnedFd, path: &Path) -> Result<(), Error> {
        for name in names(from).map_err(Error::step("read", path))? {
            let path = path.join(OsStr::from_bytes(&name));
            let status = statat(from, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(Error::step("stat", &path))?;
            self.entry(&Entry {
                from,
                to,
                name: &name,
                status,
                path,
            })?;
        }
        // Last, as filling the folder changes its times.
        adorn(from, to).map_err(Error::step("copy attributes of", path))
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), Error> {
        let failure = Error::step("copy", &entry.path);
        match FileType::from_raw_mode(entry.status.st_mode) {
            FileType::Directory => {
                let (from, to) = entry.make_folder().map_err(failure)?;
                self.folder(&from, &to, &entry.path)
            }
            FileType::RegularFile => self.file(entry).map_err(failure),
            FileType::Symlink => entry.copy_link().map_err(failure),
            FileType::Fifo => entry.copy_pipe().map_err(failure),
            _special => Err(Error::Special(entry.path.clone())),
        }
    }

    fn file(&mut self, entry: &Entry<'_>) -> Result<(), Errno> {
        let identity = (entry.status.st_dev, entry.status.st_ino);
        if let Some(first) = self.links.get(&identity) {
            return linkat(self.volume, first, entry.to, entry.name, AtFlags::empty());
        }
        entry.copy_file()?;
        if entry.status.st_nlink > 1 {
            self.links.insert(identity, entry.path.clone());
        }
        Ok(())
    }
}

impl Entry<'_> {
    fn make_folder(&self) -> Result<(OwnedFd, OwnedFd), Errno> {
        mkdirat(self.to, self.name, Mode::from_raw_mode(0o700))?;
        let from = openat(self.from, self.name, FOLDER, Mode::empty())?;
        let to = openat(self.to, self.name, FOLDER, Mode::empty())?;
        Ok((from, to))
    }

    fn copy_file(&self) -> Result<(), Errno> {
        let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let write = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let from = openat(self.from, self.name, read, Mode::empty())?;
        let to = openat(self.to, self.name, write, Mode::from_raw_mode(0o600))?;
        let (mut from, mut to) = (File::from(from), File::from(to));
        io::copy(&mut from, &mut to)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        adorn(&from.into(), &to.into())
    }

    fn copy_link(&self) -> Result<(), Errno> {
        let target = readlinkat(self.from, self.name, Vec::new())?;
        symlinkat(&target, self.to, self.name)?;
        self.own()
    }

    fn copy_pipe(&self) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(self.status.st_mode & 0o7777);
        mknodat(self.to, self.name, FileType::Fifo, mode, 0)?;
        self.own()
    }

    fn own(&self) -> Result<(), Errno> {
        let (user, group) = owner(&self.status);
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        chownat(self.to, self.name, Some(user), Some(group), flags)?;
        utimensat(self.to, self.name, &times(&self.status), flags)
    }
}

fn owner(status: &Stat) -> (Uid, Gid) {
    (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid))
}

/// Gives `to` the owner, mode, extended attributes and times of `from`; the mode after the owner, whose change
/// drops the set-user-ID bit.
fn adorn(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    let status = fstat(from)?;
    let (user, group) = owner(&status);
    rustix::fs::fchown(to, Some(user), Some(group))?;
    fchmod(to, Mode::from_raw_mode(status.st_mode & 0o7777))?;
    copy_attributes(from, to)?;
    futimens(to, &times(&status))
}

fn copy_attributes(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    let mut list = vec![0; 64 * 1024];
    let length = match flistxattr(from, &mut list) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    list.truncate(length);
    for name in list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; 64 * 1024];
        let length = fgetxattr(from, name, &mut value)?;
        value.truncate(length);
        match fsetxattr(to, name, &value, rustix::fs::XattrFlags::empty()) {
            // The volume's file system has no such attributes.
            Ok(()) | Err(Errno::NOTSUP) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn times(status: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.try_into().unwrap_or_default(),
    };
    Timestamps {
        last_access: time(status.st_atime, status.st_atime_nsec),
        last_modification: time(status.st_mtime, status.st_mtime_nsec),
    }
}
