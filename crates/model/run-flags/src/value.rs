//! Parsers of single flag values, with docker's words for what is wrong.

use std::net::IpAddr;

use hakone_engine_api::wire::{
    DeviceMapping, ResourcesBlkioWeightDevice, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum, ThrottleDevice,
};

use crate::quantity::parse_bytes;

/// Parses a truth value as Go does.
///
/// # Errors
/// In docker's words.
pub fn truth(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!(
            "strconv.ParseBool: parsing {text:?}: invalid syntax"
        )),
    }
}

/// Parses a whole number with Go's complaint.
///
/// # Errors
/// In docker's words.
pub fn integer(text: &str) -> Result<i64, String> {
    text.parse()
        .ok()
        .ok_or_else(|| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
}

/// Parses a share of processors, `1.5`, into billionths.
///
/// # Errors
/// In docker's words.
pub fn cpus(text: &str) -> Result<i64, String> {
    let refuse = || format!("failed to parse {text} as a rational number");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 {
        return Err("value is too precise".into());
    }
    let digits = format!("{whole}{fraction:0<9}");
    digits
        .parse()
        .ok()
        .filter(|n: &i64| *n >= 0)
        .ok_or_else(refuse)
}

/// Parses `key=value` or `key` of an environment.
///
/// # Errors
/// In docker's words.
pub fn variable(text: &str) -> Result<String, String> {
    match text.starts_with('=') || text.is_empty() {
        true => Err(format!("invalid environment variable: {text}")),
        false => Ok(text.to_owned()),
    }
}

/// Parses a label.
///
/// # Errors
/// In docker's words.
pub fn label(text: &str) -> Result<String, String> {
    match text.split_once('=').map_or(text, |(key, _)| key).trim() {
        "" => Err(format!("invalid label '{text}': empty name")),
        _ => Ok(text.to_owned()),
    }
}

/// Parses `key=value`, both wanted.
///
/// # Errors
/// In docker's words.
pub fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    Ok((key.to_owned(), value.to_owned()))
}

/// Parses `key=value` of a filter.
///
/// # Errors
/// In docker's words.
pub fn filter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_lowercase(), value.trim().to_owned())),
        None => Err("bad format of filter (expected name=value)".into()),
    }
}

/// Parses the name of a stream to attach.
///
/// # Errors
/// In docker's words.
pub fn stream(text: &str) -> Result<String, String> {
    let lower = text.to_lowercase();
    match matches!(lower.as_str(), "stdin" | "stdout" | "stderr") {
        true => Ok(lower),
        false => Err("valid streams are STDIN, STDOUT and STDERR".into()),
    }
}

/// Parses `host:address`, or `host=address`.
///
/// # Errors
/// In docker's words.
pub fn extra_host(text: &str) -> Result<String, String> {
    let refuse = || format!("bad format for add-host: {text:?}");
    let (host, address) = text
        .split_once('=')
        .or_else(|| text.split_once(':'))
        .ok_or_else(refuse)?;
    if host.is_empty() {
        return Err(refuse());
    }
    let bare = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(address);
    if bare != "host-gateway" && bare.parse::<IpAddr>().is_err() {
        return Err(format!("invalid IP address in add-host: {bare:?}"));
    }
    Ok(format!("{host}:{bare}"))
}

/// Parses an address.
///
/// # Errors
/// In docker's words.
pub fn address(text: &str) -> Result<String, String> {
    match text.trim().parse::<IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err(format!("IP address is not correctly formatted: {text}")),
    }
}

/// Parses a search domain; a lone dot means "none".
///
/// # Errors
/// In docker's words.
pub fn domain(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    match text == "." || text.trim_end_matches('.').split('.').all(fits) {
        true => Ok(text.to_owned()),
        false => Err(format!("{text} is not a valid domain")),
    }
}

/// Parses `name[:alias]`.
///
/// # Errors
/// In docker's words.
pub fn link(text: &str) -> Result<String, String> {
    match text.split(':').count() {
        _ if text.is_empty() => Err("empty string specified for links".into()),
        1 | 2 => Ok(text.to_owned()),
        _ => Err(format!("bad format for links: {text}")),
    }
}

