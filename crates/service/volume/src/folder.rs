//! A volume's folder: `NAME/volume.json` beside `NAME/_data`, made and removed so that a crash leaves nothing half.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use hakone_store::Durability;
use tracing::{error, warn};

use crate::{Error, Record, table::Table};

/// The folder of a volume's files inside its own.
pub(crate) const FILES: &str = "_data";
/// The record beside it.
const RECORD: &str = "volume.json";
/// What folders that are being deleted are called: no volume's name begins like this.
const GONE: &str = ".gone-";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Reads all volumes under `root`; what a crash left is removed, an unreadable one is reported and left alone.
pub(crate) fn load(root: &Path) -> Result<Table, Error> {
    let mut table = Table::default();
    for folder in fs::read_dir(root).map_err(Error::host("read", root))? {
        let folder = folder.map_err(Error::host("read", root))?.path();
        if !folder.join(RECORD).exists() {
            warn!(path = %folder.display(), "a half-made volume is removed");
            discard(&folder).ok();
            continue;
        }
        match hakone_store::load::<Record>(&folder.join(RECORD)) {
            Ok(record) => table.insert(record),
            Err(error) => error!(error = %error, "an unreadable volume is left alone"),
        }
    }
    Ok(table)
}

/// Writes a volume's record.
pub(crate) fn save(folder: &Path, record: &Record) -> Result<(), Error> {
    // Process, not Power: the files people put into a volume are not synced by us either.
    Ok(hakone_store::save(
        &folder.join(RECORD),
        record,
        Durability::Process,
    )?)
}

/// Makes a folder that only its owner lists.
pub(crate) fn make(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o711).create(path);
    made.map_err(Error::host("make", path))
}

/// Makes the files' own folder, which is open to all, as in Docker; its parent is not.
pub(crate) fn make_files(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o755).create(path);
    made.map_err(Error::host("make", path))
}

/// Takes a volume's folder out of the way in no time, the record first: what is left of it after a crash is then nobody's.
/// Gives the folder that is yet to be deleted.
pub(crate) fn set_aside(folder: &Path) -> io::Result<PathBuf> {
    free(folder)?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let aside = folder.with_file_name(format!("{GONE}{}-{number}", std::process::id()));
    fs::rename(folder, &aside)?;
    Ok(aside)
}

/// Removes a volume's folder with all that is in it.
pub(crate) fn discard(folder: &Path) -> io::Result<()> {
    free(folder)?;
    hakone_mount::remove_tree(folder)
}

/// Takes mount and record away.
fn free(folder: &Path) -> io::Result<()> {
    let files = folder.join(FILES);
    crate::mount::detach(&files).ok();
    if crate::mount::is_mounted(&files) {
        // What is mounted there is somebody's: nothing below it may be removed.
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    match fs::remove_file(folder.join(RECORD)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Reports whether nothing is in a folder.
pub(crate) fn is_empty(path: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(path)?.next().is_none())
}

/// Adds up the bytes of the files below a folder, without following links.
pub(crate) fn size(path: &Path) -> u64 {
    let mut total = 0;
    let mut open = vec![path.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => open.push(entry.path()),
                Ok(metadata) => total += metadata.len(),
                Err(_) => (),
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crash_leaves_of_a_removal_is_removed_at_the_next_start() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("v");
        make_files(&folder.join(FILES)).unwrap();
        let aside = set_aside(&folder).unwrap();
        assert!(aside.join(FILES).exists() && !folder.exists());
        assert_eq!(load(root.path()).unwrap().entries().count(), 0);
        assert!(!aside.exists());
    }
}
