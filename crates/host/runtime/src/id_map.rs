//! Writes the id maps of a new user namespace.

use oci_spec::runtime::{LinuxIdMapping, Spec};
use rustix::{
    fs::{Mode, OFlags, open},
    process::Pid,
};

use crate::StartError;

/// The host's root as the last id there is.
const MAKER: &str = "4294967294 0 1\n";

/// Maps the ids of `pid`'s user namespace as the spec says.
pub(crate) fn write(pid: Pid, spec: &Spec) -> Result<(), StartError> {
    let (users, groups) = of(spec);
    put(pid, "uid_map", &text(users))?;
    put(pid, "gid_map", &text(groups))
}

/// The same, and the host's root as an id that no container has: who makes a mount works in it, too, until a file is given away.
pub(crate) fn write_with_maker(pid: Pid, spec: &Spec) -> Result<(), StartError> {
    let (users, groups) = of(spec);
    let with_maker = |maps: &[LinuxIdMapping]| match maps.iter().any(|map| map.host_id() == 0) {
        true => text(maps),
        false => text(maps) + MAKER,
    };
    put(pid, "uid_map", &with_maker(users))?;
    put(pid, "gid_map", &with_maker(groups))
}

fn of(spec: &Spec) -> (&[LinuxIdMapping], &[LinuxIdMapping]) {
    let linux = spec.linux().as_ref();
    let users = linux.and_then(|linux| linux.uid_mappings().as_deref());
    let groups = linux.and_then(|linux| linux.gid_mappings().as_deref());
    (users.unwrap_or_default(), groups.unwrap_or_default())
}

fn put(pid: Pid, file: &'static str, map: &str) -> Result<(), StartError> {
    let path = format!("/proc/{}/{file}", pid.as_raw_nonzero());
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let written =
        open(&path, flags, Mode::empty()).and_then(|file| rustix::io::write(file, map.as_bytes()));
    written.map(drop).map_err(StartError::step(file))
}

/// One line a range: inside, outside, length. The kernel takes the whole map in one write.
pub(crate) fn text(mappings: &[LinuxIdMapping]) -> String {
    mappings
        .iter()
        .map(|one| format!("{} {} {}\n", one.container_id(), one.host_id(), one.size()))
        .collect()
}
