//! What a path inside a container names: the answer to `HEAD …/archive`.

use std::{
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Component, Path, PathBuf},
};

use hakone_mount::Root;
use rustix::{
    fs::{AtFlags, FileType, OFlags, Stat, fstat, readlinkat, statat},
    io::Errno,
};

use crate::Error;

/// Links followed at most, as the kernel does.
const MOST_LINKS: usize = 40;

/// What a path names.
#[derive(Debug)]
pub struct Status {
    /// The folder that holds it; the folder itself, when the path ends in a slash or dot.
    pub folder: OwnedFd,
    /// Its name there; empty for the folder itself.
    pub name: Vec<u8>,
    /// What the kernel says of it; of a link, not of what it leads to.
    pub stat: Stat,
    /// Where a chain of links leads in the end, there or not; empty for anything else.
    pub target: PathBuf,
}

impl Status {
    /// Tells what it is.
    #[must_use]
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

/// Looks at what `path` names inside the root, as `lstat` would: a final link counts itself, unless a slash follows.
///
/// # Errors
/// When it names nothing.
pub fn status(root: &Root, path: &Path) -> Result<Status, Error> {
    let text = path.as_os_str().as_bytes();
    let failed = Error::kernel("lstat", text);
    let (folder, name) = split(path);
    let folder = match name.is_empty() {
        true => open(root, path),
        false => open(root, &folder),
    };
    let folder = folder.map_err(&failed)?;
    let stat = match name.as_slice() {
        b"" => fstat(&folder),
        name => statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW),
    };
    let stat = stat.map_err(&failed)?;
    let link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
    let target = match link {
        true => follow(root, path).map_err(&failed)?,
        false => PathBuf::new(),
    };
    Ok(Status {
        folder,
        name,
        stat,
        target,
    })
}

/// Opens a folder inside the root.
pub(crate) fn open(root: &Root, path: &Path) -> Result<OwnedFd, Errno> {
    root.open_in(path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Splits off the last name; a path that ends in a slash or dot, and the root, have none.
fn split(path: &Path) -> (PathBuf, Vec<u8>) {
    let text = path.as_os_str().as_bytes();
    let folder = text.ends_with(b"/") || text.ends_with(b"/.") || text == b".";
    match path.components().next_back() {
        Some(Component::Normal(name)) if !folder => {
            let above = path.parent().unwrap_or(Path::new("/"));
            (Path::new("/").join(above), name.as_bytes().to_vec())
        }
        _ => (path.into(), Vec::new()),
    }
}

/// Follows links at the end of a path by their text, as far as they lead.
fn follow(root: &Root, path: &Path) -> Result<PathBuf, Errno> {
    let mut at = plain(path);
    for _ in 0..MOST_LINKS {
        let (Some(above), Some(name)) = (at.parent(), at.file_name()) else {
            return Ok(at);
        };
        let text = match open(root, above).and_then(|folder| readlinkat(folder, name, Vec::new())) {
            Ok(text) => text,
            Err(Errno::INVAL | Errno::NOENT | Errno::NOTDIR) => return Ok(at),
            Err(errno) => return Err(errno),
        };
        at = plain(&above.join(std::ffi::OsStr::from_bytes(text.to_bytes())));
    }
    Err(Errno::LOOP)
}

/// Takes dots out of a path, which starts at the root.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let mut found = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => found.push(name),
            Component::ParentDir => drop(found.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn lab() -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        fs::File::create(folder.path().join("etc/passwd")).unwrap();
        symlink("/etc", folder.path().join("lnk")).unwrap();
        symlink("nothing", folder.path().join("dang")).unwrap();
        symlink("/dang", folder.path().join("dang2")).unwrap();
        symlink("../../../../../../etc", folder.path().join("up")).unwrap();
        let root = Root::open(folder.path()).unwrap();
        (folder, root)
    }

    fn target(root: &Root, path: &str) -> PathBuf {
        status(root, Path::new(path)).unwrap().target
    }

    #[test]
    fn a_link_counts_itself_and_tells_where_its_chain_ends() {
        let (_folder, root) = lab();
        assert_eq!(target(&root, "/lnk"), Path::new("/etc"));
        assert_eq!(target(&root, "/dang2"), Path::new("/nothing"));
        assert_eq!(target(&root, "up"), Path::new("/etc"));
        assert_eq!(
            status(&root, Path::new("/lnk")).unwrap().kind(),
            FileType::Symlink
        );
    }

    #[test]
    fn a_slash_or_dot_after_a_link_means_what_it_leads_to() {
        let (_folder, root) = lab();
        for path in ["/lnk/", "/lnk/.", "/", ".", "../../etc"] {
            let found = status(&root, Path::new(path)).unwrap();
            assert_eq!(found.kind(), FileType::Directory, "{path}");
        }
        let error = status(&root, Path::new("/etc/passwd/")).unwrap_err();
        assert_eq!(error.to_string(), "lstat /etc/passwd/: not a directory");
        assert!(status(&root, Path::new("/dang/")).unwrap_err().is_missing());
    }

    #[test]
    fn a_link_to_the_outside_is_looked_up_inside() {
        let (folder, root) = lab();
        let outside = tempfile::tempdir().unwrap();
        fs::File::create(outside.path().join("secret")).unwrap();
        symlink(outside.path(), folder.path().join("out")).unwrap();
        let error = status(&root, Path::new("/out/secret")).unwrap_err();
        assert!(error.is_missing());
    }
}
