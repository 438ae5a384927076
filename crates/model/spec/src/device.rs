//! `--device` and `--device-cgroup-rule`.

use hakone_engine_api::wire::{self, HostConfig};

use crate::Error;

/// A device of the host that the container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRequest {
    /// Its path on the host; a folder stands for every device in it.
    pub host: String,
    /// Its path in the container.
    pub container: String,
    /// What the container may do with it.
    pub access: Access,
}

/// A rule of the device cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    /// Which sort of device.
    pub kind: DeviceKind,
    /// The major number, any when absent.
    pub major: Option<u32>,
    /// The minor number, any when absent.
    pub minor: Option<u32>,
    /// What is allowed.
    pub access: Access,
}

/// The sort of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// Both.
    All,
    /// Block devices.
    Block,
    /// Character devices.
    Character,
}

/// What may be done with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Reading.
    pub read: bool,
    /// Writing.
    pub write: bool,
    /// Making its node.
    pub mknod: bool,
}

impl Access {
    /// All three.
    pub const ALL: Self = Self {
        read: true,
        write: true,
        mknod: true,
    };

    /// Reads `rwm` in any order, one to three letters.
    fn parse(text: &str) -> Option<Self> {
        let known = (1..=3).contains(&text.len()) && text.bytes().all(|b| b"rwm".contains(&b));
        known.then(|| Self {
            read: text.contains('r'),
            write: text.contains('w'),
            mknod: text.contains('m'),
        })
    }

    /// Gives the letters in the kernel's order.
    #[must_use]
    pub fn letters(self) -> String {
        let letters = [(self.read, 'r'), (self.write, 'w'), (self.mknod, 'm')];
        letters
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, letter)| letter)
            .collect()
    }
}

pub(crate) fn parse(host: &HostConfig) -> Result<Vec<DeviceRequest>, Error> {
    if let Some(request) = host.device_requests.iter().flatten().next() {
        return Err(no_driver(request));
    }
    host.devices.iter().flatten().map(mapping).collect()
}

fn mapping(device: &wire::DeviceMapping) -> Result<DeviceRequest, Error> {
    let host = device.path_on_host.clone().unwrap_or_default();
    let inside = device
        .path_in_container
        .clone()
        .filter(|path| !path.is_empty());
    let container = inside.unwrap_or_else(|| host.clone());
    let letters = device
        .cgroup_permissions
        .as_deref()
        .filter(|text| !text.is_empty());
    let access = Access::parse(letters.unwrap_or("rwm"))
        .ok_or_else(|| Error::DeviceMode(letters.unwrap_or_default().to_owned()))?;
    match host.starts_with('/') && container.starts_with('/') {
        true => Ok(DeviceRequest {
            host,
            container: crate::mount::clean(&container),
            access,
        }),
        false => Err(Error::Device(host)),
    }
}

fn no_driver(request: &wire::DeviceRequest) -> Error {
    let groups = request.capabilities.iter().flatten();
    let groups: Vec<String> = groups
        .map(|group| format!("[{}]", group.join(" ")))
        .collect();
    Error::DeviceDriver {
        driver: request.driver.clone().unwrap_or_default(),
        capabilities: groups.join(" "),
    }
}

pub(crate) fn rules(host: &HostConfig) -> Result<Vec<DeviceRule>, Error> {
    let rules = host.device_cgroup_rules.iter().flatten();
    rules
        .map(|text| rule(text).ok_or_else(|| Error::DeviceRule(text.clone())))
        .collect()
}

/// Reads `c 10:200 rwm`, `b *:* m`.
fn rule(text: &str) -> Option<DeviceRule> {
    let [kind, numbers, access] = text.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let (major, minor) = numbers.split_once(':')?;
    Some(DeviceRule {
        kind: match kind {
            "a" => DeviceKind::All,
            "b" => DeviceKind::Block,
            "c" => DeviceKind::Character,
            _ => return None,
        },
        major: number(major)?,
        minor: number(minor)?,
        access: Access::parse(access)?,
    })
}

/// Reads a number, or `*` for any.
#[expect(
    clippy::option_option,
    reason = "outer: well-formed; inner: any number"
)]
fn number(text: &str) -> Option<Option<u32>> {
    match text {
        "*" => Some(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok().map(Some),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_follows_the_kernels_format() {
        let parsed = rule("c 10:* rm").unwrap();
        assert_eq!((parsed.major, parsed.minor), (Some(10), None));
        assert_eq!(parsed.access.letters(), "rm");
        for odd in ["c 10 rwm", "x 1:1 r", "c 1:1 rx", "c 1:1  r", "c +1:1 r"] {
            assert_eq!(rule(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_device_defaults_to_its_own_path_and_all_access() {
        let wire = wire::DeviceMapping {
            path_on_host: Some("/dev/fuse".into()),
            ..Default::default()
        };
        let parsed = mapping(&wire).unwrap();
        assert_eq!(parsed.container, "/dev/fuse");
        assert_eq!(parsed.access, Access::ALL);
    }

    #[test]
    fn a_request_for_a_gpu_is_refused_in_dockers_words() {
        let request = wire::DeviceRequest {
            capabilities: Some(vec![vec!["gpu".into()]]),
            ..Default::default()
        };
        let host = HostConfig {
            device_requests: Some(vec![request]),
            ..Default::default()
        };
        let error = parse(&host).unwrap_err().to_string();
        assert_eq!(
            error,
            r#"could not select device driver "" with capabilities: [[gpu]]"#
        );
    }
}
