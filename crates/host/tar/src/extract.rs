//! Takes a tar stream into a folder of a container.
//!
//! The container may run, and its root may exchange folders for links while we write: links are followed inside the
//! container's root and never out of it, and what is made is made by name in a folder that is held. What stands in the way
//! is removed, never opened or written through; so a file, link or device of the container cannot catch what is copied.

use std::{
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    rc::Rc,
};

use hakone_image_model::{LayerPath, Limits, Xattr};
use hakone_mount::Root;
use rustix::{
    fs::{
        AtFlags, Dev, Dir, FileType, Mode, OFlags, Timestamps, XattrFlags, chownat, fchmod, fchown,
        fsetxattr, fstat, futimens, linkat, makedev, mkdirat, mknodat, openat, statat, symlinkat,
        unlinkat, utimensat,
    },
    io::Errno,
};
use tar::{Entry, EntryType};

use crate::{
    Attributes, CopyError, Error, Folders, Ids, Unreadable, content::copy, each_member, status,
};

/// Bytes copied at once.
const BUFFER: usize = 128 * 1024;
/// Folders within folders that are removed for what replaces them.
const MAX_DEPTH: usize = 256;
/// The devices that every container has: full, null, random, tty, urandom, zero.
const COMMON: &[(u32, u32)] = &[(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0)];

/// Which device nodes a stream may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Devices {
    /// Those that every container has.
    Common,
    /// Any: for a container that may use them all.
    Any,
}

/// What becomes of set-user-id bits and file capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privileges {
    /// They stay: the files belong into a container.
    Keep,
    /// They go: the files leave a container, and must not make anybody on the host mightier.
    Strip,
}

/// How a stream is taken in.
#[derive(Clone, Debug)]
pub struct Options {
    /// Refuse to put a file in the place of a folder, and the other way round.
    pub keep_kinds: bool,
    /// Whose everything becomes, as the container counts; else what the stream says.
    pub owner: Option<(u32, u32)>,
    /// How the container's ids are stored.
    pub ids: Ids,
    /// Which device nodes it may bring.
    pub devices: Devices,
    /// Whether files may give their starter more than it has.
    pub privileges: Privileges,
}

/// Takes a stream into the folder at `target`, which must exist.
///
/// # Errors
/// When a member is refused; those before it stay.
pub fn extract(
    root: &Root,
    target: &Path,
    source: impl Read,
    options: &Options,
) -> Result<(), Error> {
    let folder = status::open(root, target);
    let folder = folder.map_err(Error::kernel("open", target.as_os_str().as_bytes()))?;
    let follow = |path: &LayerPath| {
        let path = target.join(std::ffi::OsStr::from_bytes(path.as_bytes()));
        status::open(root, &path)
    };
    let mut extraction = Extraction {
        folders: Folders::following(folder, follow),
        target: status::plain(target),
        options,
        limits: Limits::default(),
        entries: 0,
        bytes: 0,
        times: Vec::new(),
        buffer: vec![0; BUFFER],
    };
    let mut rest = each_member(source, Error::Broken, |entry| extraction.member(entry))?;
    extraction.finish();
    // A client that still sends has to be heard out.
    io::copy(&mut rest, &mut io::sink()).map_err(Error::Broken)?;
    Ok(())
}

struct Extraction<'a> {
    folders: Folders<'a>,
    target: PathBuf,
    options: &'a Options,
    limits: Limits,
    entries: u64,
    bytes: u64,
    /// Folders' times, set at the end: every file made in a folder changes them.
    times: Vec<(LayerPath, Timestamps)>,
    buffer: Vec<u8>,
}

/// Where a member goes.
struct Place<'p> {
    folder: Rc<OwnedFd>,
    name: &'p [u8],
    path: &'p LayerPath,
}

