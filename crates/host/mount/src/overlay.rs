//! Stacks the layers of an image and a writable folder into one tree.
//!
//! The new mount API takes one layer per call, so the number and length of paths is not bound to a page of
//! options; kernels before 6.8 get the page.

use std::{
    ffi::CString,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, fsconfig_create, fsconfig_set_flag,
        fsconfig_set_string, fsmount, fsopen,
    },
};

use crate::{Detached, Error, Root};

/// What a power cut may take of what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// What a program synced stays. The last unmount waits until the whole file system of `upper` is on disk.
    Durable,
    /// Everything: for a folder that does not outlive the mount. Nothing is ever synced.
    Volatile,
}

/// The parts of an overlay.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Lowest first.
    pub layers: &'a [PathBuf],
    /// Takes what is written.
    pub upper: &'a Path,
    /// The kernel's own, on the file system of `upper`.
    pub work: &'a Path,
    /// How much the writes are worth.
    pub writes: Writes,
}

/// Mounts the parts at `target`.
///
/// # Errors
/// When a folder is missing or the file system of `upper` cannot carry one.
pub fn mount(parts: Parts<'_>, target: &Path) -> Result<(), Error> {
    if parts.writes == Writes::Volatile {
        forget_last_mount(parts.work);
    }
    match stack(parts) {
        Ok(tree) => attach(tree, target),
        // "lowerdir+" or "volatile" is unknown to this kernel.
        Err(Errno::INVAL) => mount_by_page(parts, target),
        Err(errno) => Err(Error::step("mount overlay", target)(errno)),
    }
}

/// Takes away the mark that a volatile mount leaves against a mount after a power cut. Whoever gives the folder to another
/// mount of the same boot may: the writes are all in the page cache.
fn forget_last_mount(work: &Path) {
    // Missing as a rule; one that stays makes the mount fail.
    std::fs::remove_dir_all(work.join("work/incompat")).ok();
}

fn stack(parts: Parts<'_>) -> Result<OwnedFd, Errno> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", "overlay")?;
    for layer in parts.layers.iter().rev() {
        fsconfig_set_string(&context, "lowerdir+", layer)?;
    }
    fsconfig_set_string(&context, "upperdir", parts.upper)?;
    fsconfig_set_string(&context, "workdir", parts.work)?;
    if parts.writes == Writes::Volatile {
        fsconfig_set_flag(&context, "volatile")?;
    }
    fsconfig_create(&context)?;
    fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
}

fn attach(tree: OwnedFd, target: &Path) -> Result<(), Error> {
    let root = Root::open(target)?;
    Detached::from_tree(tree)
        .attach(root.as_fd())
        .map(drop)
        .map_err(Error::step("attach overlay", target))
}

fn mount_by_page(parts: Parts<'_>, target: &Path) -> Result<(), Error> {
    let failure = Error::step("mount overlay", target);
    let mount = || {
        let data = CString::new(page(parts)).map_err(|_nul| Errno::INVAL)?;
        rustix::mount::mount(
            "overlay",
            target,
            "overlay",
            MountFlags::empty(),
            data.as_c_str(),
        )
    };
    mount().map_err(failure)
}

/// The options as one text, for kernels too old for a volatile mount; `:` and `,` in a path are escaped as overlayfs reads them.
fn page(parts: Parts<'_>) -> Vec<u8> {
    let mut page = b"lowerdir=".to_vec();
    for (place, layer) in parts.layers.iter().rev().enumerate() {
        if place > 0 {
            page.push(b':');
        }
        escape(layer, &mut page);
    }
    page.extend(b",upperdir=");
    escape(parts.upper, &mut page);
    page.extend(b",workdir=");
    escape(parts.work, &mut page);
    page
}

fn escape(path: &Path, page: &mut Vec<u8>) {
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b':' | b',' | b'\\') {
            page.push(b'\\');
        }
        page.push(*byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uppermost_layer_comes_first_and_colons_are_escaped() {
        let layers = ["/l/1".into(), "/l/2:b".into()];
        let parts = Parts {
            layers: &layers,
            upper: Path::new("/u"),
            work: Path::new("/w"),
            writes: Writes::Durable,
        };
        let text = String::from_utf8(page(parts)).unwrap();
        assert_eq!(text, "lowerdir=/l/2\\:b:/l/1,upperdir=/u,workdir=/w");
    }
}