/// Parses `name=soft[:hard]`.
///
/// # Errors
/// In docker's words.
pub fn ulimit(text: &str) -> Result<ResourcesUlimits, String> {
    const NAMES: [&str; 15] = [
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    let refuse = || format!("invalid ulimit argument: {text}");
    let (name, values) = text.split_once('=').ok_or_else(refuse)?;
    if !NAMES.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let number = |text: &str| text.parse::<i64>().ok().ok_or_else(refuse);
    let (soft, hard) = (number(soft)?, number(hard)?);
    if hard != -1 && (soft > hard || soft == -1) {
        return Err(format!(
            "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        ));
    }
    Ok(ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(soft),
        hard: Some(hard),
    })
}

/// Parses `path:weight`.
///
/// # Errors
/// In docker's words.
pub fn weight(text: &str) -> Result<ResourcesBlkioWeightDevice, String> {
    let (path, value) = device_and_value(text)?;
    match value.parse::<usize>() {
        Ok(weight) if weight == 0 || (10..=1000).contains(&weight) => {
            Ok(ResourcesBlkioWeightDevice {
                path: Some(path),
                weight: Some(weight),
            })
        }
        _ => Err(format!("invalid weight for device: {text}")),
    }
}

/// Parses `path:bytes`.
///
/// # Errors
/// In docker's words.
pub fn rate_of_bytes(text: &str) -> Result<ThrottleDevice, String> {
    let (path, value) = device_and_value(text)?;
    match parse_bytes(&value) {
        Ok(rate) => Ok(ThrottleDevice {
            path: Some(path),
            rate: Some(rate),
        }),
        Err(_) => Err(format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        )),
    }
}

/// Parses `path:operations`.
///
/// # Errors
/// In docker's words.
pub fn rate_of_operations(text: &str) -> Result<ThrottleDevice, String> {
    let (path, value) = device_and_value(text)?;
    match value.parse::<i64>() {
        Ok(rate) if rate >= 0 => Ok(ThrottleDevice {
            path: Some(path),
            rate: Some(rate),
        }),
        _ => Err(format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>. Number must be a positive integer"
        )),
    }
}

fn device_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((path, _)) if !path.starts_with("/dev/") => {
            Err(format!("bad format for device path: {text}"))
        }
        Some((path, value)) if !path.is_empty() && !value.is_empty() => {
            Ok((path.to_owned(), value.to_owned()))
        }
        _ => Err(format!("bad format: {text}")),
    }
}

/// Parses `host[:container][:permissions]`.
///
/// # Errors
/// In docker's words.
pub fn device(text: &str) -> Result<DeviceMapping, String> {
    let mode = |text: &str| {
        !text.is_empty() && text.len() <= 3 && text.chars().all(|c| matches!(c, 'r' | 'w' | 'm'))
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, permissions) = match parts.as_slice() {
        [source] => (*source, *source, "rwm"),
        [source, last] if mode(last) => (*source, *source, *last),
        [source, target] => (*source, *target, "rwm"),
        [source, target, permissions] if mode(permissions) => (*source, *target, *permissions),
        _ => return Err(format!("invalid device specification: {text}")),
    };
    if ![source, target].iter().all(|path| path.starts_with('/')) {
        return Err(format!("{text} is not an absolute path"));
    }
    Ok(DeviceMapping {
        path_on_host: Some(source.to_owned()),
        path_in_container: Some(target.to_owned()),
        cgroup_permissions: Some(permissions.to_owned()),
    })
}

/// Parses `type major:minor permissions`.
///
/// # Errors
/// In docker's words.
pub fn device_rule(text: &str) -> Result<String, String> {
    let number = |text: &str| text == "*" || text.parse::<u32>().is_ok();
    let fits = match text.split(' ').collect::<Vec<_>>().as_slice() {
        [kind, numbers, mode] => {
            matches!(*kind, "a" | "b" | "c")
                && numbers
                    .split_once(':')
                    .is_some_and(|(major, minor)| number(major) && number(minor))
                && !mode.is_empty()
                && mode.chars().all(|c| matches!(c, 'r' | 'w' | 'm'))
        }
        _ => false,
    };
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("invalid device cgroup format '{text}'"))
    }
}

