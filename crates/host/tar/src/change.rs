//! What a container changed in its image: its writable layer beside the layers below.
//!
//! The rules are those of Docker: a folder counts as changed when it differs itself, or when something came or went in it.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use hakone_mount::names;
use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fgetxattr, openat, openat2,
        statat,
    },
    io::Errno,
};

use crate::Error;

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// What an overlay reads as "nothing below shows in this folder".
const OPAQUE: &str = "trusted.overlay.opaque";
/// Longer paths are no paths.
const MAX_PATH: usize = 4095;

/// What became of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It differs.
    Modified,
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The path, from the root.
    pub path: Vec<u8>,
    /// What became of it.
    pub kind: ChangeKind,
}

/// Compares a writable layer with those below it, lowest first; paths for which `ours` says so are the engine's own.
///
/// # Errors
/// When a layer cannot be read.
pub fn changes(
    upper: &Path,
    layers: &[PathBuf],
    ours: impl Fn(&[u8]) -> bool,
) -> Result<Vec<Change>, Error> {
    let open = |path: &PathBuf| {
        openat(CWD, path, FOLDER, Mode::empty())
            .map_err(Error::kernel("open", path.as_os_str().as_encoded_bytes()))
    };
    // A container that never ran has no layer of its own yet.
    let Ok(root) = openat(CWD, upper, FOLDER, Mode::empty()) else {
        return Ok(Vec::new());
    };
    let mut walk = Walk {
        layers: layers.iter().map(open).collect::<Result<_, _>>()?,
        ours: &ours,
        found: Vec::new(),
    };
    walk.tree(root)?;
    Ok(walk.found)
}

/// A folder of the writable layer on the way down: a container makes them deeper than the stack.
struct Level {
    folder: OwnedFd,
    names: std::vec::IntoIter<Vec<u8>>,
    path: Vec<u8>,
    /// Whether nothing of the layers below shows in it.
    hidden: bool,
    seen: Seen,
    /// What is to be said of the folder itself, once it was walked; nothing of the root.
    own: Option<Own>,
}

/// A folder itself, and what stood at its place.
struct Own {
    /// Where it belongs among the changes: before what is in it.
    place: usize,
    former: Option<Stat>,
    stat: Stat,
}

struct Walk<'a> {
    layers: Vec<OwnedFd>,
    ours: &'a dyn Fn(&[u8]) -> bool,
    found: Vec<Change>,
}

impl Walk<'_> {
    fn tree(&mut self, root: OwnedFd) -> Result<(), Error> {
        let mut way = vec![Level::of(root, Vec::new(), false, None)?];
        while let Some(level) = way.last_mut() {
            if let Some(name) = level.names.next() {
                let below = self.entry(level, &name)?;
                way.extend(below);
                continue;
            }
            let walked = way.pop();
            if let (Some(walked), Some(above)) = (walked, way.last_mut()) {
                self.leave(walked, &mut above.seen);
            }
        }
        Ok(())
    }

    /// Judges an entry of a folder; gives the folder that it is, to go on with.
    fn entry(&mut self, level: &mut Level, name: &[u8]) -> Result<Option<Level>, Error> {
        let path = [&level.path, b"/".as_slice(), name].concat();
        if path.len() > MAX_PATH {
            return Ok(None);
        }
        if (self.ours)(&path) {
            level.seen.ours = true;
            return Ok(None);
        }
        let Ok(stat) = statat(&level.folder, name, AtFlags::SYMLINK_NOFOLLOW) else {
            return Ok(None);
        };
        let former = match level.hidden {
            true => None,
            false => self.former(&path),
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            self.plain(path, &stat, former.is_some(), &mut level.seen);
            return Ok(None);
        }
        let folder = openat(&level.folder, name, FOLDER, Mode::empty());
        let folder = folder.map_err(Error::kernel("open", &path))?;
        let hidden = level.hidden || is_opaque(&folder);
        let own = Own {
            place: self.found.len(),
            former,
            stat,
        };
        Level::of(folder, path, hidden, Some(own)).map(Some)
    }

    fn plain(&mut self, path: Vec<u8>, stat: &Stat, was_there: bool, seen: &mut Seen) {
        let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
        if is_device && stat.st_rdev == 0 {
            seen.moved = true;
            return self.add(path, ChangeKind::Deleted);
        }
        let change = match was_there {
            false => ChangeKind::Added,
            true => ChangeKind::Modified,
        };
        seen.moved |= change == ChangeKind::Added;
        seen.changed = true;
        self.add(path, change);
    }

    /// Says of a folder that was walked whether it changed itself.
    fn leave(&mut self, walked: Level, above: &mut Seen) {
        let Some(Own {
            place,
            former,
            stat,
        }) = walked.own
        else {
            return;
        };
        let change = match former {
            None => Some(ChangeKind::Added),
            Some(former) => {
                folder_changed(&former, &stat, &walked.seen).then_some(ChangeKind::Modified)
            }
        };
        above.moved |= change == Some(ChangeKind::Added);
        above.changed |= change.is_some();
        if let Some(kind) = change {
            let path = walked.path;
            self.found.insert(place, Change { path, kind });
        }
    }

    /// What the layers below have at a path, the uppermost first; nothing behind a whiteout or an opaque folder.
    fn former(&self, path: &[u8]) -> Option<Stat> {
        let inner = path.strip_prefix(b"/")?;
        for layer in self.layers.iter().rev() {
            match lookup(layer, inner) {
                Found::Here(stat) => return Some(stat),
                Found::Hidden => return None,
                Found::Below => {}
            }
        }
        None
    }

    fn add(&mut self, path: Vec<u8>, kind: ChangeKind) {
        self.found.push(Change { path, kind });
    }
}