impl Extraction<'_> {
    fn member<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), Error> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let path = self.path(&entry.path_bytes())?;
        self.account(entry, &path)?;
        let mut attributes = attributes(entry, &path)?;
        self.own(&mut attributes, &path)?;
        if path.is_root() {
            return match kind {
                EntryType::Directory => Ok(()),
                _ => Err(refused(&path, "it would replace the target")),
            };
        }
        let (above, name) = path.split();
        let folder = self
            .folders
            .ensure(&above)
            .map_err(self.failed("mkdir", &above))?;
        let place = Place {
            folder,
            name,
            path: &path,
        };
        match kind {
            EntryType::Directory => {
                let present = self.clear(&place, true)?;
                self.folder(&place, present, &attributes)
            }
            EntryType::Regular | EntryType::Continuous => {
                self.file(entry, false, &place, &attributes)
            }
            EntryType::GNUSparse => self.file(entry, true, &place, &attributes),
            _ => {
                self.clear(&place, false)?;
                self.make(entry, &place, &attributes)
            }
        }
    }

    fn path(&self, bytes: &[u8]) -> Result<LayerPath, Error> {
        LayerPath::parse(bytes).map_err(|_refusal| Error::Outside {
            member: String::from_utf8_lossy(bytes.get(..256).unwrap_or(bytes)).into_owned(),
            target: self.target.to_string_lossy().into_owned(),
        })
    }

    /// Counts before anything is written.
    fn account<R: Read>(&mut self, entry: &Entry<'_, R>, path: &LayerPath) -> Result<(), Error> {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(entry.size());
        let many = self.limits.too_many_entries(self.entries, self.bytes);
        match many
            || self.bytes > self.limits.unpacked && entry.header().entry_type().is_gnu_sparse()
        {
            true => Err(refused(path, "the archive holds too much")),
            false => Ok(()),
        }
    }

    /// Decides whose it becomes, as the kernel counts.
    fn own(&self, attributes: &mut Attributes, path: &LayerPath) -> Result<(), Error> {
        let (uid, gid) = self
            .options
            .owner
            .unwrap_or((attributes.uid, attributes.gid));
        let outside = self.options.ids.outside(uid, gid);
        let foreign = || refused(path, "its owner is no id of the container");
        (attributes.uid, attributes.gid) = outside.ok_or_else(foreign)?;
        if self.options.privileges == Privileges::Strip {
            attributes.mode &= 0o1777;
            attributes
                .xattrs
                .retain(|(name, _)| name != "security.capability");
        }
        Ok(())
    }

    /// Removes what stands in the way; tells whether a folder stays.
    fn clear(&mut self, place: &Place<'_>, folder: bool) -> Result<bool, Error> {
        let failed = self.failed("unlinkat", place.path);
        let Some(kind) = kind_at(place.folder.as_fd(), place.name).map_err(&failed)? else {
            return Ok(false);
        };
        let full = || self.full(place.path);
        let target = || self.target.to_string_lossy().into_owned();
        match (kind == FileType::Directory, folder) {
            (true, true) => return Ok(true),
            (true, false) if self.options.keep_kinds => Err(Error::OverwriteFolder {
                path: full(),
                target: target(),
            }),
            (false, true) if self.options.keep_kinds => Err(Error::OverwriteFile {
                path: full(),
                target: target(),
            }),
            (true, false) => {
                self.folders.forget();
                remove_all(place.folder.as_fd(), place.name, 0).map_err(failed)
            }
            (false, _) => {
                unlinkat(place.folder.as_fd(), place.name, AtFlags::empty()).map_err(failed)
            }
        }?;
        Ok(false)
    }

    fn make<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        place: &Place<'_>,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        let kind = entry.header().entry_type();
        match kind {
            EntryType::Symlink => {
                let target = link(entry, place.path)?;
                let made = symlinkat(target, place.folder.as_fd(), place.name);
                made.map_err(self.failed("symlink", place.path))?;
                self.dress_by_name(place, attributes)
            }
            EntryType::Link => self.hard_link(&link(entry, place.path)?, place),
            EntryType::Fifo => self.node(place, FileType::Fifo, 0, attributes),
            EntryType::Char | EntryType::Block => self.device(entry, kind, place, attributes),
            _ => Err(refused(place.path, "its kind is unknown")),
        }
    }

    fn file<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        sparse: bool,
        place: &Place<'_>,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        // Most files are new: what stands in the way is looked for when it is met.
        let (made, ours) = match create(place, attributes) {
            (Err(Errno::EXIST), _) => {
                self.clear(place, false)?;
                create(place, attributes)
            }
            other => other,
        };
        let mut file = File::from(made.map_err(self.failed("open", place.path))?);
        let failed = self.failed("write", place.path);
        let copied = copy(entry, &mut file, sparse, &mut self.buffer);
        copied.map_err(|error| match error {
            CopyError::Read(error) => Error::Broken(error),
            CopyError::Write(error) => failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
        })?;
        if !(ours && is_dressed(file.as_fd(), attributes)) {
            dress(file.as_fd(), attributes).map_err(self.failed("chown", place.path))?;
        }
        futimens(&file, &attributes.times()).map_err(self.failed("utimes", place.path))
    }

    fn folder(
        &mut self,
        place: &Place<'_>,
        present: bool,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        let failed = self.failed("mkdir", place.path);
        if !present {
            let made = mkdirat(place.folder.as_fd(), place.name, Mode::from_raw_mode(0o700));
            made.map_err(&failed)?;
        }
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(place.folder.as_fd(), place.name, flags, Mode::empty());
        let folder = folder.map_err(&failed)?;
        dress(folder.as_fd(), attributes).map_err(failed)?;
        self.times.push((place.path.clone(), attributes.times()));
        Ok(())
    }

    /// Links to what is in the container already: found beneath the target or through its own links, like any folder.
    fn hard_link(&mut self, target: &[u8], place: &Place<'_>) -> Result<(), Error> {
        let target = self.path(target)?;
        let (above, name) = target.split();
        let failed = self.failed("link", place.path);
        let folder = self.folders.existing(&above).map_err(&failed)?;
        match kind_at(folder.as_fd(), name).map_err(&failed)? {
            Some(FileType::RegularFile | FileType::Symlink | FileType::Fifo) => {}
            Some(_) => return Err(refused(place.path, "it is a hard link to what is no file")),
            None => return Err(failed(Errno::NOENT)),
        }
        let to = place.folder.as_fd();
        linkat(folder.as_fd(), name, to, place.name, AtFlags::empty()).map_err(failed)
    }

    fn device<R: Read>(
        &self,
        entry: &Entry<'_, R>,
        kind: EntryType,
        place: &Place<'_>,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        let number = |found: io::Result<Option<u32>>| found.ok().flatten().unwrap_or(0);
        let header = entry.header();
        let device = (number(header.device_major()), number(header.device_minor()));
        let common = kind == EntryType::Char && COMMON.contains(&device);
        if self.options.devices == Devices::Common && !common {
            return Err(refused(
                place.path,
                "it is a device node that the container may not use",
            ));
        }
        let kind = match kind {
            EntryType::Block => FileType::BlockDevice,
            _ => FileType::CharacterDevice,
        };
        self.node(place, kind, makedev(device.0, device.1), attributes)
    }

    fn node(
        &self,
        place: &Place<'_>,
        kind: FileType,
        device: Dev,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        let mode = Mode::from_raw_mode(attributes.mode);
        let made = mknodat(place.folder.as_fd(), place.name, kind, mode, device);
        made.map_err(self.failed("mknod", place.path))?;
        self.dress_by_name(place, attributes)
    }

    /// Gives owner and time to what cannot be opened.
    fn dress_by_name(&self, place: &Place<'_>, attributes: &Attributes) -> Result<(), Error> {
        let (uid, gid) = attributes.owner();
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        chownat(place.folder.as_fd(), place.name, uid, gid, flags)
            .map_err(self.failed("lchown", place.path))?;
        utimensat(place.folder.as_fd(), place.name, &attributes.times(), flags)
            .map_err(self.failed("utimes", place.path))
    }

    /// Sets the folders' times, innermost first; one that was replaced meanwhile has none of its own any more.
    fn finish(mut self) {
        while let Some((path, times)) = self.times.pop() {
            if let Ok(folder) = self.folders.existing(&path) {
                futimens(folder.as_fd(), &times).ok();
            }
        }
    }

    fn full(&self, path: &LayerPath) -> String {
        let path = std::ffi::OsStr::from_bytes(path.as_bytes());
        self.target.join(path).to_string_lossy().into_owned()
    }

    fn failed(&self, doing: &'static str, path: &LayerPath) -> impl Fn(Errno) -> Error + use<> {
        let path = self.full(path);
        move |errno| Error::Kernel {
            doing,
            path: path.clone(),
            errno,
        }
    }
}

