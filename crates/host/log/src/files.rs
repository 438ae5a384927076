//! A log's files: the newest, older ones as `.1`, `.2`, and those compressed to `.1.gz`, `.2.gz`.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Seek as _},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use rustix::fs::{Mode, OFlags};

/// Lists a log's files, oldest first, the newest last whether or not it is there.
#[must_use]
pub fn files(newest: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = (1..).map_while(|age| aged(newest, age)).collect();
    files.reverse();
    files.push(newest.to_owned());
    files
}

/// Finds the file of an age; the plain one while it is still being compressed.
fn aged(newest: &Path, age: u32) -> Option<PathBuf> {
    let named = |end: &str| {
        let mut name = OsString::from(newest);
        name.push(format!(".{age}{end}"));
        PathBuf::from(name)
    };
    [named(""), named(".gz")]
        .into_iter()
        .find(|file| file.exists())
}

/// Opens a log's file for reading; what is compressed is laid out in a file without a name, so that it can be searched from
/// its end like any other.
///
/// # Errors
/// When it cannot be read, or the disk has no room to lay it out.
pub fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if path.extension().is_none_or(|end| end != "gz") {
        return Ok(file);
    }
    let folder = path.parent().unwrap_or(path);
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let mut plain = File::from(rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR)?);
    io::copy(&mut MultiGzDecoder::new(file), &mut plain)?;
    plain.rewind()?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    fn write(path: &Path, text: &str) {
        File::create(path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    fn press(path: &Path, text: &str) {
        let file = File::create(path).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap();
    }

    #[test]
    fn compressed_and_plain_files_are_listed_by_age() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["log", "log.1", "log.1.gz", "log.2.gz", "log.4"] {
            write(&at(name), "");
        }
        assert_eq!(files(&at("log")), [at("log.2.gz"), at("log.1"), at("log")]);
    }

    #[test]
    fn a_compressed_file_reads_like_another_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.1.gz");
        press(&path, "one\ntwo\n");
        let mut text = String::new();
        open(&path).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\ntwo\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let found = crate::position(&[path], 1).unwrap();
        assert_eq!(found.offset, 4);
    }

    #[test]
    fn a_torn_compressed_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.1.gz");
        write(&path, "no gzip");
        assert!(open(&path).is_err());
    }
}
