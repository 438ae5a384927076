//! A file that is set aside when it has grown.
//!
//! As in Docker, a file is set aside before the first entry that would follow the limit, so it may exceed it by one
//! entry; `name.1` is the newest of the old ones. With one file only, it is emptied.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use super::press::Press;

/// Entries held before a write; a chunk of output seldom grows beyond.
const BATCH: usize = 64 * 1024;
/// Memory kept between writes.
const KEPT: usize = 4 * 1024;

/// When a file is set aside, and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    /// The size in bytes; none never rotates.
    pub(super) limit: Option<u64>,
    /// How many files are kept, the newest among them.
    pub(super) files: u32,
    /// Whether older ones are compressed.
    pub(super) compress: bool,
}

/// A log file with its older ones.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    press: Press,
    file: Option<File>,
    size: u64,
    batch: Vec<u8>,
    entries: u64,
    lost: u64,
}

impl LogFile {
    /// Names the file; it is opened when the container is, so that reading its log never finds none.
    pub(super) fn new(path: PathBuf, rotation: Rotation) -> Self {
        let mut log = Self {
            path,
            rotation,
            press: Press::default(),
            file: None,
            size: 0,
            batch: Vec::new(),
            entries: 0,
            lost: 0,
        };
        // A failure shows again, and is counted, at the first write.
        log.open(false).ok();
        log
    }

    /// Adds an entry, written now or with the next [`flush`](Self::flush).
    pub(super) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        if self.is_full() {
            self.write();
            self.rotate();
        }
        encode(&mut self.batch);
        self.entries += 1;
        if self.batch.len() >= BATCH {
            self.write();
        }
    }

    /// Writes what is held and tells how many entries were lost since the last time.
    pub(super) fn flush(&mut self) -> u64 {
        self.write();
        self.batch.shrink_to(KEPT);
        std::mem::take(&mut self.lost)
    }

    fn is_full(&self) -> bool {
        let held = u64::try_from(self.batch.len()).unwrap_or(u64::MAX);
        self.rotation
            .limit
            .is_some_and(|limit| self.size + held >= limit)
    }

    fn write(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        if self.batch.is_empty() {
            return;
        }
        match self.append() {
            Ok(()) => self.size += u64::try_from(self.batch.len()).unwrap_or(0),
            Err(_) => {
                // Half a batch would leave half a line: back to the last whole one.
                if let Some(file) = &self.file {
                    file.set_len(self.size).ok();
                }
                self.lost = self.lost.saturating_add(entries);
            }
        }
        self.batch.clear();
    }

    fn append(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.open(false)?;
        }
        let mut file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        file.write_all(&self.batch)
    }

    fn open(&mut self, empty: bool) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let file = options
            .append(true)
            .create(true)
            .mode(0o640)
            .open(&self.path)?;
        if empty {
            file.set_len(0)?;
        }
        self.size = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    /// Sets the file aside; when that fails the present one goes on growing rather than lose lines.
    fn rotate(&mut self) {
        let emptied = self.rotation.files < 2;
        if !emptied && self.shift().is_err() {
            return;
        }
        self.file = None;
        // A failure shows again, and is counted, at the next write.
        self.open(emptied).ok();
        if self.rotation.compress && !emptied {
            self.press.begin(&self.aged(1));
        }
    }

    fn shift(&mut self) -> io::Result<()> {
        // What is still being compressed would appear under a name that is another's by then.
        self.press.finish();
        let oldest = self.rotation.files.saturating_sub(1);
        for kind in KINDS {
            absent_is_fine(fs::remove_file(with(self.aged(oldest), kind)))?;
        }
        for age in (1..oldest).rev() {
            for kind in KINDS {
                let (from, to) = (self.aged(age), self.aged(age + 1));
                absent_is_fine(fs::rename(with(from, kind), with(to, kind)))?;
            }
        }
        fs::rename(&self.path, self.aged(1))
    }

    fn aged(&self, age: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{age}"));
        PathBuf::from(name)
    }
}

/// How the name of an older file may end.
const KINDS: [&str; 2] = ["", ".gz"];

fn with(path: PathBuf, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation(limit: Option<u64>, files: u32) -> Rotation {
        Rotation {
            limit,
            files,
            compress: false,
        }
    }

    fn push(log: &mut LogFile, text: &str) {
        log.push(|batch| batch.extend_from_slice(text.as_bytes()));
    }

    #[test]
    fn entries_are_appended_to_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for text in ["a\n", "b\n"] {
            let mut log = LogFile::new(path.clone(), rotation(None, 1));
            push(&mut log, text);
            assert_eq!(log.flush(), 0);
        }
        assert_eq!(fs::read_to_string(path).unwrap(), "a\nb\n");
    }

    #[test]
    fn the_newest_old_file_is_number_one_and_the_oldest_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = LogFile::new(path.clone(), rotation(Some(2), 3));
        for text in ["1\n", "2\n", "3\n", "4\n", "5\n"] {
            push(&mut log, text);
        }
        log.flush();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(
            (read("log"), read("log.1"), read("log.2")),
            ("5\n".into(), "4\n".into(), "3\n".into())
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn compressed_files_grow_older_beside_plain_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for (name, text) in [("log.1.gz", "1"), ("log.2", "2"), ("log.3.gz", "3")] {
            fs::copy(file_of(folder.path(), text), folder.path().join(name)).unwrap();
        }
        let mut log = LogFile::new(path, rotation(Some(2), 4));
        for text in ["4\n", "5\n"] {
            push(&mut log, text);
        }
        log.flush();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(
            (read("log.1"), read("log.2.gz"), read("log.3")),
            ("4\n".into(), "1".into(), "2".into())
        );
        assert!(!folder.path().join("log.3.gz").exists());
    }

    fn file_of(folder: &std::path::Path, text: &str) -> PathBuf {
        let path = folder.join("source");
        File::create(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        path
    }

    #[test]
    fn a_single_file_is_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = LogFile::new(path.clone(), rotation(Some(2), 1));
        push(&mut log, "1\n");
        push(&mut log, "2\n");
        log.flush();
        assert_eq!(fs::read_to_string(path).unwrap(), "2\n");
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let mut log = LogFile::new(PathBuf::from("/dev/full"), rotation(None, 1));
        push(&mut log, "1\n");
        push(&mut log, "2\n");
        assert_eq!(log.flush(), 2);
        let mut none = LogFile::new(PathBuf::from("/nonexistent/log"), rotation(None, 1));
        push(&mut none, "1\n");
        assert_eq!(none.flush(), 1);
    }
}
