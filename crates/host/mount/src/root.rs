//! The root folder of a container, and paths that are followed inside it and never out of it.
//!
//! The kernel itself keeps a lookup inside (`openat2` with `RESOLVE_IN_ROOT`): absolute links and `..` end at
//! the root, links of `/proc` that lead anywhere are refused. What comes out is a descriptor, and all later
//! steps use that.

use std::{
    ffi::{OsStr, OsString},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{
        CWD, Mode, OFlags, ResolveFlags, fstat, fstatfs, mkdirat, open, openat, openat2, readlinkat,
    },
    io::Errno,
};

use crate::Error;

const PROC_SUPER_MAGIC: i64 = 0x9fa0;
const MOST_LINKS: u32 = 40;

/// What a mount target should be, when it has to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Folder,
    File,
}

/// The open root folder of a container.
#[derive(Debug)]
pub struct Root {
    descriptor: OwnedFd,
    path: PathBuf,
}

impl Root {
    /// Opens the root folder at `path`.
    ///
    /// # Errors
    /// When it is no folder.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor =
            open(path, flags, Mode::empty()).map_err(Error::step("open root", path))?;
        Ok(Self {
            descriptor,
            path: path.into(),
        })
    }

    /// Takes a folder that is open already, wherever it is mounted.
    #[must_use]
    pub fn held(descriptor: OwnedFd, path: &Path) -> Self {
        Self {
            descriptor,
            path: path.into(),
        }
    }

    /// Where the root was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `path` names inside the root; links are followed inside the root.
    ///
    /// # Errors
    /// `NOENT` when it names nothing.
    pub fn resolve(&self, path: &Path) -> Result<OwnedFd, Error> {
        self.lookup(path, OFlags::PATH, ResolveFlags::empty())
            .map_err(Error::step("resolve", path))
    }

    /// What `path` names, refusing every symbolic link on the way.
    ///
    /// # Errors
    /// `LOOP` when a part of it is a link.
    pub fn resolve_plain(&self, path: &Path) -> Result<OwnedFd, Error> {
        self.lookup(path, OFlags::PATH, ResolveFlags::NO_SYMLINKS)
            .map_err(Error::step("resolve", path))
    }

    /// Opens a regular file inside the root for reading; devices and pipes are refused without waiting for them.
    ///
    /// # Errors
    /// `NOENT` when it is missing, `INVAL` when it is no regular file.
    pub fn read_file(&self, path: &Path) -> Result<OwnedFd, Error> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let open = || {
            let file = self.lookup(path, flags, ResolveFlags::empty())?;
            let kind = rustix::fs::FileType::from_raw_mode(fstat(&file)?.st_mode);
            match kind {
                rustix::fs::FileType::RegularFile => Ok(file),
                _other => Err(Errno::INVAL),
            }
        };
        open().map_err(Error::step("open", path))
    }

    /// Opens `path` inside the root, for whoever looks into a container from outside; links are followed inside the root.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open_in(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.lookup(path, flags, ResolveFlags::empty())
    }

    /// Opens `path` inside the root without following any symbolic link.
    ///
    /// # Errors
    /// `LOOP` when a part of it is a link.
    pub fn open_plain(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Error> {
        self.lookup(path, flags, ResolveFlags::NO_SYMLINKS)
            .map_err(Error::step("open", path))
    }

    /// The folder at `path`, made with all missing folders above it.
    ///
    /// # Errors
    /// When something else is there or the root is read-only.
    pub fn ensure_folder(&self, path: &Path) -> Result<OwnedFd, Error> {
        self.ensure(path, Kind::Folder, 0)
    }

    /// The file at `path`, made empty with all missing folders above it.
    ///
    /// # Errors
    /// When the root is read-only.
    pub fn ensure_file(&self, path: &Path) -> Result<OwnedFd, Error> {
        self.ensure(path, Kind::File, 0)
    }

    /// Reports whether `target` lies on a proc file system.
    ///
    /// # Errors
    /// When the kernel cannot tell.
    pub fn is_on_proc(target: BorrowedFd<'_>) -> Result<bool, Error> {
        let statistics =
            fstatfs(target).map_err(Error::step("statfs", Path::new("mount target")))?;
        Ok(statistics.f_type == PROC_SUPER_MAGIC)
    }

    fn lookup(&self, path: &Path, flags: OFlags, more: ResolveFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | more;
        let flags = flags | OFlags::CLOEXEC;
        loop {
            // A rename anywhere on the host may make the kernel doubt a `..`: it says AGAIN.
            match openat2(&self.descriptor, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
    }

    fn ensure(&self, path: &Path, kind: Kind, links: u32) -> Result<OwnedFd, Error> {
        match self.lookup(path, OFlags::PATH, ResolveFlags::empty()) {
            Err(Errno::NOENT) if links < MOST_LINKS => self.make(path, kind, links),
            Err(Errno::NOENT) => Err(Error::Links(path.into())),
            other => other.map_err(Error::step("resolve", path)),
        }
    }

    /// Makes the last part of `path` in its parent, which is made first.
    fn make(&self, path: &Path, kind: Kind, links: u32) -> Result<OwnedFd, Error> {
        let (parent, name) = split(path);
        let Some(name) = name else {
            return self.resolve(Path::new("/"));
        };
        let folder = self.ensure(&parent, Kind::Folder, links)?;
        let made = match kind {
            Kind::Folder => mkdirat(&folder, &name, Mode::from_raw_mode(0o755)),
            Kind::File => make_file(&folder, &name),
        };
        match made {
            Ok(()) => open_plain(&folder, &name).map_err(Error::step("open", path)),
            Err(Errno::EXIST) => self.behind_link(path, (&folder, &name), kind, links + 1),
            Err(errno) => Err(Error::step("create", path)(errno)),
        }
    }

    /// A link that points to nothing yet: what it names is made, inside the root.
    fn behind_link(
        &self,
        path: &Path,
        (folder, name): (&OwnedFd, &OsStr),
        kind: Kind,
        links: u32,
    ) -> Result<OwnedFd, Error> {
        // Links of proc are not what their text says: never taken by their word (CVE-2024-21626).
        if Self::is_on_proc(folder.as_fd())? {
            return Err(Error::InsideProc(path.into()));
        }
        match readlinkat(folder, name, Vec::new()) {
            Ok(target) => {
                use std::os::unix::ffi::OsStringExt as _;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                let (parent, _name) = split(path);
                self.ensure(&parent.join(target), kind, links)
            }
            // Made by somebody else in between: as good as ours.
            Err(Errno::INVAL) => self.ensure(path, kind, links),
            Err(errno) => Err(Error::step("read link", path)(errno)),
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Splits off the last name, after taking `.` and `..` out of the path.
fn split(path: &Path) -> (PathBuf, Option<OsString>) {
    let mut parts: Vec<&OsStr> = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => drop(parts.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    let name = parts.pop().map(OsStr::to_os_string);
    (Path::new("/").join(parts.iter().collect::<PathBuf>()), name)
}

fn make_file(folder: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::from_raw_mode(0o644)).map(drop)
}

fn open_plain(folder: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::empty())
}

/// The folder of relative host paths.
pub(crate) const HERE: BorrowedFd<'static> = CWD;

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn lab() -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        let root = Root::open(&folder.path().join("root")).unwrap();
        (folder, root)
    }

    #[test]
    fn a_link_to_the_outside_ends_inside() {
        let (folder, root) = lab();
        fs::create_dir(folder.path().join("outside")).unwrap();
        symlink(folder.path().join("outside"), root.path().join("data")).unwrap();
        root.ensure_folder(Path::new("/data/sub")).unwrap();
        assert!(!folder.path().join("outside/sub").exists());
        let inside = folder.path().strip_prefix("/").unwrap().join("outside/sub");
        assert!(root.path().join(inside).is_dir());
    }

    #[test]
    fn dots_do_not_climb_out() {
        let (folder, root) = lab();
        root.ensure_file(Path::new("/../../up/file")).unwrap();
        assert!(root.path().join("up/file").is_file());
        assert!(!folder.path().join("up").exists());
    }

    #[test]
    fn links_in_a_circle_are_an_error() {
        let (_folder, root) = lab();
        symlink("b", root.path().join("a")).unwrap();
        symlink("a", root.path().join("b")).unwrap();
        root.ensure_folder(Path::new("/a/x")).unwrap_err();
    }

    #[test]
    fn a_pipe_is_not_read_as_a_file() {
        let (_folder, root) = lab();
        let mode = Mode::from_raw_mode(0o600);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(CWD, root.path().join("passwd"), kind, mode, 0).unwrap();
        let error = root.read_file(Path::new("/passwd")).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::INVAL));
    }
}
