//! Stacks the layers of an image and a writable folder into one tree.
//!
//! The new mount API takes one layer per call, so the number and length of paths is not bound to a page of
//! options; kernels before 6.8 get the page.

use std::{
    ffi::CString,
    os::fd::{AsFd as _, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, fsconfig_create, fsconfig_set_flag,
        fsconfig_set_string, fsmount, fsopen,
    },
    system::uname,
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
    if !takes_single_layers(&uname().release().to_string_lossy()) {
        return mount_by_page(parts, target);
    }
    let tree = stack(parts).map_err(Error::step("mount overlay", target))?;
    attach(tree, target)
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

/// Options and all in one page: every folder is named by a descriptor, so that length and letters of its path do not count,
/// and 200 layers fit.
fn mount_by_page(parts: Parts<'_>, target: &Path) -> Result<(), Error> {
    let mount = || {
        let open = |path: &Path| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty())
        };
        let layers = parts.layers.iter().map(|layer| open(layer));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let (upper, work) = (open(parts.upper)?, open(parts.work)?);
        let data = CString::new(page(&layers, [&upper, &work], parts.writes));
        let data = data.map_err(|_nul| Errno::INVAL)?;
        rustix::mount::mount(
            "overlay",
            target,
            "overlay",
            MountFlags::empty(),
            data.as_c_str(),
        )
    };
    mount().map_err(Error::step("mount overlay", target))
}

/// The options as one text.
fn page(layers: &[OwnedFd], [upper, work]: [&OwnedFd; 2], writes: Writes) -> String {
    let named = |folder: &OwnedFd| format!("/proc/self/fd/{}", folder.as_raw_fd());
    let layers: Vec<String> = layers.iter().rev().map(named).collect();
    let volatile = match writes {
        Writes::Durable => "",
        Writes::Volatile => ",volatile",
    };
    format!(
        "lowerdir={},upperdir={},workdir={}{volatile}",
        layers.join(":"),
        named(upper),
        named(work)
    )
}

/// Reports whether overlayfs takes one layer a call. Asked of the version, for the kernel logs every option it does not know.
fn takes_single_layers(release: &str) -> bool {
    let mut numbers = release
        .split(|letter: char| !letter.is_ascii_digit())
        .map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uppermost_layer_comes_first() {
        let open = || OwnedFd::from(std::fs::File::open("/").unwrap());
        let (layers, upper, work) = ([open(), open()], open(), open());
        let [low, high] = layers.each_ref().map(AsRawFd::as_raw_fd);
        let text = page(&layers, [&upper, &work], Writes::Volatile);
        assert!(text.starts_with(&format!(
            "lowerdir=/proc/self/fd/{high}:/proc/self/fd/{low},"
        )));
        assert!(text.ends_with(",volatile"));
        assert!(!page(&layers, [&upper, &work], Writes::Durable).contains("volatile"));
    }

    #[test]
    fn single_layers_are_for_kernels_from_6_8_on() {
        let releases = [
            "6.1.0-56-cloud-amd64",
            "5.15.0",
            "6.7.12",
            "6.8.0-rc1",
            "6.18.1",
            "7.0",
        ];
        let taken = releases.map(takes_single_layers);
        assert_eq!(taken, [false, false, false, true, true, true]);
    }
}
