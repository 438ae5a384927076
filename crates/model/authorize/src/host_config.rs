//! Judges a container's `HostConfig`, key by key: what is empty passes, what is known to stay inside the container passes, what is
//! known to be checkable is checked, and all else is refused.
//!
//! The same function judges what a request asks for and what an existing container has: a socket may touch only containers that it
//! could have made itself, else `exec` into a privileged one would be the way to the host.

use hakone_runtime_spec::{MASKED_PATHS, READ_ONLY_PATHS};
use hakone_spec::Capability;
use serde_json::Value;

use crate::{
    Denial, Facts, Grant, mount,
    reference::{first, is_network, joined, strings},
    value::is_empty,
};

/// Keys that stay inside the container, or only bound it.
const FREE: [&str; 33] = [
    "AutoRemove",
    "BlkioWeight",
    "CapDrop",
    "ConsoleSize",
    "ContainerIDFile",
    "CpuCount",
    "CpuPercent",
    "CpuPeriod",
    "CpuQuota",
    "CpuShares",
    "CpusetCpus",
    "CpusetMems",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "ExtraHosts",
    "GroupAdd",
    "IOMaximumBandwidth",
    "IOMaximumIOps",
    "Init",
    "KernelMemory",
    "KernelMemoryTCP",
    "MemoryReservation",
    "MemorySwap",
    "MemorySwappiness",
    "NanoCpus",
    "PortBindings",
    "PublishAllPorts",
    "ReadonlyRootfs",
    "RestartPolicy",
    "ShmSize",
    "Tmpfs",
    "Ulimits",
];

/// Every key of `HostConfig` that a rule file may lift.
pub(crate) const KEYS: [&str; 33] = [
    "Annotations",
    "BlkioDeviceReadBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps",
    "BlkioWeightDevice",
    "CapAdd",
    "Cgroup",
    "CgroupParent",
    "CgroupnsMode",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "DeviceCgroupRules",
    "DeviceRequests",
    "Devices",
    "IpcMode",
    "Isolation",
    "LogConfig",
    "MaskedPaths",
    "Memory",
    "NetworkMode",
    "OomKillDisable",
    "OomScoreAdj",
    "PidMode",
    "PidsLimit",
    "Privileged",
    "ReadonlyPaths",
    "Runtime",
    "SecurityOpt",
    "StorageOpt",
    "Sysctls",
    "UTSMode",
    "UsernsMode",
];

/// Options of log drivers that stay within the log's file.
const LOG_OPTIONS: [&str; 10] = [
    "max-size",
    "max-file",
    "max-buffer-size",
    "compress",
    "mode",
    "tag",
    "labels",
    "labels-regex",
    "env",
    "env-regex",
];

/// Judges all keys; `depth` counts containers that are joined through others.
pub(crate) fn judge(
    grant: &Grant,
    host: &Value,
    facts: &Facts,
    depth: usize,
) -> Result<(), Denial> {
    let keys = match host {
        Value::Null => return Ok(()),
        Value::Object(keys) => keys,
        _ => return Err(Denial::Unclear("HostConfig is no object".to_owned())),
    };
    for (key, value) in keys {
        if !lifted(grant, key, value) {
            self::key(grant, (key, value), facts, depth)?;
        }
    }
    Ok(())
}

/// Reports whether a rule lifts the key, or every one of its values.
fn lifted(grant: &Grant, key: &str, value: &Value) -> bool {
    let each = |value: &Value| grant.lifts(key, value.as_str());
    match value {
        Value::Array(list) if !list.is_empty() => list.iter().all(each),
        value => each(value),
    }
}