/// Makes a file that was not there, and tells whether it may have got its mode at once.
///
/// One that becomes somebody else's, or makes its starter mightier, is nobody's business before it is.
fn create(place: &Place<'_>, attributes: &Attributes) -> (Result<OwnedFd, Errno>, bool) {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let ours = (attributes.uid, attributes.gid) == (0, 0) && attributes.mode & !0o777 == 0;
    let mode = match ours {
        true => attributes.mode,
        false => 0o600,
    };
    let made = openat(
        place.folder.as_fd(),
        place.name,
        flags,
        Mode::from_raw_mode(mode),
    );
    (made, ours)
}

/// Reports whether a file is as wanted already: a look costs nothing, a change of owner and of mode a turn of the journal each.
fn is_dressed(file: BorrowedFd<'_>, attributes: &Attributes) -> bool {
    attributes.xattrs.is_empty()
        && fstat(file).is_ok_and(|stat| {
            (stat.st_uid, stat.st_gid) == (attributes.uid, attributes.gid)
                && stat.st_mode & 0o7777 == attributes.mode
        })
}

fn refused(path: &LayerPath, reason: &str) -> Error {
    Error::Member {
        member: String::from_utf8_lossy(path.as_bytes()).into_owned(),
        reason: reason.to_owned(),
    }
}