/// Parses `name[:retries]`; the daemon judges the name.
///
/// # Errors
/// In docker's words.
pub fn restart(text: &str) -> Result<RestartPolicy, String> {
    let (name, retries) = text.split_once(':').unwrap_or((text, ""));
    if name.is_empty() && text.contains(':') {
        return Err("invalid restart policy format: no policy provided before colon".into());
    }
    let maximum_retry_count = match retries {
        "" => None,
        retries => Some(
            retries
                .parse()
                .ok()
                .ok_or("invalid restart policy format: maximum retry count must be an integer")?,
        ),
    };
    let name = match name {
        "" => RestartPolicyNameEnum::EMPTY,
        "no" => RestartPolicyNameEnum::NO,
        "always" => RestartPolicyNameEnum::ALWAYS,
        "unless-stopped" => RestartPolicyNameEnum::UNLESS_STOPPED,
        "on-failure" => RestartPolicyNameEnum::ON_FAILURE,
        name => {
            return Err(format!(
                "invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
            ));
        }
    };
    Ok(RestartPolicy {
        name: Some(name),
        maximum_retry_count,
    })
}

/// Parses a kernel setting of a container's own.
///
/// # Errors
/// In docker's words.
pub fn sysctl(text: &str) -> Result<(String, String), String> {
    const KERNEL: [&str; 7] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
    ];
    match text.split_once('=') {
        Some((key, value))
            if key.starts_with("net.")
                || key.starts_with("fs.mqueue.")
                || key == "kernel.shm_rmid_forced"
                || KERNEL.contains(&key) =>
        {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err(format!("sysctl '{text}' is not allowed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_one_to_three_parts() {
        let shown = |text: &str| {
            device(text).map(|d| {
                [d.path_on_host, d.path_in_container, d.cgroup_permissions]
                    .map(Option::unwrap_or_default)
                    .join(" ")
            })
        };
        assert_eq!(shown("/dev/fuse").unwrap(), "/dev/fuse /dev/fuse rwm");
        assert_eq!(shown("/dev/a:/dev/b").unwrap(), "/dev/a /dev/b rwm");
        assert_eq!(shown("/dev/a:r").unwrap(), "/dev/a /dev/a r");
        assert!(shown("/dev/a:/dev/b:rwx").is_err());
        assert!(shown("a:b:c:d").is_err());
    }

    #[test]
    fn ulimits_are_ordered() {
        assert_eq!(ulimit("nproc=5").unwrap().hard, Some(5));
        assert!(
            ulimit("nofile=9:8")
                .unwrap_err()
                .contains("less than or equal")
        );
        assert_eq!(ulimit("x").unwrap_err(), "invalid ulimit argument: x");
        assert_eq!(ulimit("bogus=1").unwrap_err(), "invalid ulimit type: bogus");
        assert!(ulimit("memlock=-1:-1").is_ok());
    }

    #[test]
    fn processors_are_counted_in_billionths() {
        assert_eq!(cpus("1.5"), Ok(1_500_000_000));
        assert_eq!(cpus(".25"), Ok(250_000_000));
        assert!(cpus("x").unwrap_err().contains("rational"));
    }

    #[test]
    fn an_extra_host_takes_brackets_and_both_separators() {
        assert_eq!(extra_host("db:10.0.0.1").unwrap(), "db:10.0.0.1");
        assert_eq!(extra_host("db=[::1]").unwrap(), "db:::1");
        assert_eq!(extra_host("h:host-gateway").unwrap(), "h:host-gateway");
        assert_eq!(
            extra_host("x").unwrap_err(),
            "bad format for add-host: \"x\""
        );
    }

    #[test]
    fn only_sysctls_of_the_containers_own_pass() {
        assert!(sysctl("net.ipv4.ip_forward=1").is_ok());
        assert!(sysctl("kernel.panic=1").is_err());
    }

    #[test]
    fn device_rules_and_rates() {
        assert!(device_rule("c 1:3 rwm").is_ok() && device_rule("x 1:3 r").is_err());
        assert_eq!(rate_of_bytes("/dev/sda:1mb").unwrap().rate, Some(1 << 20));
        assert_eq!(weight("x").unwrap_err(), "bad format: x");
    }

    #[test]
    fn restart_policies_carry_retries() {
        assert_eq!(
            restart("on-failure:3").unwrap().maximum_retry_count,
            Some(3)
        );
        assert!(restart("on-failure:x").is_err());
    }
}
