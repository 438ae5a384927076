//! `/etc/mtab`, the table of mounts that programs of old read: a link to the kernel's, whatever the image has there.
//!
//! Made once, before the first start, as in Docker: what the container puts there afterwards is its own. All paths are looked up
//! inside the container's root or its upper folder, for both are the container's to write.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use hakone_mount::{Error, Root};
use oci_spec::runtime::Spec;
use rustix::{
    fs::{AtFlags, Gid, OFlags, Uid, chownat, symlinkat, unlinkat},
    io::Errno,
};

const PLACE: &str = "etc/mtab";
const FOLDER: &str = "/etc";
const NAME: &str = "mtab";
const TARGET: &str = "/proc/mounts";

/// Makes the link in a root whose upper folder says nothing of it yet.
///
/// # Errors
/// When the root cannot be opened.
pub(crate) fn link(upper: &Path, spec: &Spec, target: &Path) -> Result<(), Error> {
    let said = Root::open(upper)?.open_plain(
        Path::new(PLACE),
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
    );
    if said.err().and_then(|error| error.errno()) != Some(Errno::NOENT) {
        return Ok(());
    }
    let root = Root::open(target)?;
    let owner = owner(spec);
    // An image whose `/etc` is no folder, or a folder in its place, keeps it: nothing else needs the link.
    if let Ok(folder) = folder(&root, owner) {
        place(&folder, owner).ok();
    }
    Ok(())
}

/// Opens `/etc`; one that is made belongs to the container's root.
fn folder(root: &Root, owner: Option<(Uid, Gid)>) -> Result<OwnedFd, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(folder) = root.open_in(Path::new(FOLDER), flags) {
        return Ok(folder);
    }
    let folder = root.ensure_folder(Path::new(FOLDER))?;
    if let Some((uid, gid)) = owner {
        chownat(&folder, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH).ok();
    }
    Ok(folder)
}

fn place(folder: &OwnedFd, owner: Option<(Uid, Gid)>) -> Result<(), Errno> {
    match unlinkat(folder, NAME, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    symlinkat(TARGET, folder, NAME)?;
    match owner {
        Some((uid, gid)) => chownat(
            folder.as_fd(),
            NAME,
            Some(uid),
            Some(gid),
            AtFlags::SYMLINK_NOFOLLOW,
        ),
        None => Ok(()),
    }
}

/// Who the container's root is on the host, in a container with ids of its own.
fn owner(spec: &Spec) -> Option<(Uid, Gid)> {
    let linux = spec.linux().as_ref()?;
    let user = linux.uid_mappings().as_ref()?;
    let user = user.iter().find(|map| map.container_id() == 0)?;
    let group = linux.gid_mappings().as_ref()?;
    let group = group.iter().find(|map| map.container_id() == 0)?;
    Some((
        Uid::from_raw(user.host_id()),
        Gid::from_raw(group.host_id()),
    ))
}
