//! Makes files, folders, links and whiteouts in a layer's folder.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use hakone_image_model::LayerPath;
use hakone_tar::{Attributes, CopyError, Folders, copy};
use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, Timestamps, XattrFlags, chownat, fchmod, fchown,
        fsetxattr, futimens, linkat, makedev, mkdirat, mknodat, openat, statat, symlinkat,
        unlinkat, utimensat,
    },
    io::Errno,
};

use crate::Error;

/// What an overlay reads as "nothing below shows in this folder".
const OPAQUE: &str = "trusted.overlay.opaque";
/// Bytes copied at once.
const BUFFER: usize = 128 * 1024;

/// A layer's folder that is being filled.
#[derive(Debug)]
pub(super) struct Tree {
    folders: Folders<'static>,
    /// Folders' times, set at the end: every file made in a folder changes them.
    times: Vec<(LayerPath, Timestamps)>,
    buffer: Vec<u8>,
    /// Who we are: what belongs to us anyway needs no change of owner.
    owner: (u32, u32),
}

/// What stood where a member is to be made.
#[derive(PartialEq, Eq)]
enum Former {
    Nothing,
    Folder,
    Whiteout,
}

impl Tree {
    pub(super) fn open(root: &Path) -> Result<Self, Error> {
        let owner = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        let tree = Self {
            folders: Folders::beneath(open(root)?),
            times: Vec::new(),
            buffer: vec![0; BUFFER],
            owner,
        };
        Ok(tree)
    }

    pub(super) fn file(
        &mut self,
        path: &LayerPath,
        content: &mut impl Read,
        sparse: bool,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        let (folder, name) = self.place(path)?;
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let make = || openat(folder.as_fd(), name, flags, Mode::from_raw_mode(0o600));
        let file = match make() {
            Err(Errno::EXIST) => {
                self.clear(folder.as_fd(), path, name, false)?;
                make()
            }
            other => other,
        };
        let mut file = File::from(file.map_err(failed("make", path))?);
        copy(content, &mut file, sparse, &mut self.buffer).map_err(copying(path))?;
        self.dress(file.as_fd(), path, attributes)?;
        futimens(&file, &attributes.times()).map_err(failed("set the time of", path))
    }

    pub(super) fn folder(
        &mut self,
        path: &LayerPath,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        if !path.is_root() {
            let (folder, name) = self.place(path)?;
            match mkdirat(folder.as_fd(), name, Mode::from_raw_mode(0o700)) {
                Ok(()) => {}
                Err(Errno::EXIST) => self.replace_by_folder(folder.as_fd(), path, name)?,
                Err(errno) => return Err(failed("make", path)(errno)),
            }
        }
        let folder = self.folders.ensure(path).map_err(reach(path))?;
        self.dress(folder.as_fd(), path, attributes)?;
        self.times.push((path.clone(), attributes.times()));
        Ok(())
    }

    pub(super) fn symlink(
        &mut self,
        path: &LayerPath,
        target: &[u8],
        attributes: &Attributes,
    ) -> Result<(), Error> {
        let (folder, name) = self.place(path)?;
        let make = || symlinkat(target, folder.as_fd(), name);
        self.make_anew(folder.as_fd(), path, name, make)?;
        self.own(folder.as_fd(), path, name, attributes)
    }

    pub(super) fn fifo(&mut self, path: &LayerPath, attributes: &Attributes) -> Result<(), Error> {
        let (folder, name) = self.place(path)?;
        let mode = Mode::from_raw_mode(attributes.mode);
        let make = || mknodat(folder.as_fd(), name, FileType::Fifo, mode, 0);
        self.make_anew(folder.as_fd(), path, name, make)?;
        self.own(folder.as_fd(), path, name, attributes)
    }

    /// Links to a file that this layer brought before; its folder is opened like any other, so no link leads out.
    pub(super) fn hard_link(&mut self, path: &LayerPath, target: &LayerPath) -> Result<(), Error> {
        let (folder, name) = self.place(path)?;
        let (target_folder, target_name) = target.split();
        let target_folder = self
            .folders
            .existing(&target_folder)
            .map_err(reach(&target_folder))?;
        let kind =
            kind_at(target_folder.as_fd(), target_name).map_err(failed("look at", target))?;
        match kind {
            None => {
                return Err(path
                    .refused("it is a hard link to nothing in this layer")
                    .into());
            }
            Some(FileType::RegularFile | FileType::Symlink | FileType::Fifo) => {}
            Some(_) => return Err(path.refused("it is a hard link to what is no file").into()),
        }
        if path == target {
            return Ok(());
        }
        let (from, to) = (target_folder.as_fd(), folder.as_fd());
        let make = || linkat(from, target_name, to, name, AtFlags::empty());
        self.make_anew(to, path, name, make)
    }

    /// Marks a name of the layers below as gone; what the layer itself has under that name stays.
    pub(super) fn whiteout(&mut self, path: &LayerPath) -> Result<(), Error> {
        let (folder, name) = self.place(path)?;
        let none = Mode::empty();
        let made = mknodat(
            folder.as_fd(),
            name,
            FileType::CharacterDevice,
            none,
            makedev(0, 0),
        );
        match made {
            Err(Errno::EXIST) => {
                let kind = kind_at(folder.as_fd(), name).map_err(failed("look at", path))?;
                match kind {
                    Some(FileType::Directory) => self.opaque(path),
                    _ => Ok(()),
                }
            }
            other => other.map_err(failed("white out", path)),
        }
    }

