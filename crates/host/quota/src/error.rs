//! Why files cannot be bounded, with the name of the file system that cannot.

use std::{fs::File, os::fd::AsFd as _, path::Path};

use rustix::io::Errno;

/// Why files cannot be bounded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be opened.
    #[error("{}", hakone_sys::reason(*.0))]
    Folder(Errno),
    /// The file system or the kernel has no quotas of projects, or they are switched off.
    #[error("{}: {}", .file_system, hakone_sys::reason(*.errno))]
    Unsupported {
        /// The file system, in the kernel's word where we know it.
        file_system: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
}

impl Error {
    pub(crate) fn unsupported(folder: &File, errno: Errno) -> Self {
        Self::Unsupported {
            file_system: name(folder),
            errno,
        }
    }

    /// Opens the folder.
    pub(crate) fn open(folder: &Path) -> Result<File, Self> {
        let opened = File::open(folder);
        opened.map_err(|error| Self::Folder(Errno::from_io_error(&error).unwrap_or(Errno::IO)))
    }
}

/// The numbers of `statfs(2)`, as in linux/magic.h.
fn name(folder: &File) -> &'static str {
    match rustix::fs::fstatfs(folder.as_fd()).map_or(0, |found| found.f_type) {
        0xef53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0xf2f5_2010 => "f2fs",
        0x0102_1994 => "tmpfs",
        0x794c_7630 => "overlayfs",
        0x2fc1_2fc1 => "zfs",
        0x6969 => "nfs",
        _ => "this file system",
    }
}
