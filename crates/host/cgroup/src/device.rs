//! Which devices the processes of a group may use: files in v1, a BPF program in v2.

mod program;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use crate::{Cgroup, Error, Version, file};

/// Applies the rules; the last that fits a device decides.
pub(crate) fn apply(cgroup: &Cgroup, rules: &[LinuxDeviceCgroup]) -> Result<Option<String>, Error> {
    if rules.is_empty() {
        return Ok(None);
    }
    match cgroup.version() {
        Version::V2 => attach(cgroup, rules),
        Version::V1 | Version::Hybrid => write(cgroup, rules),
    }
}

fn write(cgroup: &Cgroup, rules: &[LinuxDeviceCgroup]) -> Result<Option<String>, Error> {
    let Some(folder) = cgroup.folder("devices") else {
        return Err(Error::Unsupported("restricting devices"));
    };
    for rule in rules {
        let name = if rule.allow() {
            "devices.allow"
        } else {
            "devices.deny"
        };
        file::write(&folder.join(name), &line(rule))?;
    }
    Ok(None)
}

/// The rule as v1 writes it; `a` alone stands for every device and access.
fn line(rule: &LinuxDeviceCgroup) -> String {
    let kind = match rule.typ().unwrap_or_default() {
        LinuxDeviceType::A => return "a".into(),
        LinuxDeviceType::B => "b",
        LinuxDeviceType::C | LinuxDeviceType::U => "c",
        LinuxDeviceType::P => return String::new(),
    };
    let number = |value: Option<i64>| match value {
        Some(value) if value >= 0 => value.to_string(),
        Some(_) | None => "*".into(),
    };
    let access = rule.access().as_deref().unwrap_or("rwm");
    format!(
        "{kind} {}:{} {access}",
        number(rule.major()),
        number(rule.minor())
    )
}

fn attach(cgroup: &Cgroup, rules: &[LinuxDeviceCgroup]) -> Result<Option<String>, Error> {
    let Some(folder) = cgroup.unified() else {
        return Err(Error::Unsupported("restricting devices"));
    };
    program::attach(folder, rules).map(|()| None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_as_the_kernel_writes_them() {
        let rule = |text: &str| -> LinuxDeviceCgroup { serde_json::from_str(text).unwrap() };
        let all = rule(r#"{"allow": false, "access": "rwm"}"#);
        assert_eq!(line(&all), "a");
        let null = rule(r#"{"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rw"}"#);
        assert_eq!(line(&null), "c 1:3 rw");
        let any = rule(r#"{"allow": true, "type": "b", "access": "m"}"#);
        assert_eq!(line(&any), "b *:* m");
    }
}
