//! What a container sees of the control groups: its own, read-only.
//!
//! The folders are bound, not mounted anew: a new v1 mount waits for every dying group of the host.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use hakone_cgroup::{Cgroup, Hierarchy, Version};
use hakone_mount::{Detached, Error, Options, Root};
use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::{
    fs::{Mode, OFlags, mkdirat, openat, symlinkat},
    io::Errno,
    mount::MountAttrFlags,
};

use super::linux;

/// Copies of the group's folders.
#[derive(Debug)]
pub(crate) enum CgroupView {
    /// One folder a hierarchy, with its name and the names of its controllers.
    Legacy(Vec<(String, Vec<String>, Detached)>),
    /// The one folder.
    Unified(Detached),
}

impl CgroupView {
    pub(super) fn open(spec: &Spec, cgroup: &Cgroup) -> Result<Self, Error> {
        if cgroup.version() == Version::V2 {
            return unified(spec, cgroup);
        }
        let mut folders = Vec::new();
        for (hierarchy, path) in cgroup.folders() {
            if !hierarchy.is_unified() {
                let bind = Detached::bind(path, false)?;
                folders.push((name(hierarchy), hierarchy.controllers.clone(), bind));
            }
        }
        Ok(Self::Legacy(folders))
    }
}

/// In the host's cgroup namespace a container sees the whole tree, as in Docker.
fn unified(spec: &Spec, cgroup: &Cgroup) -> Result<CgroupView, Error> {
    let own = linux(spec).is_some_and(|linux| {
        let mut all = linux.namespaces().iter().flatten();
        all.any(|one| one.typ() == LinuxNamespaceType::Cgroup)
    });
    let path = cgroup.folders().find_map(|(hierarchy, path)| {
        let shown = if own { path } else { &hierarchy.mount };
        hierarchy.is_unified().then(|| shown.to_path_buf())
    });
    Detached::bind(&path.unwrap_or_default(), false).map(CgroupView::Unified)
}

fn name(hierarchy: &Hierarchy) -> String {
    let name = hierarchy.mount.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Mounts the view at `target`.
pub(super) fn mount(
    root: &Root,
    target: &Path,
    view: CgroupView,
    options: &Options,
) -> Result<(), Error> {
    let place = root.ensure_folder(target)?;
    let attach = |detached: Detached, place: &OwnedFd| {
        let attached = detached.attach(place.as_fd());
        attached.map_err(|source| step("mount cgroup", target, source))
    };
    match view {
        CgroupView::Unified(tree) => {
            tree.set(options.set, options.clear)?;
            attach(tree, &place).map(drop)
        }
        CgroupView::Legacy(folders) => {
            let tmpfs = Detached::filesystem("tmpfs", "cgroup", &folder_options())?;
            let ground = attach(tmpfs, &place)?;
            for (name, controllers, tree) in folders {
                tree.set(options.set, options.clear)?;
                let place = make_place(&ground, &name, &controllers)
                    .map_err(|source| step("create", target, source))?;
                attach(tree, &place)?;
            }
            protect(&ground, options).map_err(|source| step("protect", target, source))
        }
    }
}

fn folder_options() -> Options {
    Options::parse(["nosuid", "nodev", "noexec", "mode=755"])
}

/// A folder for one hierarchy, and links from each of its controllers: `cpu` to `cpu,cpuacct`.
fn make_place(ground: &OwnedFd, name: &str, controllers: &[String]) -> Result<OwnedFd, Errno> {
    mkdirat(ground, name, Mode::from_raw_mode(0o755))?;
    for controller in controllers {
        if controller != name && !controller.starts_with("name=") {
            symlinkat(name, ground, controller)?;
        }
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(ground, name, flags, Mode::empty())
}

fn protect(ground: &OwnedFd, options: &Options) -> Result<(), Errno> {
    if !options.set.contains(MountAttrFlags::MOUNT_ATTR_RDONLY) {
        return Ok(());
    }
    let attributes = hakone_sys::MountAttributes {
        set: MountAttrFlags::MOUNT_ATTR_RDONLY,
        ..hakone_sys::MountAttributes::default()
    };
    hakone_sys::mount_setattr(ground.as_fd(), &attributes)
}

fn step(step: &'static str, path: &Path, source: Errno) -> Error {
    Error::Step {
        step,
        path: path.into(),
        source,
    }
}
