//! A file of lines that makes room for itself: full, it becomes `.1`, what was `.1` becomes `.2`, the oldest goes.
//!
//! A crash between two renames leaves a gap in the numbers and no line lost or doubled; the next rotation closes it. A
//! partial line that a full disk left is ended before the next one, so that each line stands alone.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

/// What is kept before it is written.
const KEPT: usize = 64 * 1024;

/// When a file is full, and how many full ones stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes of a file.
    pub size: u64,
    /// Files, the one being written included.
    pub files: u32,
}

/// A file of lines.
#[derive(Debug)]
pub struct RotatedFile {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    size: u64,
    kept: Vec<u8>,
    torn: bool,
}

impl RotatedFile {
    /// Opens a file, going on where it ends. Only root may read it: it tells who speaks to whom.
    ///
    /// # Errors
    /// When it cannot be written, or is a symbolic link.
    pub fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let file = open(path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            path: path.to_owned(),
            rotation,
            file,
            size,
            kept: Vec::with_capacity(KEPT),
            torn: size > 0,
        })
    }

    pub(crate) fn write(&mut self, line: &str) -> io::Result<()> {
        let length = line.len() as u64 + 1;
        let full = self.size + self.kept.len() as u64 + length > self.rotation.size;
        if full && self.size + self.kept.len() as u64 > 0 {
            self.flush()?;
            self.rotate()?;
        }
        if std::mem::take(&mut self.torn) && !ends_a_line(&self.path) {
            self.kept.push(b'\n');
        }
        self.kept.extend(line.as_bytes());
        self.kept.push(b'\n');
        match self.kept.len() < KEPT {
            true => Ok(()),
            false => self.flush(),
        }
    }

    /// What could not be written is given up: the next lines may find room again.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let written = self.file.write_all(&self.kept);
        match &written {
            Ok(()) => self.size += self.kept.len() as u64,
            Err(_) => {
                self.torn = true;
                self.size = self.file.metadata().map_or(self.size, |data| data.len());
            }
        }
        self.kept.clear();
        written
    }

    fn rotate(&mut self) -> io::Result<()> {
        let oldest = self.rotation.files.saturating_sub(1);
        if oldest == 0 {
            self.file.set_len(0)?;
            self.size = 0;
            return Ok(());
        }
        for age in (1..oldest).rev() {
            rename(&aged(&self.path, age), &aged(&self.path, age + 1))?;
        }
        rename(&self.path, &aged(&self.path, 1))?;
        self.file = open(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?;
    Ok(File::from(opened))
}

fn ends_a_line(path: &Path) -> bool {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut last = [b'\n'];
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)
    });
    read.is_err() || last == [b'\n']
}

fn aged(path: &Path, age: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{age}"));
    name.into()
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_all(path: &Path, rotation: Rotation, lines: impl Iterator<Item = String>) {
        let mut file = RotatedFile::open(path, rotation).unwrap();
        lines.for_each(|line| file.write(&line).unwrap());
        file.flush().unwrap();
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn full_files_age_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flows");
        let rotation = Rotation { size: 20, files: 3 };
        write_all(
            &path,
            rotation,
            (0..7).map(|number| format!("line {number}")),
        );
        assert_eq!(text(&path), "line 6\n");
        assert_eq!(text(&aged(&path, 1)), "line 4\nline 5\n");
        assert_eq!(text(&aged(&path, 2)), "line 2\nline 3\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_new_writer_goes_on_behind_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flows");
        let rotation = Rotation {
            size: 1000,
            files: 2,
        };
        write_all(&path, rotation, ["one".to_owned()].into_iter());
        File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"tor")
            .unwrap();
        write_all(&path, rotation, ["two".to_owned()].into_iter());
        assert_eq!(text(&path), "one\ntor\ntwo\n");
    }

    #[test]
    fn a_symbolic_link_is_refused_and_others_may_not_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("flows"), folder.path().join("link"));
        write_all(
            &path,
            Rotation { size: 99, files: 2 },
            ["x".to_owned()].into_iter(),
        );
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(RotatedFile::open(&link, Rotation { size: 99, files: 2 }).is_err());
    }

    #[test]
    fn one_file_alone_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flows");
        write_all(
            &path,
            Rotation { size: 10, files: 1 },
            (0..4).map(|n| format!("line {n}")),
        );
        assert_eq!(text(&path), "line 3\n");
    }
}
