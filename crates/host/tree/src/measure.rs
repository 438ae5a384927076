//! Measures what a step reads: one digest over names, contents, modes and owners. Times do not count.

use std::{
    ffi::OsStr,
    fs::File,
    io::Read as _,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use hakone_base::Digest;
use hakone_mount::Root;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fgetxattr, openat, readlinkat, statat};
use sha2::{Digest as _, Sha256};

use crate::{
    Error, Keep,
    copy::{Source, locate},
    error::errno,
    walk,
};

const BUFFER: usize = 256 * 1024;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file, or what is copied as one.
    File,
    /// A folder.
    Folder,
}

/// A measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Of what.
    pub kind: Kind,
    /// The digest of all of it.
    pub digest: Digest,
}

/// Measures a file or a folder with all that counts in it. A link that the path itself ends in is followed, others are
/// measured as what they are. Owners count when they are copied: with `owners`.
///
/// # Errors
/// When it is not there, or cannot be read.
pub fn measure(root: &Root, path: &Path, keep: Keep<'_>, owners: bool) -> Result<Measured, Error> {
    let source = locate(root, path)?;
    let mut measure = Measure {
        hasher: Sha256::new(),
        buffer: vec![0; BUFFER],
        keep,
        owners,
    };
    let kind = match source {
        Source::Folder(folder) => {
            measure.folder(&folder, path, Path::new(""), 0)?;
            Kind::Folder
        }
        Source::Entry { folder, name, stat } => {
            measure.entry((&folder, &name), &stat, path, Path::new(""))?;
            Kind::File
        }
    };
    Ok(Measured {
        kind,
        digest: Digest::from_bytes(measure.hasher.finalize().into()),
    })
}

struct Measure<'a> {
    hasher: Sha256,
    buffer: Vec<u8>,
    keep: Keep<'a>,
    owners: bool,
}

impl Measure<'_> {
    fn folder(
        &mut self,
        folder: &OwnedFd,
        full: &Path,
        inner: &Path,
        depth: usize,
    ) -> Result<(), Error> {
        walk::check_depth(depth, full)?;
        let failed = Error::kernel("read", full.as_os_str().as_bytes());
        for name in hakone_mount::names(folder).map_err(&failed)? {
            let stat = statat(folder, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW);
            let stat = stat.map_err(&failed)?;
            let below = OsStr::from_bytes(&name);
            let (full, inner) = (full.join(below), inner.join(below));
            let is_folder = walk::kind(&stat) == FileType::Directory;
            if !(self.keep)(&full, is_folder) {
                continue;
            }
            if !is_folder {
                self.entry((folder, &name), &stat, &full, &inner)?;
                continue;
            }
            let opened = walk::below(folder, &name).map_err(&failed)?;
            self.head(b'd', &stat, &inner);
            self.folder(&opened, &full, &inner, depth + 1)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        (folder, name): (&OwnedFd, &[u8]),
        stat: &Stat,
        full: &Path,
        inner: &Path,
    ) -> Result<(), Error> {
        let failed = Error::kernel("read", full.as_os_str().as_bytes());
        match walk::kind(stat) {
            FileType::RegularFile => {
                self.head(b'f', stat, inner);
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = openat(folder, name, flags, Mode::empty()).map_err(&failed)?;
                self.content(File::from(file))
                    .map_err(|error| failed(errno(&error)))
            }
            FileType::Symlink => {
                self.head(b'l', stat, inner);
                let target = readlinkat(folder, name, Vec::new()).map_err(failed)?;
                self.text(target.as_bytes());
                Ok(())
            }
            FileType::Fifo => {
                self.head(b'p', stat, inner);
                Ok(())
            }
            FileType::Directory
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Ok(()),
        }
    }

    fn head(&mut self, letter: u8, stat: &Stat, inner: &Path) {
        self.text(&[letter]);
        self.text(inner.as_os_str().as_bytes());
        if letter != b'l' {
            self.hasher.update((stat.st_mode & 0o7777).to_le_bytes());
        }
        if self.owners {
            self.hasher.update(stat.st_uid.to_le_bytes());
            self.hasher.update(stat.st_gid.to_le_bytes());
        }
    }

    /// Hashes a text behind its length, so that two of them are never taken for two others.
    fn text(&mut self, bytes: &[u8]) {
        self.hasher.update((bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
    }

    fn content(&mut self, mut file: File) -> std::io::Result<()> {
        let mut capability = [0; 64];
        let length = fgetxattr(file.as_fd(), "security.capability", &mut capability).unwrap_or(0);
        self.text(capability.get(..length).unwrap_or_default());
        let mut own = Sha256::new();
        loop {
            let count = file.read(&mut self.buffer)?;
            if count == 0 {
                break;
            }
            own.update(self.buffer.get(..count).unwrap_or_default());
        }
        self.hasher.update(own.finalize());
        Ok(())
    }
}
