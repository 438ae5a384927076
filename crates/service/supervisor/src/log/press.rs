//! Compresses a log file that was set aside, in a process of its own: the container's output does not wait for it.
//!
//! The supervisor is single-threaded, so a fork may go on with any code. It holds no descriptor of ours while it works, and
//! appears under its final name only when it is whole: whoever reads meanwhile finds the plain file.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use hakone_sys::{exit_now, fork, without_descriptors};
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

/// The compression under way.
#[derive(Debug, Default)]
pub(super) struct Press(Option<OwnedFd>);

impl Press {
    /// Begins to compress a file; when that cannot be, it stays as it is.
    pub(super) fn begin(&mut self, path: &Path) {
        self.finish();
        match fork() {
            Ok(Some(child)) => self.0 = pidfd_open(child, PidfdFlags::empty()).ok(),
            Ok(None) => without_descriptors(3, || exit_now(i32::from(compress(path).is_err()))),
            Err(_) => {}
        }
    }

    /// Waits for the end of what is under way; by descriptor, for somebody else may have reaped it long ago.
    pub(super) fn finish(&mut self) {
        if let Some(child) = self.0.take() {
            use std::os::fd::AsFd as _;
            let end = WaitId::PidFd(child.as_fd());
            waitid(end, WaitIdOptions::EXITED).ok();
        }
    }
}

fn compress(path: &Path) -> io::Result<()> {
    let pressed = named(path, ".gz");
    let unfinished = named(path, ".gz.tmp");
    let mut plain = File::open(path)?;
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o640);
    let mut encoder = GzEncoder::new(options.open(&unfinished)?, Compression::fast());
    let written = io::copy(&mut plain, &mut encoder).and_then(|_| encoder.finish());
    if let Err(error) = written.and_then(|_| fs::rename(&unfinished, &pressed)) {
        fs::remove_file(&unfinished).ok();
        return Err(error);
    }
    fs::remove_file(path)
}

fn named(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    #[test]
    fn a_file_is_replaced_by_its_compressed_form() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.1");
        let text = "line\n".repeat(10_000);
        File::create(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        compress(&path).unwrap();
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
        assert_eq!(names.len(), 1);
        let pressed = File::open(folder.path().join("log.1.gz")).unwrap();
        assert!(pressed.metadata().unwrap().len() < 10_000);
        let mut found = String::new();
        let mut decoder = flate2::read::GzDecoder::new(pressed);
        decoder.read_to_string(&mut found).unwrap();
        assert_eq!(found, text);
    }

    #[test]
    fn what_cannot_be_compressed_stays() {
        let folder = tempfile::tempdir().unwrap();
        assert!(compress(&folder.path().join("nosuch")).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
