//! Project quotas: how much the files below a folder may take.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::io::Errno;

use crate::result::check;

const GET_ATTRIBUTES: libc::c_ulong = 0x801c_581f;
const SET_ATTRIBUTES: libc::c_ulong = 0x401c_5820;
/// What is made below belongs to the same project.
const INHERIT: u32 = 0x200;
/// `Q_GETQUOTA` for projects.
const GET_QUOTA: libc::c_long = (0x80_0007 << 8) | 2;
/// `Q_SETQUOTA` for projects.
const SET_QUOTA: libc::c_long = (0x80_0008 << 8) | 2;
/// Only the limit of blocks is set.
const BLOCK_LIMITS: u32 = 1;
/// The kernel counts limits in kibibytes.
const UNIT: u64 = 1024;

#[repr(C)]
#[derive(Default)]
struct Attributes {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    cow_extent_size: u32,
    padding: [u8; 8],
}

#[repr(C)]
#[derive(Default)]
struct Limits {
    hard_blocks: u64,
    soft_blocks: u64,
    used: u64,
    hard_inodes: u64,
    soft_inodes: u64,
    used_inodes: u64,
    block_time: u64,
    inode_time: u64,
    valid: u32,
}

/// Makes a folder, and what will be made in it, a project of its own.
///
/// # Errors
/// `OPNOTSUPP` or `NOTTY` when the file system has no projects.
pub fn set_project(folder: BorrowedFd<'_>, project: u32) -> Result<(), Errno> {
    let mut attributes = attributes(folder)?;
    attributes.flags |= INHERIT;
    attributes.project = project;
    // SAFETY: as above; the kernel only reads it.
    let result = unsafe {
        libc::ioctl(
            folder.as_raw_fd(),
            SET_ATTRIBUTES as _,
            &raw const attributes,
        )
    };
    check(i64::from(result)).map(drop)
}

/// Gives the project of a folder, 0 for none.
///
/// # Errors
/// `OPNOTSUPP` or `NOTTY` when the file system has no projects.
pub fn project(folder: BorrowedFd<'_>) -> Result<u32, Errno> {
    attributes(folder).map(|attributes| attributes.project)
}

fn attributes(folder: BorrowedFd<'_>) -> Result<Attributes, Errno> {
    let mut attributes = Attributes::default();
    // SAFETY: the descriptor is open for as long as it is borrowed; the structure has the kernel's layout, which writes all of it.
    let result =
        unsafe { libc::ioctl(folder.as_raw_fd(), GET_ATTRIBUTES as _, &raw mut attributes) };
    check(i64::from(result)).map(|_| attributes)
}

/// Counts the files of a project on the file system of `folder`.
///
/// # Errors
/// `NOENT` when the file system has heard of no such project; else as [`set_project_limit`].
pub fn project_files(folder: BorrowedFd<'_>, project: u32) -> Result<u64, Errno> {
    let mut limits = Limits::default();
    // SAFETY: the descriptor is open for as long as it is borrowed; the structure has the kernel's layout, which writes all of it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_quotactl_fd,
            folder.as_raw_fd(),
            GET_QUOTA,
            project,
            &raw mut limits,
        )
    };
    check(result).map(|_| limits.used_inodes)
}

/// Bounds the bytes of a project on the file system of `folder`.
///
/// # Errors
/// `SRCH` when quotas are not switched on, `NOSYS` before Linux 5.14 or without quotas in the kernel.
pub fn set_project_limit(folder: BorrowedFd<'_>, project: u32, bytes: u64) -> Result<(), Errno> {
    let limits = Limits {
        hard_blocks: bytes.div_ceil(UNIT),
        soft_blocks: bytes.div_ceil(UNIT),
        valid: BLOCK_LIMITS,
        ..Limits::default()
    };
    // SAFETY: the descriptor is open for as long as it is borrowed; the structure has the kernel's layout and is only read.
    let result = unsafe {
        libc::syscall(
            libc::SYS_quotactl_fd,
            folder.as_raw_fd(),
            SET_QUOTA,
            project,
            &raw const limits,
        )
    };
    check(result).map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn structures_have_the_kernels_sizes() {
        assert_eq!((size_of::<Attributes>(), size_of::<Limits>()), (28, 72));
    }

    #[test]
    fn a_file_system_without_projects_says_so() {
        let proc = std::fs::File::open("/proc").unwrap();
        assert!(set_project(proc.as_fd(), 7).is_err());
        assert!(set_project_limit(proc.as_fd(), 7, 1 << 20).is_err());
        assert!(project(proc.as_fd()).is_err());
        assert!(project_files(proc.as_fd(), 7).is_err());
    }
}
