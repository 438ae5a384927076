//! The device nodes every container has, those of the spec, and the links beside them.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use hakone_mount::{Detached, Root};
use oci_spec::runtime::{LinuxDevice, LinuxDeviceType, Spec};
use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, Uid, chmodat, chownat, fstat, major, makedev, minor,
        mknodat, open, statat, symlinkat,
    },
    io::Errno,
};

use super::{has_user_namespace, linux};
use crate::{StartError, plan::Plan};

/// A device node to make.
struct Node {
    path: PathBuf,
    kind: FileType,
    number: u64,
    mode: u32,
    owner: (u32, u32),
}

const DEFAULTS: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
];

/// The host's `/dev/null`, made sure of, for covering files with where the container has none (CVE-2025-31133).
pub(super) fn null() -> Result<OwnedFd, StartError> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let null = open("/dev/null", flags, Mode::empty());
    let null = null.map_err(StartError::step("open /dev/null"))?;
    match is_null(&null) {
        true => Ok(null),
        false => Err(StartError::of(
            "the host's /dev/null is not the null device",
        )),
    }
}

/// The container's own one, for what its root does to the mode, the owner and the watches of it is nobody else's.
pub(super) fn own_null(root: &Root) -> Option<OwnedFd> {
    let null = root.resolve_plain(Path::new("/dev/null")).ok()?;
    is_null(&null).then_some(null)
}

/// Reports whether this is the null device, whatever its name says.
pub(crate) fn is_null(file: impl AsFd) -> bool {
    fstat(file).is_ok_and(|status| {
        let is_device = FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice;
        is_device && (major(status.st_rdev), minor(status.st_rdev)) == (1, 3)
    })
}

/// Fills `/dev`, unless the user bound a folder of the host there.
pub(super) fn populate(root: &Root, plan: &Plan<'_>) -> Result<(), StartError> {
    if is_bound(plan.spec) {
        return Ok(());
    }
    for node in nodes(plan.spec)? {
        let made = if has_user_namespace(plan) {
            bind(root, &node)
        } else {
            make(root, &node)
        };
        made?;
    }
    let folder = root
        .ensure_folder(Path::new("/dev"))
        .map_err(StartError::of)?;
    // A kernel without `/proc/kcore` gets no name for it.
    let has_core = Path::new("/proc/kcore").exists();
    for (name, target) in LINKS
        .into_iter()
        .filter(|link| has_core || link.0 != "core")
    {
        link(&folder, name, target)?;
    }
    if root.resolve_plain(Path::new("/dev/pts/ptmx")).is_ok() {
        // The container's own terminals, never the host's.
        rustix::fs::unlinkat(&folder, "ptmx", AtFlags::empty()).ok();
        link(&folder, "ptmx", "pts/ptmx")?;
    }
    Ok(())
}

fn is_bound(spec: &Spec) -> bool {
    let mut mounts = spec.mounts().iter().flatten();
    mounts.any(|one| {
        let options = one.options().iter().flatten();
        let bind = one.typ().as_deref() == Some("bind")
            || options
                .into_iter()
                .any(|option| option == "bind" || option == "rbind");
        bind && one.destination() == Path::new("/dev")
    })
}

fn nodes(spec: &Spec) -> Result<Vec<Node>, StartError> {
    let wanted = linux(spec).and_then(|linux| linux.devices().as_deref());
    let wanted = wanted.unwrap_or_default();
    let named = |path: &str| wanted.iter().any(|one| one.path() == Path::new(path));
    let defaults = DEFAULTS.iter().filter(|(path, _, _)| !named(path));
    let mut nodes: Vec<Node> = defaults
        .map(|(path, major, minor)| Node {
            path: path.into(),
            kind: FileType::CharacterDevice,
            number: makedev(*major, *minor),
            mode: 0o666,
            owner: (0, 0),
        })
        .collect();
    for device in wanted {
        nodes.push(node(device)?);
    }
    Ok(nodes)
}

fn node(device: &LinuxDevice) -> Result<Node, StartError> {
    let number = |value: i64| {
        u32::try_from(value).map_err(|_negative| StartError::of("invalid device number"))
    };
    let kind = match device.typ() {
        LinuxDeviceType::B => FileType::BlockDevice,
        LinuxDeviceType::C | LinuxDeviceType::U => FileType::CharacterDevice,
        LinuxDeviceType::P => FileType::Fifo,
        LinuxDeviceType::A => return Err(StartError::of("invalid device type: a")),
    };
    Ok(Node {
        path: device.path().clone(),
        kind,
        number: makedev(number(device.major())?, number(device.minor())?),
        mode: device.file_mode().unwrap_or(0o666) & 0o7777,
        owner: (device.uid().unwrap_or(0), device.gid().unwrap_or(0)),
    })
}

fn make(root: &Root, node: &Node) -> Result<(), StartError> {
    let parent = node.path.parent().unwrap_or(Path::new("/"));
    let folder = root.ensure_folder(parent).map_err(StartError::of)?;
    let name = node.path.file_name().unwrap_or_default();
    let mode = Mode::from_raw_mode(node.mode);
    match mknodat(&folder, name, node.kind, mode, node.number) {
        Ok(()) => {}
        Err(Errno::EXIST) => return check(&folder, node),
        Err(errno) => return Err(failed(node, errno)),
    }
    let (user, group) = node.owner;
    let owner = (Some(Uid::from_raw(user)), Some(Gid::from_raw(group)));
    chownat(&folder, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
        // The mode after the owner, and past our umask.
        .and_then(|()| chmodat(&folder, name, mode, AtFlags::empty()))
        .map_err(|errno| failed(node, errno))
}

/// What is there already must be that very device.
fn check(folder: &OwnedFd, node: &Node) -> Result<(), StartError> {
    let name = node.path.file_name().unwrap_or_default();
    let status = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    let status = status.map_err(|errno| failed(node, errno))?;
    let same =
        FileType::from_raw_mode(status.st_mode) == node.kind && status.st_rdev == node.number;
    if same {
        Ok(())
    } else {
        Err(failed(node, Errno::EXIST))
    }
}

/// In a user namespace no device can be made: the host's is bound.
fn bind(root: &Root, node: &Node) -> Result<(), StartError> {
    let source = Detached::bind(&node.path, false).map_err(StartError::of)?;
    let target = root.ensure_file(&node.path).map_err(StartError::of)?;
    let attached = source.attach(target.as_fd());
    attached.map(drop).map_err(|errno| failed(node, errno))
}

fn link(folder: &OwnedFd, name: &str, target: &str) -> Result<(), StartError> {
    match symlinkat(target, folder, name) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(StartError::step("create link in /dev")(errno)),
    }
}

fn failed(node: &Node, errno: Errno) -> StartError {
    let reason = hakone_sys::reason(errno);
    StartError::Other(format!("create device {}: {reason}", node.path.display()))
}
