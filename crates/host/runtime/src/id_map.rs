//! Writes the id maps of a new user namespace.

use oci_spec::runtime::{LinuxIdMapping, Spec};
use rustix::{
    fs::{Mode, OFlags, open},
    process::Pid,
};

use crate::StartError;

/// Maps the ids of `pid`'s user namespace as the spec says.
pub(crate) fn write(pid: Pid, spec: &Spec) -> Result<(), StartError> {
    let linux = spec.linux().as_ref();
    let users = linux.and_then(|linux| linux.uid_mappings().as_deref());
    let groups = linux.and_then(|linux| linux.gid_mappings().as_deref());
    put(pid, "uid_map", users.unwrap_or_default())?;
    put(pid, "gid_map", groups.unwrap_or_default())
}

fn put(pid: Pid, file: &'static str, mappings: &[LinuxIdMapping]) -> Result<(), StartError> {
    let path = format!("/proc/{}/{file}", pid.as_raw_nonzero());
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let written = open(&path, flags, Mode::empty())
        .and_then(|map| rustix::io::write(map, text(mappings).as_bytes()));
    written.map(drop).map_err(StartError::step(file))
}

/// One line a range: inside, outside, length. The kernel takes the whole map in one write.
pub(crate) fn text(mappings: &[LinuxIdMapping]) -> String {
    mappings
        .iter()
        .map(|one| format!("{} {} {}\n", one.container_id(), one.host_id(), one.size()))
        .collect()
}
