//! Changes the attributes of mounts, whole trees at once: `mount_setattr`.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::{
    io::Errno,
    mount::{MountAttrFlags, MountPropagationFlags},
};

use crate::result::{check, size_of};

/// What to change on a mount.
#[derive(Debug)]
pub struct MountAttributes<'a> {
    /// Attributes to set.
    pub set: MountAttrFlags,
    /// Attributes to clear.
    pub clear: MountAttrFlags,
    /// The new propagation; empty keeps the old one.
    pub propagation: MountPropagationFlags,
    /// Shift ids by the mapping of this user namespace (the mount must be detached and new).
    pub id_map: Option<BorrowedFd<'a>>,
    /// All mounts below as well: in one step, so none of them can be missed.
    pub recursive: bool,
}

impl Default for MountAttributes<'_> {
    fn default() -> Self {
        Self {
            set: MountAttrFlags::empty(),
            clear: MountAttrFlags::empty(),
            propagation: MountPropagationFlags::empty(),
            id_map: None,
            recursive: false,
        }
    }
}

#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Applies `attributes` to the mount whose root `mount` is open on.
///
/// # Errors
/// `INVAL` when `mount` is not the root of a mount, `PERM` when an attribute is locked.
pub fn mount_setattr(mount: BorrowedFd<'_>, attributes: &MountAttributes<'_>) -> Result<(), Errno> {
    let mut flags = libc::AT_EMPTY_PATH;
    if attributes.recursive {
        flags |= libc::AT_RECURSIVE;
    }
    let attr = encode(attributes);
    // SAFETY: the path is an empty C string, `attr` is a live `struct mount_attr` of the size we pass, and
    // the kernel only reads both.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    check(done).map(drop)
}

fn encode(attributes: &MountAttributes<'_>) -> MountAttr {
    let mut set = u64::from(attributes.set.bits());
    let mut user_namespace = 0;
    if let Some(id_map) = attributes.id_map {
        set |= libc::MOUNT_ATTR_IDMAP;
        user_namespace = u64::try_from(id_map.as_raw_fd()).unwrap_or_default();
    }
    MountAttr {
        set,
        clear: u64::from(attributes.clear.bits()),
        propagation: u64::from(attributes.propagation.bits()),
        user_namespace,
    }
}