fn key(
    grant: &Grant,
    (key, value): (&str, &Value),
    facts: &Facts,
    depth: usize,
) -> Result<(), Denial> {
    let refused = || Err(Denial::option(format!("HostConfig.{key}")));
    match key {
        "MaskedPaths" => covers(key, value, &MASKED_PATHS),
        "ReadonlyPaths" => covers(key, value, &READ_ONLY_PATHS),
        _ if is_empty(value) => Ok(()),
        "Binds" => mount::binds(grant, value, facts),
        "Mounts" => mount::mounts(grant, value, facts),
        "LogConfig" => log(value, facts),
        "NetworkMode" => network(grant, value, facts, depth),
        "PidMode" | "UTSMode" => mode(grant, (key, value), facts, depth, &["private"]),
        "IpcMode" => {
            let own = ["none", "private", "shareable"];
            mode(grant, (key, value), facts, depth, &own)
        }
        "CgroupnsMode" => {
            let own = ["private", facts.default_cgroupns.as_str()];
            mode(grant, (key, value), facts, depth, &own)
        }
        "Isolation" => mode(grant, (key, value), facts, depth, &["default"]),
        "VolumesFrom" | "Links" => {
            strings(Some(value)).try_for_each(|name| grant.touch_joined(first(name), facts, depth))
        }
        "VolumeDriver" if value == "local" => Ok(()),
        "VolumeDriver" => refused(),
        "Runtime" if *value == facts.default_runtime => Ok(()),
        "CapAdd" => capabilities(grant, value),
        "Memory" => bounded(key, value.as_i64(), facts.bounds.memory),
        "PidsLimit" => bounded(key, value.as_i64(), facts.bounds.pids),
        "StorageOpt" => storage(value, facts.bounds.storage),
        "SecurityOpt" => security(value),
        key if FREE.contains(&key) => Ok(()),
        _ => refused(),
    }
}

/// An empty list takes the protection away; null, and a list with all of it, leaves it.
fn covers(key: &str, value: &Value, wanted: &[&str]) -> Result<(), Denial> {
    let has = |path: &str| strings(Some(value)).any(|own| own == path);
    match value.is_null() || wanted.iter().all(|path| has(path)) {
        true => Ok(()),
        false => Err(Denial::option(format!("HostConfig.{key}"))),
    }
}

fn mode(
    grant: &Grant,
    (key, value): (&str, &Value),
    facts: &Facts,
    depth: usize,
    own: &[&str],
) -> Result<(), Denial> {
    let text = value.as_str().unwrap_or_default();
    match joined(text) {
        _ if own.contains(&text) => Ok(()),
        Some(container) if matches!(key, "PidMode" | "IpcMode") => {
            grant.touch_joined(container, facts, depth)
        }
        Some(_) | None => Err(Denial::because(format!("HostConfig.{key}"), text)),
    }
}

fn network(grant: &Grant, value: &Value, facts: &Facts, depth: usize) -> Result<(), Denial> {
    let text = value.as_str().unwrap_or_default();
    match joined(text) {
        Some(container) => grant.touch_joined(container, facts, depth),
        None if is_network(text) => grant.use_network(text, facts),
        None if text == "host" => Err(Denial::because("HostConfig.NetworkMode", text)),
        None => Ok(()),
    }
}

/// What the daemon bounds stays bounded: less is well, and without a bound of the daemon's so is everything.
fn bounded(key: &str, asked: Option<i64>, most: Option<u64>) -> Result<(), Denial> {
    let Some(most) = most else {
        return Ok(());
    };
    let asked = asked.and_then(|asked| u64::try_from(asked).ok());
    match asked.is_some_and(|asked| asked <= most) {
        true => Ok(()),
        false => Err(Denial::option(format!("HostConfig.{key}"))),
    }
}

/// A size of 0 asks for no bound.
fn storage(value: &Value, most: Option<u64>) -> Result<(), Denial> {
    let options = value.as_object().into_iter().flatten();
    for (_, value) in options {
        let bytes = value.as_str().and_then(hakone_spec::storage_bytes);
        let bytes = bytes.filter(|bytes| *bytes > 0);
        bounded("StorageOpt", bytes.map(u64::cast_signed), most)?;
    }
    Ok(())
}

