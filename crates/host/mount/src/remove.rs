//! Removes a folder with all that it holds, however deep a container made it.
//!
//! The usual way calls itself, and holds a descriptor, for every folder in a folder: ten thousand of them, which no program in a
//! container needs a right for, end the daemon by its own stack (attack `deep_tree`). Here what lies deeper than a few levels is moved up
//! and is the next to be removed, so neither stack nor descriptors nor paths grow with the tree.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, Mode, OFlags, openat, renameat, unlinkat},
    io::Errno,
};

/// How many folders within folders are removed where they are.
const DEPTH: usize = 32;
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Removes a folder and all that is below it; links are removed and not followed.
///
/// # Errors
/// When it is no folder, or something in it cannot be removed.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let top = openat(CWD, path, FOLDER, Mode::empty())?;
    let mut clearing = Clearing {
        top: top.as_fd(),
        moved: 0,
    };
    clearing.folder(top.as_fd(), 0)?;
    let mut cleared = 0;
    while cleared < clearing.moved {
        clearing.again(&place(cleared))?;
        cleared += 1;
    }
    Ok(unlinkat(CWD, path, AtFlags::REMOVEDIR)?)
}

struct Clearing<'a> {
    top: BorrowedFd<'a>,
    /// How many places were used for what lay too deep.
    moved: u64,
}

impl Clearing<'_> {
    fn folder(&mut self, folder: BorrowedFd<'_>, depth: usize) -> Result<(), Errno> {
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                self.entry(folder, name, depth)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, above: BorrowedFd<'_>, name: &[u8], depth: usize) -> Result<(), Errno> {
        match gone(unlinkat(above, name, AtFlags::empty())) {
            // A folder, as Linux says it and as POSIX does.
            Err(Errno::ISDIR | Errno::PERM) => {}
            done => return done,
        }
        match gone(unlinkat(above, name, AtFlags::REMOVEDIR)) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            done => return done,
        }
        if depth == DEPTH {
            return self.move_up(above, name);
        }
        let folder = openat(above, name, FOLDER, Mode::empty())?;
        self.folder(folder.as_fd(), depth + 1)?;
        gone(unlinkat(above, name, AtFlags::REMOVEDIR))
    }

    /// A place that is taken is that of something which is to be removed, too.
    fn move_up(&mut self, above: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
        loop {
            let place = place(self.moved);
            self.moved += 1;
            match renameat(above, name, self.top, place.as_str()) {
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                done => return done,
            }
        }
    }

    /// Removes what was moved up, unless it was met on the way.
    fn again(&mut self, name: &str) -> Result<(), Errno> {
        let folder: OwnedFd = match openat(self.top, name, FOLDER, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(()),
            opened => opened?,
        };
        self.folder(folder.as_fd(), 0)?;
        drop(folder);
        gone(unlinkat(self.top, name, AtFlags::REMOVEDIR))
    }
}

fn place(number: u64) -> String {
    format!(".removed-{number}")
}

fn gone(done: Result<(), Errno>) -> Result<(), Errno> {
    match done {
        Err(Errno::NOENT) => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use rustix::fs::mkdirat;

    use super::*;

    fn deepen(path: &Path, levels: u32) {
        let mut at = openat(CWD, path, FOLDER, Mode::empty()).unwrap();
        for _ in 0..levels {
            mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = openat(&at, "d", FOLDER, Mode::empty()).unwrap();
        }
        symlink("/etc", format!("/proc/self/fd/{}/link", raw(&at))).unwrap();
    }

    fn raw(folder: &OwnedFd) -> i32 {
        std::os::fd::AsRawFd::as_raw_fd(folder)
    }

    /// In memory, for a disk takes a block for each folder.
    fn root() -> tempfile::TempDir {
        tempfile::tempdir_in("/dev/shm").unwrap()
    }

    #[test]
    fn a_tree_of_any_depth_is_removed() {
        let root = root();
        let tree = root.path().join("tree");
        fs::create_dir(&tree).unwrap();
        deepen(&tree, 20_000);
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && Path::new("/etc").exists());
    }

    #[test]
    fn names_of_places_are_no_obstacle() {
        let root = root();
        let tree = root.path().join("tree");
        for branch in [".removed-1", ".removed-2/full", "other", "third"] {
            fs::create_dir_all(tree.join(branch)).unwrap();
            deepen(&tree.join(branch), 100);
        }
        drop(fs::File::create(tree.join(".removed-0")).unwrap());
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }

    #[test]
    fn what_is_no_folder_is_refused() {
        let root = root();
        symlink("/etc", root.path().join("link")).unwrap();
        assert!(remove_tree(&root.path().join("link")).is_err());
        let missing = remove_tree(&root.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
