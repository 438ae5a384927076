//! Mounts the device, folder or tmpfs that a volume's options name.

use std::path::Path;

use rustix::{
    fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx},
    mount::{MountFlags, UnmountFlags, mount, mount_bind_recursive, unmount},
};

use crate::Error;

/// Mounts on `target`; a bind when the options say so.
pub(crate) fn attach(kind: &str, device: &str, data: &str, target: &Path) -> Result<(), Error> {
    if is_mounted(target) {
        return Ok(());
    }
    let (flags, rest, bind) = split(data);
    let done = match bind {
        true => mount_bind_recursive(device, target),
        false => {
            let data = std::ffi::CString::new(rest).ok();
            mount(device, target, kind, flags, data.as_deref())
        }
    };
    done.map_err(|errno| Error::Mount {
        device: device.to_owned(),
        target: target.to_owned(),
        reason: std::io::Error::from(errno).to_string(),
    })
}

/// Reports whether an earlier daemon mounted it already.
fn is_mounted(target: &Path) -> bool {
    let found = statx(CWD, target, AtFlags::empty(), StatxFlags::BASIC_STATS);
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Takes the mount away; one in use goes when its last user does.
pub(crate) fn detach(target: &Path) -> Result<(), Error> {
    match unmount(target, UnmountFlags::DETACH) {
        Ok(()) | Err(rustix::io::Errno::INVAL) => Ok(()),
        Err(errno) => Err(Error::host("unmount", target)(errno.into())),
    }
}

/// Splits `mount(8)` options into flags, what the file system itself understands, and whether a bind is meant.
fn split(data: &str) -> (MountFlags, String, bool) {
    let (mut flags, mut rest, mut bind) = (MountFlags::empty(), Vec::new(), false);
    for option in data.split(',').filter(|option| !option.is_empty()) {
        match option {
            "bind" | "rbind" => bind = true,
            "ro" => flags |= MountFlags::RDONLY,
            "rw" | "defaults" => (),
            "nosuid" => flags |= MountFlags::NOSUID,
            "nodev" => flags |= MountFlags::NODEV,
            "noexec" => flags |= MountFlags::NOEXEC,
            "noatime" => flags |= MountFlags::NOATIME,
            "sync" => flags |= MountFlags::SYNCHRONOUS,
            other => rest.push(other),
        }
    }
    (flags, rest.join(","), bind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_options_split_into_flags_and_the_file_systems_own() {
        let (flags, rest, bind) = split("size=100m,ro,nosuid,uid=1000");
        assert_eq!(flags, MountFlags::RDONLY | MountFlags::NOSUID);
        assert_eq!((rest.as_str(), bind), ("size=100m,uid=1000", false));
        assert!(split("bind").2);
    }
}