    /// Hides what the layers below have in this folder.
    pub(super) fn opaque(&mut self, path: &LayerPath) -> Result<(), Error> {
        let folder = self.folders.ensure(path).map_err(reach(path))?;
        fsetxattr(folder.as_fd(), OPAQUE, b"y", XattrFlags::empty())
            .map_err(failed("make opaque", path))
    }

    /// Sets the folders' times, innermost first.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        while let Some((path, times)) = self.times.pop() {
            // One that a later member replaced has no time of its own any more.
            if let Ok(folder) = self.folders.existing(&path) {
                futimens(folder.as_fd(), &times).map_err(failed("set the time of", &path))?;
            }
        }
        Ok(())
    }

    fn place<'a>(
        &mut self,
        path: &'a LayerPath,
    ) -> Result<(std::rc::Rc<OwnedFd>, &'a [u8]), Error> {
        if path.is_root() {
            return Err(path.refused("it would replace the layer's root").into());
        }
        let (above, name) = path.split();
        Ok((self.folders.ensure(&above).map_err(reach(&above))?, name))
    }

    /// Makes a member, removing what an earlier member of the same name left.
    fn make_anew(
        &mut self,
        folder: BorrowedFd<'_>,
        path: &LayerPath,
        name: &[u8],
        make: impl Fn() -> Result<(), Errno>,
    ) -> Result<(), Error> {
        let made = match make() {
            Err(Errno::EXIST) => {
                self.clear(folder, path, name, false)?;
                make()
            }
            other => other,
        };
        made.map_err(failed("make", path))
    }

    fn replace_by_folder(
        &mut self,
        folder: BorrowedFd<'_>,
        path: &LayerPath,
        name: &[u8],
    ) -> Result<(), Error> {
        let former = self.clear(folder, path, name, true)?;
        if former == Former::Folder {
            return Ok(());
        }
        mkdirat(folder, name, Mode::from_raw_mode(0o700)).map_err(failed("make", path))?;
        match former {
            Former::Whiteout => self.opaque(path),
            Former::Nothing | Former::Folder => Ok(()),
        }
    }

    /// Removes what stands in the way; a folder stays when a folder is wanted, and goes only when it is empty.
    fn clear(
        &mut self,
        folder: BorrowedFd<'_>,
        path: &LayerPath,
        name: &[u8],
        keep_folder: bool,
    ) -> Result<Former, Error> {
        match kind_at(folder, name).map_err(failed("look at", path))? {
            Some(FileType::Directory) if keep_folder => Ok(Former::Folder),
            Some(FileType::Directory) => {
                self.folders.forget();
                unlinkat(folder, name, AtFlags::REMOVEDIR).map_err(|errno| match errno {
                    Errno::NOTEMPTY => path
                        .refused("it replaces a folder that is not empty")
                        .into(),
                    errno => failed("replace", path)(errno),
                })?;
                Ok(Former::Nothing)
            }
            kind => {
                unlinkat(folder, name, AtFlags::empty()).map_err(failed("replace", path))?;
                match kind {
                    Some(FileType::CharacterDevice) => Ok(Former::Whiteout),
                    _ => Ok(Former::Nothing),
                }
            }
        }
    }

    /// Sets owner, mode and attributes; in this order, as a change of owner takes setuid and capabilities away.
    fn dress(
        &self,
        file: BorrowedFd<'_>,
        path: &LayerPath,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        if (attributes.uid, attributes.gid) != self.owner {
            let (uid, gid) = attributes.owner();
            fchown(file, uid, gid).map_err(failed("give away", path))?;
        }
        fchmod(file, Mode::from_raw_mode(attributes.mode))
            .map_err(failed("set the mode of", path))?;
        for (name, value) in &attributes.xattrs {
            fsetxattr(file, name.as_str(), value, XattrFlags::empty())
                .map_err(failed("set an attribute of", path))?;
        }
        Ok(())
    }

    /// Sets owner and time of what cannot be opened.
    fn own(
        &self,
        folder: BorrowedFd<'_>,
        path: &LayerPath,
        name: &[u8],
        attributes: &Attributes,
    ) -> Result<(), Error> {
        if (attributes.uid, attributes.gid) != self.owner {
            let (uid, gid) = attributes.owner();
            chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(failed("give away", path))?;
        }
        utimensat(folder, name, &attributes.times(), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed("set the time of", path))
    }
}

fn open(root: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, root, flags, Mode::empty())
        .map_err(io::Error::from)
        .map_err(Error::disk("open", root))
}

/// Tells what stands in the way of a folder; a link is an attack, not a mistake of the disk.
fn reach(path: &LayerPath) -> impl FnOnce(Errno) -> Error {
    move |errno| match errno {
        Errno::LOOP => path.refused("its folder is a symbolic link").into(),
        Errno::NOTDIR => path.refused("its folder is not a folder").into(),
        Errno::NOENT => path.refused("its folder is missing in the layer").into(),
        errno => failed("reach", path)(errno),
    }
}

fn kind_at(folder: BorrowedFd<'_>, name: &[u8]) -> Result<Option<FileType>, Errno> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn failed(doing: &'static str, path: &LayerPath) -> impl FnOnce(Errno) -> Error {
    move |errno| Error::Write {
        doing,
        member: super::name(path),
        source: errno.into(),
    }
}

fn copying(path: &LayerPath) -> impl FnOnce(CopyError) -> Error {
    move |error| match error {
        CopyError::Read(error) => Error::Layer(error),
        CopyError::Write(source) => Error::Write {
            doing: "write",
            member: super::name(path),
            source,
        },
    }
}
