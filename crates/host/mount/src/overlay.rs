//! Stacks the layers of an image and a writable folder into one tree.
//!
//! The new mount API takes one layer per call, so the number and length of paths is not bound to a page of
//! options; kernels before 6.8 get the page.

use std::{
    ffi::CString,
    os::fd::{AsFd as _, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use hakone_sys::{Namespaces, unshare};
use rustix::{
    fs::{CWD, Mode, OFlags},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags,
        OpenTreeFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
        mount_change, open_tree,
    },
    system::uname,
};

use crate::{Detached, Error, Root};

/// Where an old kernel may mount in a mount namespace that nobody else sees; any folder that every host has.
const PLACE: &str = "/sys";

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
    let failure = Error::step("mount overlay", target);
    if !takes_single_layers(&uname().release().to_string_lossy()) {
        return by_page(parts.layers, Some(parts), target).map_err(failure);
    }
    let tree = by_calls(parts.layers, Some(parts)).map_err(failure)?;
    let root = Root::open(target)?;
    tree.attach(root.as_fd())
        .map(drop)
        .map_err(Error::step("attach overlay", target))
}

/// Takes away the mark that a volatile mount leaves against a mount after a power cut. Whoever gives the folder to another
/// mount of the same boot may: the writes are all in the page cache.
fn forget_last_mount(work: &Path) {
    // Missing as a rule; one that stays makes the mount fail.
    std::fs::remove_dir_all(work.join("work/incompat")).ok();
}

/// Stacks layers, lowest first, below the writable part where there is one, in no tree yet.
pub(crate) fn detached(layers: &[PathBuf], writable: Option<Parts<'_>>) -> Result<Detached, Errno> {
    match takes_single_layers(&uname().release().to_string_lossy()) {
        true => by_calls(layers, writable),
        false => aside(layers, writable),
    }
}

fn by_calls(layers: &[PathBuf], writable: Option<Parts<'_>>) -> Result<Detached, Errno> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", "overlay")?;
    for layer in layers.iter().rev() {
        fsconfig_set_string(&context, "lowerdir+", layer)?;
    }
    if let Some(parts) = writable {
        fsconfig_set_string(&context, "upperdir", parts.upper)?;
        fsconfig_set_string(&context, "workdir", parts.work)?;
        if parts.writes == Writes::Volatile {
            fsconfig_set_flag(&context, "volatile")?;
        }
    }
    fsconfig_create(&context)?;
    let flags = FsMountFlags::FSMOUNT_CLOEXEC;
    fsmount(&context, flags, MountAttrFlags::empty()).map(Detached::from)
}

/// The old call mounts into a tree only: into one of a thread's own, which goes with the thread, and a copy stays.
fn aside(layers: &[PathBuf], writable: Option<Parts<'_>>) -> Result<Detached, Errno> {
    let make = || {
        unshare(Namespaces::MOUNT)?;
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private)?;
        by_page(layers, writable, Path::new(PLACE))?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        open_tree(CWD, PLACE, flags).map(Detached::from)
    };
    std::thread::scope(|scope| scope.spawn(make).join().unwrap_or(Err(Errno::IO)))
}

/// Options and all in one page: every folder is named by a descriptor, so that length and letters of its path do not count,
/// and 200 layers fit.
fn by_page(layers: &[PathBuf], writable: Option<Parts<'_>>, target: &Path) -> Result<(), Errno> {
    let open = |path: &Path| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty())
    };
    let layers = layers.iter().map(|layer| open(layer));
    let layers = layers.collect::<Result<Vec<_>, _>>()?;
    let writable = match writable {
        Some(parts) => Some((open(parts.upper)?, open(parts.work)?, parts.writes)),
        None => None,
    };
    let data = CString::new(page(&layers, writable.as_ref())).map_err(|_nul| Errno::INVAL)?;
    let flags = MountFlags::empty();
    rustix::mount::mount("overlay", target, "overlay", flags, data.as_c_str())
}

/// The options as one text.
fn page(layers: &[OwnedFd], writable: Option<&(OwnedFd, OwnedFd, Writes)>) -> String {
    let named = |folder: &OwnedFd| format!("/proc/thread-self/fd/{}", folder.as_raw_fd());
    let layers: Vec<String> = layers.iter().rev().map(named).collect();
    let mut page = format!("lowerdir={}", layers.join(":"));
    if let Some((upper, work, writes)) = writable {
        page += &format!(",upperdir={},workdir={}", named(upper), named(work));
        if *writes == Writes::Volatile {
            page += ",volatile";
        }
    }
    page
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
    use rustix::fs::AtFlags;

    use super::*;

    #[test]
    fn the_uppermost_layer_comes_first() {
        let open = || OwnedFd::from(std::fs::File::open("/").unwrap());
        let layers = [open(), open()];
        let [low, high] = layers
            .each_ref()
            .map(|layer| format!("/proc/thread-self/fd/{}", layer.as_raw_fd()));
        assert_eq!(page(&layers, None), format!("lowerdir={high}:{low}"));
        let ends =
            |writes, end: &str| page(&layers, Some(&(open(), open(), writes))).ends_with(end);
        assert!(ends(Writes::Volatile, ",volatile"));
        assert!(!ends(Writes::Durable, ",volatile"));
    }

    #[test]
    fn old_kernels_stack_the_same_tree() {
        let folder = tempfile::tempdir().unwrap();
        let layers = ["low", "high"].map(|name| folder.path().join(name));
        for layer in &layers {
            let own = layer.join("shared").join(layer.file_name().unwrap());
            std::fs::create_dir_all(own).unwrap();
        }
        for make in [aside, by_calls] {
            let tree = make(&layers, None).unwrap();
            let has = |name: &str| rustix::fs::statat(&tree, name, AtFlags::empty()).is_ok();
            assert!(has("shared/low") && has("shared/high") && !has("low"));
        }
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
