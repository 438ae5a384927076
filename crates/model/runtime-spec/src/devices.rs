//! Device nodes and the rules of the device cgroup.

use oci_spec::runtime::{LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType};

use crate::{Resolved, ResolvedDevice};
use hakone_spec::{ContainerSpec, DeviceKind, DeviceRule};

/// Devices every container may use: major, minor (any when absent), letters. After Docker's and runc's lists.
const ALLOWED: [(LinuxDeviceType, Option<i64>, Option<i64>, &str); 11] = [
    (LinuxDeviceType::C, None, None, "m"),
    (LinuxDeviceType::B, None, None, "m"),
    (LinuxDeviceType::C, Some(1), Some(3), "rwm"),
    (LinuxDeviceType::C, Some(1), Some(5), "rwm"),
    (LinuxDeviceType::C, Some(1), Some(7), "rwm"),
    (LinuxDeviceType::C, Some(1), Some(8), "rwm"),
    (LinuxDeviceType::C, Some(1), Some(9), "rwm"),
    (LinuxDeviceType::C, Some(5), Some(0), "rwm"),
    (LinuxDeviceType::C, Some(5), Some(1), "rwm"),
    (LinuxDeviceType::C, Some(5), Some(2), "rwm"),
    (LinuxDeviceType::C, Some(136), None, "rwm"),
];

/// Lists the nodes beyond the runtime's own (`/dev/null` and its like).
pub(crate) fn nodes(resolved: &Resolved) -> Vec<LinuxDevice> {
    resolved.devices.iter().map(node).collect()
}

/// Lists the rules: all denied, the harmless allowed, then what was asked for. A privileged container may use all.
pub(crate) fn rules(spec: &ContainerSpec, resolved: &Resolved) -> Vec<LinuxDeviceCgroup> {
    if spec.security.privileged {
        return vec![rule(true, None, (None, None), "rwm")];
    }
    let deny = rule(false, None, (None, None), "rwm");
    let basic = ALLOWED
        .map(|(kind, major, minor, letters)| rule(true, Some(kind), (major, minor), letters));
    let own = resolved.devices.iter().map(device_rule);
    let asked = spec.device_rules.iter().map(asked_rule);
    [deny]
        .into_iter()
        .chain(basic)
        .chain(own)
        .chain(asked)
        .collect()
}

fn node(device: &ResolvedDevice) -> LinuxDevice {
    let mut node = LinuxDevice::default();
    node.set_path(device.path.clone().into());
    node.set_typ(kind(device.kind));
    node.set_major(device.major.into());
    node.set_minor(device.minor.into());
    node.set_file_mode(Some(device.mode & 0o7777));
    node.set_uid(Some(device.uid));
    node.set_gid(Some(device.gid));
    node
}

fn device_rule(device: &ResolvedDevice) -> LinuxDeviceCgroup {
    let numbers = (Some(device.major.into()), Some(device.minor.into()));
    rule(
        true,
        Some(kind(device.kind)),
        numbers,
        &device.access.letters(),
    )
}

fn asked_rule(asked: &DeviceRule) -> LinuxDeviceCgroup {
    let numbers = (asked.major.map(i64::from), asked.minor.map(i64::from));
    rule(
        true,
        Some(kind(asked.kind)),
        numbers,
        &asked.access.letters(),
    )
}

const fn kind(kind: DeviceKind) -> LinuxDeviceType {
    match kind {
        DeviceKind::All => LinuxDeviceType::A,
        DeviceKind::Block => LinuxDeviceType::B,
        DeviceKind::Character => LinuxDeviceType::C,
    }
}

fn rule(
    allow: bool,
    kind: Option<LinuxDeviceType>,
    (major, minor): (Option<i64>, Option<i64>),
    letters: &str,
) -> LinuxDeviceCgroup {
    let mut rule = LinuxDeviceCgroup::default();
    rule.set_allow(allow);
    rule.set_typ(kind);
    rule.set_major(major);
    rule.set_minor(minor);
    rule.set_access(Some(letters.to_owned()));
    rule
}
