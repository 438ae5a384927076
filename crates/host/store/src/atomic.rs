//! Replaces a file so that a reader or a crash sees the old bytes or the new ones, never a mixture.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// What a write must survive. `fsync` costs milliseconds, so it is asked for only where something would be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The death of this process: no `fsync`. For what a power cut ends anyway, such as a running container's state.
    Process,
    /// A power cut: `fsync` of the file and its folder. For what people expect to find again, such as images.
    Power,
}

/// Replaces `path` by `bytes`, mode 0600: temporary file, rename, and what `durability` adds.
///
/// # Errors
/// When the folder is missing or the disk is full; the old file then still stands.
pub fn write_atomic(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let temporary = temporary(path);
    let written = fill(&temporary, bytes, durability).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        fs::remove_file(&temporary).ok();
        return Err(error);
    }
    match (durability, path.parent()) {
        (Durability::Power, Some(folder)) => File::open(folder)?.sync_all(),
        (Durability::Power, None) | (Durability::Process, _) => Ok(()),
    }
}

/// Removes what a writer of `path` that was killed left beside it; for the start, when nobody else writes there.
pub fn discard_torn(path: &Path) {
    fs::remove_file(temporary(path)).ok();
}

/// Removes what killed writers left beside any file of a folder; for the start, as [`discard_torn`].
pub fn discard_all_torn(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_torn = |name: &[u8]| name.starts_with(b".") && name.ends_with(b".new");
    for entry in entries.filter(|entry| is_torn(entry.file_name().as_encoded_bytes())) {
        fs::remove_file(entry.path()).ok();
    }
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

fn fill(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    match durability {
        Durability::Power => file.sync_all(),
        Durability::Process => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_replaces_the_file_and_leaves_no_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        write_atomic(&path, b"old", Durability::Power).unwrap();
        write_atomic(&path, b"new", Durability::Process).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_writer_left_is_discarded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        fill(&temporary(&path), b"half", Durability::Process).unwrap();
        discard_torn(&path);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            write_atomic(&folder.path().join("none/record"), b"", Durability::Process).is_err()
        );
    }
}
