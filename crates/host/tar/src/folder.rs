//! The folders that members go to: opened beneath one folder, never through a link unless the owner of the tree says how.

use std::{
    collections::HashMap,
    fmt,
    os::fd::{AsFd as _, OwnedFd},
    rc::Rc,
};

use hakone_image_model::LayerPath;
use rustix::{
    fs::{Mode, OFlags, ResolveFlags, mkdirat, openat2},
    io::Errno,
};

/// Folders kept open: tars come folder by folder, so the last ones are the next ones.
const KEPT: usize = 64;

/// Opens a folder that a link is on the way to.
type Follow<'a> = Box<dyn Fn(&LayerPath) -> Result<OwnedFd, Errno> + 'a>;

/// Opens and makes folders beneath one root.
pub struct Folders<'a> {
    root: Rc<OwnedFd>,
    open: HashMap<LayerPath, Rc<OwnedFd>>,
    follow: Option<Follow<'a>>,
}

impl fmt::Debug for Folders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folders")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl<'a> Folders<'a> {
    /// Stays beneath `root` and refuses every link on the way.
    #[must_use]
    pub fn beneath(root: OwnedFd) -> Self {
        Self {
            root: Rc::new(root),
            open: HashMap::new(),
            follow: None,
        }
    }

    /// As [`Self::beneath`], but asks `follow` for a folder that a link is on the way to.
    #[must_use]
    pub fn following(
        root: OwnedFd,
        follow: impl Fn(&LayerPath) -> Result<OwnedFd, Errno> + 'a,
    ) -> Self {
        Self {
            follow: Some(Box::new(follow)),
            ..Self::beneath(root)
        }
    }

    /// Opens a folder, making it and those above it where they are missing.
    ///
    /// # Errors
    /// `LOOP` when a link is on the way and not followed, `NOTDIR` when something else is.
    pub fn ensure(&mut self, path: &LayerPath) -> Result<Rc<OwnedFd>, Errno> {
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
        let folder = Rc::new(folder?);
        self.keep(path, &folder);
        Ok(folder)
    }

    /// Opens a folder that must exist.
    ///
    /// # Errors
    /// As [`Self::ensure`], and `NOENT`.
    pub fn existing(&self, path: &LayerPath) -> Result<Rc<OwnedFd>, Errno> {
        match (path.is_root(), self.open.get(path)) {
            (true, _) => Ok(Rc::clone(&self.root)),
            (false, Some(folder)) => Ok(Rc::clone(folder)),
            (false, None) => Ok(Rc::new(self.lookup(path)?)),
        }
    }

    /// Forgets open folders: one of them was replaced.
    pub fn forget(&mut self) {
        self.open.clear();
    }

    fn make(&mut self, path: &LayerPath) -> Result<(), Errno> {
        let (above, name) = path.split();
        let above = self.ensure(&above)?;
        match mkdirat(above.as_fd(), name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn lookup(&self, path: &LayerPath) -> Result<OwnedFd, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let found = loop {
            let found = openat2(
                self.root.as_fd(),
                path.as_bytes(),
                flags,
                Mode::empty(),
                resolve,
            );
            // The kernel doubts a lookup while something on the host is renamed.
            if !matches!(found, Err(Errno::AGAIN | Errno::INTR)) {
                break found;
            }
        };
        match (found, &self.follow) {
            (Err(Errno::LOOP), Some(follow)) => follow(path),
            (found, _) => found,
        }
    }

    fn keep(&mut self, path: &LayerPath, folder: &Rc<OwnedFd>) {
        if self.open.len() >= KEPT {
            self.open.clear();
        }
        self.open.insert(path.clone(), Rc::clone(folder));
    }
}
