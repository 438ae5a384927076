//! Our own executable, through a mount that cannot be written.
//!
//! A process in a container can open `/proc/<pid>/exe` of whoever enters it and write to the file behind it: that
//! way a container replaced the host's runtime (CVE-2019-5736). The supervisor and all it clones therefore run from
//! a detached, read-only mount of the executable. Making it copies nothing: all supervisors share the page cache.

use std::{
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::PathBuf,
};

use hakone_sys::{MountAttributes, mount_setattr};
use rustix::{
    fs::CWD,
    mount::{MountAttrFlags, OpenTreeFlags, open_tree},
};

use crate::Error;

/// A read-only mount of the running executable, held by a descriptor alone.
///
/// Also what keeps live restore right across an upgrade: the file stays the one that this daemon was started from.
#[derive(Debug)]
pub struct ExecutableSeal(OwnedFd);

impl ExecutableSeal {
    /// Seals the running executable.
    ///
    /// # Errors
    /// When the kernel is older than 5.12 or we lack `CAP_SYS_ADMIN`; there is no weaker way that is safe.
    pub fn new() -> Result<Self, Error> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let fail = |step| move |source| Error::Seal { step, source };
        let mount = open_tree(CWD, "/proc/self/exe", flags).map_err(fail("open_tree"))?;
        let attributes = MountAttributes {
            set: MountAttrFlags::MOUNT_ATTR_RDONLY,
            ..MountAttributes::default()
        };
        mount_setattr(mount.as_fd(), &attributes).map_err(fail("mount_setattr"))?;
        Ok(Self(mount))
    }

    /// Gives the path to execute; it means the sealed file in this process and its children until they execute.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}