impl Level {
    fn of(folder: OwnedFd, path: Vec<u8>, hidden: bool, own: Option<Own>) -> Result<Self, Error> {
        let names = names(&folder).map_err(Error::kernel("read", &path))?;
        Ok(Self {
            names: names.into_iter(),
            folder,
            path,
            hidden,
            seen: Seen::default(),
            own,
        })
    }
}

/// What a folder's walk came by.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Something came or went.
    moved: bool,
    /// Something is other than below.
    changed: bool,
    /// The engine itself made something.
    ours: bool,
}

enum Found {
    Here(Stat),
    /// This layer says that nothing is there.
    Hidden,
    /// It says nothing.
    Below,
}

fn lookup(layer: &OwnedFd, path: &[u8]) -> Found {
    let mut at = 0;
    loop {
        let end = path
            .iter()
            .skip(at)
            .position(|byte| *byte == b'/')
            .map(|length| at + length);
        let part = path.get(..end.unwrap_or(path.len())).unwrap_or_default();
        let (found, last) = (stat_beneath(layer, part), end.is_none());
        let Ok(stat) = found else {
            return Found::Below;
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        match (kind, last) {
            (FileType::CharacterDevice, _) if stat.st_rdev == 0 => return Found::Hidden,
            (_, true) => return Found::Here(stat),
            (FileType::Directory, false) => {}
            _ => return Found::Hidden,
        }
        // Whatever the layers below have in an opaque folder does not show.
        if opaque_beneath(layer, part) && stat_beneath(layer, path).is_err() {
            return Found::Hidden;
        }
        at = end.unwrap_or(path.len()) + 1;
    }
}

pub(crate) fn open_beneath(layer: &OwnedFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(layer, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

fn stat_beneath(layer: &OwnedFd, path: &[u8]) -> Result<Stat, Errno> {
    let (folder, name) = match path.iter().rposition(|byte| *byte == b'/') {
        None => return statat(layer, path, AtFlags::SYMLINK_NOFOLLOW),
        Some(at) => path.split_at(at),
    };
    let folder = open_beneath(layer, folder, OFlags::PATH | OFlags::DIRECTORY)?;
    let name = name.strip_prefix(b"/").unwrap_or(name);
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
}

fn opaque_beneath(layer: &OwnedFd, path: &[u8]) -> bool {
    open_beneath(layer, path, OFlags::RDONLY | OFlags::DIRECTORY)
        .is_ok_and(|folder| is_opaque(&folder))
}

pub(crate) fn is_opaque(folder: &OwnedFd) -> bool {
    let mut value = [0; 1];
    matches!(fgetxattr(folder, OPAQUE, &mut value), Ok(1) if value == *b"y")
}

/// A folder that is there above and below: it changed when it is other than it was. When we made something in it, its
/// time says nothing, and what else came or went does.
fn folder_changed(former: &Stat, stat: &Stat, below: &Seen) -> bool {
    let time = (former.st_mtime, former.st_mtime_nsec) != (stat.st_mtime, stat.st_mtime_nsec);
    let owner = (former.st_uid, former.st_gid) != (stat.st_uid, stat.st_gid);
    former.st_mode != stat.st_mode || owner || below.moved || (time && !below.ours)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn lab(folders: &[&str], files: &[&str]) -> tempfile::TempDir {
        let lab = tempfile::tempdir().unwrap();
        for name in folders {
            fs::create_dir_all(lab.path().join(name)).unwrap();
        }
        for name in files {
            fs::File::create(lab.path().join(name)).unwrap();
        }
        lab
    }

    fn told(lab: &tempfile::TempDir) -> Vec<String> {
        let layers = ["low", "high"].map(|name| lab.path().join(name));
        let found = changes(&lab.path().join("upper"), &layers, |path| {
            path == b"/etc/hosts"
        });
        let letter = |kind| match kind {
            ChangeKind::Modified => 'C',
            ChangeKind::Added => 'A',
            ChangeKind::Deleted => 'D',
        };
        let line = |one: &Change| {
            format!(
                "{} {}",
                letter(one.kind),
                String::from_utf8_lossy(&one.path)
            )
        };
        found.unwrap().iter().map(line).collect()
    }

    #[test]
    fn what_came_and_changed_is_told_with_its_folders_first() {
        let lab = lab(
            &["low/etc", "high", "upper/etc", "upper/new"],
            &[
                "low/etc/passwd",
                "upper/etc/passwd",
                "upper/etc/shadow",
                "upper/new/f",
            ],
        );
        assert_eq!(
            told(&lab),
            [
                "C /etc",
                "C /etc/passwd",
                "A /etc/shadow",
                "A /new",
                "A /new/f"
            ]
        );
    }

    #[test]
    fn what_the_engine_made_is_not_told() {
        let lab = lab(&["low/etc", "high", "upper/etc"], &["upper/etc/hosts"]);
        assert_eq!(told(&lab), [""; 0]);
    }

    #[test]
    fn a_layer_above_counts_before_one_below() {
        let lab = lab(&["low", "high/a", "upper"], &["low/a", "upper/a"]);
        assert_eq!(told(&lab), ["C /a"]);
    }
}