fn attributes<R: Read>(entry: &mut Entry<'_, R>, path: &LayerPath) -> Result<Attributes, Error> {
    Attributes::read(entry).map_err(|error| match error {
        Unreadable::Refused(reason) => refused(path, reason),
        Unreadable::Broken(error) => Error::Broken(error),
    })
}

fn link<R: Read>(entry: &Entry<'_, R>, path: &LayerPath) -> Result<Vec<u8>, Error> {
    match entry.link_name_bytes() {
        Some(target) if !target.is_empty() && !target.contains(&0) => Ok(target.into_owned()),
        _ => Err(refused(path, "it links to nothing")),
    }
}

/// What stands at a name; none when nothing does.
fn kind_at(folder: BorrowedFd<'_>, name: &[u8]) -> Result<Option<FileType>, Errno> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Removes a folder and all that is below it, by held folders only.
fn remove_all(above: BorrowedFd<'_>, name: &[u8], depth: usize) -> Result<(), Errno> {
    if depth > MAX_DEPTH {
        return Err(Errno::NAMETOOLONG);
    }
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(above, name, flags, Mode::empty())?;
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        match kind_at(folder.as_fd(), name)? {
            Some(FileType::Directory) => remove_all(folder.as_fd(), name, depth + 1)?,
            Some(_) => unlinkat(&folder, name, AtFlags::empty())?,
            None => {}
        }
    }
    unlinkat(above, name, AtFlags::REMOVEDIR)
}

/// Sets owner, mode and attributes; in this order, as a change of owner takes setuid and capabilities away.
fn dress(file: BorrowedFd<'_>, attributes: &Attributes) -> Result<(), Errno> {
    let (uid, gid) = attributes.owner();
    fchown(file, uid, gid)?;
    fchmod(file, Mode::from_raw_mode(attributes.mode))?;
    for (name, value) in &attributes.xattrs {
        if Xattr::decide(name) != Ok(Xattr::Keep) {
            continue;
        }
        match fsetxattr(file, name.as_str(), value, XattrFlags::empty()) {
            // A file system without them, as Docker takes it.
            Ok(()) | Err(Errno::NOTSUP | Errno::PERM) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
