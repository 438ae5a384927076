//! Mounts the device, folder or tmpfs that a volume's options name, with the kernel's new mount calls: options are given one by one, and
//! the file system says in words what it does not like.

use std::{
    borrow::Cow,
    io::Read as _,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use crate::{Error, server};
use hakone_sys::{MountAttributes, mount_setattr};
use rustix::{
    fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
        fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount,
        open_tree, unmount,
    },
};

/// How much a file system may say about its refusal.
const WORDS: usize = 4096;

/// Mounts on `target`; a bind when the options say so.
pub(crate) fn attach(kind: &str, device: &str, data: &str, target: &Path) -> Result<(), Error> {
    if is_mounted(target) {
        return Ok(());
    }
    let options = Options::parse(data);
    let made = match options.bind {
        Some(recursive) => bind(device, recursive, &options),
        None => file_system(kind, device, &options),
    };
    let attached = made.and_then(|mount| {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(&mount, "", CWD, target, flags).map_err(hakone_sys::reason)
    });
    attached.map_err(|reason| Error::Mount {
        device: device.to_owned(),
        target: target.to_owned(),
        reason,
    })
}

fn bind(folder: &str, recursive: bool, options: &Options<'_>) -> Result<OwnedFd, String> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    let mount = open_tree(CWD, folder, flags).map_err(hakone_sys::reason)?;
    let attributes = MountAttributes {
        set: options.attributes,
        recursive,
        ..MountAttributes::default()
    };
    mount_setattr(mount.as_fd(), &attributes).map_err(hakone_sys::reason)?;
    Ok(mount)
}

fn file_system(kind: &str, device: &str, options: &Options<'_>) -> Result<OwnedFd, String> {
    let own = server::located(kind, device, &options.rest, server::lookup)?;
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|errno| match errno {
        Errno::NODEV => format!("the kernel has no file system {kind:?}"),
        errno => hakone_sys::reason(errno),
    })?;
    let made = configure(&context, (device, &own), options.attributes)
        .and_then(|()| fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, options.attributes));
    made.map_err(|errno| explain(context, errno))
}

/// Gives the file system its device and its own options.
fn configure(
    context: &OwnedFd,
    (device, own): (&str, &[Cow<'_, str>]),
    attributes: MountAttrFlags,
) -> Result<(), Errno> {
    fsconfig_set_string(context, "source", device)?;
    if attributes.contains(MountAttrFlags::MOUNT_ATTR_RDONLY) {
        fsconfig_set_flag(context, "ro")?;
    }
    for word in own {
        match word.split_once('=') {
            Some((key, value)) => fsconfig_set_string(context, key, value)?,
            None => fsconfig_set_flag(context, &**word)?,
        }
    }
    fsconfig_create(context)
}

/// Puts what the file system says before what the kernel's number says. Each read gives one line, `e ` before an error.
fn explain(context: OwnedFd, errno: Errno) -> String {
    let mut file = std::fs::File::from(context);
    let mut words = vec![0; WORDS];
    let mut said = Vec::new();
    while let Ok(length @ 1..) = file.read(&mut words) {
        let line = String::from_utf8_lossy(words.get(..length).unwrap_or_default()).into_owned();
        let line = line.trim_end();
        said.push(line.strip_prefix("e ").unwrap_or(line).to_owned());
        if said.len() > 16 {
            break;
        }
    }
    said.push(hakone_sys::reason(errno));
    said.join(": ")
}

/// Reports whether options ask for a folder that is there already.
pub(crate) fn is_bind(data: &str) -> bool {
    Options::parse(data).bind.is_some()
}

/// Reports whether an earlier daemon mounted it already.
pub(crate) fn is_mounted(target: &Path) -> bool {
    // What the kernel knows without asking a server, which may be away.
    let found = statx(
        CWD,
        target,
        AtFlags::STATX_DONT_SYNC,
        StatxFlags::BASIC_STATS,
    );
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Takes the mount away; one in use goes when its last user does.
pub(crate) fn detach(target: &Path) -> Result<(), Error> {
    match unmount(target, UnmountFlags::DETACH) {
        Ok(()) | Err(rustix::io::Errno::INVAL) => Ok(()),
        Err(errno) => Err(Error::host("unmount", target)(errno.into())),
    }
}

/// `mount(8)` options, sorted out.
#[derive(Debug, PartialEq, Eq)]
struct Options<'a> {
    attributes: MountAttrFlags,
    /// Whether a bind is meant, and whether with what is mounted below.
    bind: Option<bool>,
    /// What the file system itself understands.
    rest: Vec<&'a str>,
}

impl<'a> Options<'a> {
    fn parse(data: &'a str) -> Self {
        let mut options = Self {
            attributes: MountAttrFlags::empty(),
            bind: None,
            rest: Vec::new(),
        };
        for word in data.split(',').filter(|word| !word.is_empty()) {
            options.attributes |= match word {
                "bind" | "rbind" => {
                    options.bind = Some(word == "rbind");
                    continue;
                }
                "rw" | "defaults" => continue,
                "ro" => MountAttrFlags::MOUNT_ATTR_RDONLY,
                "nosuid" => MountAttrFlags::MOUNT_ATTR_NOSUID,
                "nodev" => MountAttrFlags::MOUNT_ATTR_NODEV,
                "noexec" => MountAttrFlags::MOUNT_ATTR_NOEXEC,
                "noatime" => MountAttrFlags::MOUNT_ATTR_NOATIME,
                other => {
                    options.rest.push(other);
                    continue;
                }
            };
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_options_split_into_attributes_and_the_file_systems_own() {
        let options = Options::parse("size=100m,ro,nosuid,uid=1000");
        let both = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID;
        assert_eq!(options.attributes, both);
        assert_eq!(options.rest, ["size=100m", "uid=1000"]);
        assert_eq!(options.bind, None);
        assert_eq!(Options::parse("bind").bind, Some(false));
        assert_eq!(Options::parse("rbind").bind, Some(true));
    }
}
