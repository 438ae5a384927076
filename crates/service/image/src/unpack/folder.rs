//! The folders of a layer that is being unpacked: opened beneath its root, never through a link.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    rc::Rc,
};

use hakone_image_model::LayerPath;
use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2},
    io::Errno,
};

use crate::Error;

/// Folders kept open: tars come folder by folder, so the last ones are the next ones.
const KEPT: usize = 64;

/// Opens and makes folders beneath one root.
#[derive(Debug)]
pub(super) struct Folders {
    root: Rc<OwnedFd>,
    open: HashMap<LayerPath, Rc<OwnedFd>>,
}

impl Folders {
    pub(super) fn open(root: &Path) -> Result<Self, Error> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root_fd = openat(CWD, root, flags, Mode::empty())
            .map_err(io::Error::from)
            .map_err(Error::disk("open", root))?;
        Ok(Self {
            root: Rc::new(root_fd),
            open: HashMap::new(),
        })
    }

    /// Opens a folder, making it and those above it where they are missing.
    pub(super) fn ensure(&mut self, path: &LayerPath) -> Result<Rc<OwnedFd>, Error> {
        if path.is_root() {
            return Ok(Rc::clone(&self.root));
        }
        if let Some(folder) = self.open.get(path) {
            return Ok(Rc::clone(folder));
        }
        let folder = match self.lookup(path) {
            Err(Errno::NOENT) => {
                self.make(path)?;
                self.lookup(path)
            }
            other => other,
        };
        let folder = Rc::new(folder.map_err(|errno| refusal(path, errno))?);
        self.keep(path, &folder);
        Ok(folder)
    }

    /// Opens a folder that must exist.
    pub(super) fn existing(&self, path: &LayerPath) -> Result<Rc<OwnedFd>, Error> {
        match (path.is_root(), self.open.get(path)) {
            (true, _) => Ok(Rc::clone(&self.root)),
            (false, Some(folder)) => Ok(Rc::clone(folder)),
            (false, None) => {
                let folder = self.lookup(path).map_err(|errno| refusal(path, errno))?;
                Ok(Rc::new(folder))
            }
        }
    }

    /// Forgets open folders: one of them was replaced.
    pub(super) fn forget(&mut self) {
        self.open.clear();
    }

    fn make(&mut self, path: &LayerPath) -> Result<(), Error> {
        let (above, name) = path.split();
        let above = self.ensure(&above)?;
        match mkdirat(above.as_fd(), name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(refusal(path, errno)),
        }
    }

    fn lookup(&self, path: &LayerPath) -> Result<OwnedFd, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        openat2(
            self.root.as_fd(),
            path.as_bytes(),
            flags,
            Mode::empty(),
            resolve,
        )
    }

    fn keep(&mut self, path: &LayerPath, folder: &Rc<OwnedFd>) {
        if self.open.len() >= KEPT {
            self.open.clear();
        }
        self.open.insert(path.clone(), Rc::clone(folder));
    }
}

/// Tells what stands in the way; a link is an attack, not a mistake of the disk.
pub(super) fn refusal(path: &LayerPath, errno: Errno) -> Error {
    match errno {
        Errno::LOOP => path.refused("its folder is a symbolic link").into(),
        Errno::NOTDIR => path.refused("its folder is not a folder").into(),
        Errno::NOENT => path.refused("its folder is missing in the layer").into(),
        errno => Error::Write {
            doing: "reach",
            member: super::name(path),
            source: errno.into(),
        },
    }
}