fn capabilities(grant: &Grant, value: &Value) -> Result<(), Denial> {
    let stays = |name: &str| {
        let known: Option<Capability> = name.parse().ok();
        known.is_some_and(|known| {
            Capability::defaults().contains(&known)
                || grant.lifts("CapAdd", Some(known.short_name()))
        })
    };
    match strings(Some(value)).find(|name| !stays(name)) {
        Some(name) => Err(Denial::because("HostConfig.CapAdd", name)),
        None => Ok(()),
    }
}

fn security(value: &Value) -> Result<(), Denial> {
    const HARMLESS: [&str; 3] = [
        "no-new-privileges",
        "no-new-privileges:true",
        "no-new-privileges=true",
    ];
    match strings(Some(value)).find(|text| !HARMLESS.contains(text)) {
        Some(text) => Err(Denial::because("HostConfig.SecurityOpt", text)),
        None => Ok(()),
    }
}

/// A log server would be spoken to by the daemon, from the host's network or through a socket of the host.
fn log(value: &Value, facts: &Facts) -> Result<(), Denial> {
    let refuse = |text: &str| Err(Denial::because("HostConfig.LogConfig", text));
    let kind = value
        .get("Type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let options = value.get("Config").and_then(Value::as_object);
    let mut options = options.into_iter().flatten().map(|(key, _)| key.as_str());
    match kind {
        "" | "json-file" | "local" | "none" => {
            match options.find(|key| !LOG_OPTIONS.contains(key)) {
                Some(odd) => refuse(odd),
                None => Ok(()),
            }
        }
        kind if kind == facts.default_log_driver && options.next().is_none() => Ok(()),
        kind => refuse(kind),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdict(host: &Value) -> Result<(), Denial> {
        let facts = Facts {
            default_runtime: "hakone".into(),
            ..Facts::default()
        };
        judge(&Grant::role("operator").unwrap(), host, &facts, 0)
    }

    #[test]
    fn everything_that_reaches_the_host_is_refused_by_its_name() {
        for (key, value) in [
            ("Privileged", json!(true)),
            ("Binds", json!(["/:/host"])),
            ("Binds", json!(["/etc/passwd:/p:ro"])),
            (
                "Mounts",
                json!([{"Type": "bind", "Source": "/", "Target": "/h"}]),
            ),
            (
                "Mounts",
                json!([{"Type": "npipe", "Source": "/", "Target": "/h"}]),
            ),
            ("PidMode", json!("host")),
            ("IpcMode", json!("host")),
            ("NetworkMode", json!("host")),
            ("UTSMode", json!("host")),
            ("UsernsMode", json!("host")),
            ("CgroupnsMode", json!("host")),
            ("Devices", json!([{"PathOnHost": "/dev/sda"}])),
            ("DeviceCgroupRules", json!(["a *:* rwm"])),
            ("DeviceRequests", json!([{"Driver": "cdi"}])),
            ("CapAdd", json!(["SYS_ADMIN"])),
            ("CapAdd", json!(["CHOWN", "cap_sys_ptrace"])),
            ("CapAdd", json!(["ALL"])),
            ("SecurityOpt", json!(["seccomp=unconfined"])),
            ("SecurityOpt", json!(["no-new-privileges", "label=disable"])),
            ("SecurityOpt", json!(["no-new-privileges:false"])),
            ("MaskedPaths", json!([])),
            ("ReadonlyPaths", json!(["/proc/bus"])),
            ("Sysctls", json!({"kernel.msgmax": "1"})),
            ("Runtime", json!("runc")),
            ("CgroupParent", json!("/")),
            ("OomScoreAdj", json!(-1000)),
            ("OomKillDisable", json!(true)),
            ("CpuRealtimeRuntime", json!(1)),
            ("Annotations", json!({"a": "b"})),
            (
                "BlkioDeviceReadBps",
                json!([{"Path": "/dev/sda", "Rate": 1}]),
            ),
            ("LogConfig", json!({"Type": "syslog", "Config": {}})),
            (
                "LogConfig",
                json!({"Type": "json-file", "Config": {"syslog-address": "unix:///x"}}),
            ),
            ("VolumeDriver", json!("other")),
            ("VolumesFrom", json!(["nobody"])),
            ("PidMode", json!("container:nobody")),
            ("NetworkMode", json!("container:nobody")),
            ("Cgroup", json!("container:nobody")),
            ("WhatComesTomorrow", json!("x")),
        ] {
            let host = json!({ key: value });
            assert!(verdict(&host).is_err(), "{host}");
        }
    }

    #[test]
    fn what_the_daemon_bounds_no_request_lifts() {
        let bounds = crate::Bounds {
            pids: Some(4096),
            memory: Some(1 << 30),
            storage: Some(10 << 30),
        };
        let asks = |host: Value, bounds| {
            let facts = Facts {
                bounds,
                ..Facts::default()
            };
            judge(&Grant::role("operator").unwrap(), &host, &facts, 0)
        };
        for host in [
            json!({"PidsLimit": -1}),
            json!({"PidsLimit": 4097}),
            json!({"Memory": -1}),
            json!({"Memory": (1_u64 << 30) + 1}),
            json!({"Memory": "many"}),
            json!({"StorageOpt": {"size": "0"}}),
            json!({"StorageOpt": {"SIZE": "11G"}}),
            json!({"StorageOpt": {"size": "1G", "Size": "0"}}),
            json!({"StorageOpt": {"size": 7}}),
        ] {
            assert!(asks(host.clone(), bounds).is_err(), "{host}");
        }
        for host in [
            json!({"PidsLimit": 0, "Memory": 0, "StorageOpt": {}}),
            json!({"PidsLimit": 4096, "Memory": 1 << 30, "StorageOpt": {"size": "10G"}}),
            json!({"PidsLimit": null, "Memory": null, "StorageOpt": null}),
        ] {
            asks(host, bounds).unwrap();
        }
        let unbounded = json!({"PidsLimit": -1, "Memory": -1, "StorageOpt": {"size": "0"}});
        asks(unbounded, crate::Bounds::default()).unwrap();
    }

    #[test]
    fn what_clients_send_without_being_asked_passes() {
        let host = json!({
            "Binds": null, "NetworkMode": "default", "Privileged": false, "PidMode": "", "CapAdd": null,
            "OomScoreAdj": 0, "MemorySwappiness": -1, "ConsoleSize": [24, 80], "MaskedPaths": null,
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "Memory": 1 << 26,
            "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}, "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"], "LogConfig": {"Type": "", "Config": {"max-size": "1m"}},
            "Runtime": "hakone", "IpcMode": "private", "CgroupnsMode": "private", "UTSMode": "",
            "Tmpfs": {"/run": ""}, "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 1}],
        });
        assert_eq!(verdict(&host), Ok(()));
        assert_eq!(verdict(&json!({"CapAdd": ["NET_BIND_SERVICE"]})), Ok(()));
    }

    #[test]
    fn a_rule_lifts_one_option_or_one_of_its_values() {
        let rules = "role = 'operator'\noptions = ['CapAdd=NET_ADMIN', 'Sysctls']";
        let grant = Grant::rules("r", rules).unwrap();
        let verdict = |host| judge(&grant, &host, &Facts::default(), 0).is_ok();
        assert!(verdict(
            json!({"CapAdd": ["cap_net_admin", "CHOWN"], "Sysctls": {"a": "b"}})
        ));
        assert!(!verdict(json!({"CapAdd": ["NET_ADMIN", "SYS_ADMIN"]})));
        assert!(!verdict(json!({"Privileged": true})));
    }
}
