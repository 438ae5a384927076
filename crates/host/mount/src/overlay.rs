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
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, fsconfig_create,
        fsconfig_set_string, fsmount, fsopen,
    },
};

use crate::{Detached, Error, Root};

/// Mounts `layers` (lowest first) under the writable `upper` at `target`; `work` is the kernel's own and empty.
///
/// # Errors
/// When a folder is missing or the file system of `upper` cannot carry one.
pub fn mount(layers: &[PathBuf], upper: &Path, work: &Path, target: &Path) -> Result<(), Error> {
    match stack(layers, upper, work) {
        Ok(tree) => attach(tree, target),
        // "lowerdir+" is unknown to this kernel.
        Err(Errno::INVAL) => mount_by_page(layers, upper, work, target),
        Err(errno) => Err(Error::step("mount overlay", target)(errno)),
    }
}

fn stack(layers: &[PathBuf], upper: &Path, work: &Path) -> Result<OwnedFd, Errno> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", "overlay")?;
    for layer in layers.iter().rev() {
        fsconfig_set_string(&context, "lowerdir+", layer)?;
    }
    fsconfig_set_string(&context, "upperdir", upper)?;
    fsconfig_set_string(&context, "workdir", work)?;
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

fn mount_by_page(
    layers: &[PathBuf],
    upper: &Path,
    work: &Path,
    target: &Path,
) -> Result<(), Error> {
    let failure = Error::step("mount overlay", target);
    let mount = || {
        let data = CString::new(page(layers, upper, work)).map_err(|_nul| Errno::INVAL)?;
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

/// The options as one text; `:` and `,` in a path are escaped as overlayfs reads them.
fn page(layers: &[PathBuf], upper: &Path, work: &Path) -> Vec<u8> {
    let mut page = b"lowerdir=".to_vec();
    for (place, layer) in layers.iter().rev().enumerate() {
        if place > 0 {
            page.push(b':');
        }
        escape(layer, &mut page);
    }
    page.extend(b",upperdir=");
    escape(upper, &mut page);
    page.extend(b",workdir=");
    escape(work, &mut page);
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
        let text = String::from_utf8(page(&layers, Path::new("/u"), Path::new("/w"))).unwrap();
        assert_eq!(text, "lowerdir=/l/2\\:b:/l/1,upperdir=/u,workdir=/w");
    }
}
