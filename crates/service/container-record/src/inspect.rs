//! All of a container in the API's shape, with the keys that newer descriptions dropped and older clients read.

use std::{collections::BTreeMap, fmt, path::Path};

use hakone_base::PublishedPort;
use hakone_container_model::{health::Health, state::State};
use hakone_engine_api::wire;
use serde_json::{Map, Value, json};

use crate::{
    Mount, MountKind, Network, Record,
    endpoint::{self, Endpoint},
};

/// What is shown beside the record: where its files are, and what the host says.
pub struct Around<'a> {
    /// `<data root>/containers/<id>`.
    pub folder: &'a Path,
    /// `<run root>/containers/<id>`.
    pub run_folder: &'a Path,
    /// The newest file of its log.
    pub log: &'a Path,
    /// Commands that run in it.
    pub execs: Vec<String>,
    /// The runtime of those who ask for none.
    pub runtime: &'a str,
    /// The shared memory of those who ask for no size.
    pub shm_size: u64,
    /// Finds a network by name or id.
    pub networks: Networks<'a>,
}

/// Finds a network by name or id.
pub type Networks<'a> = &'a dyn Fn(&str) -> Option<Network>;

impl fmt::Debug for Around<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Around")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// Shows all of a container.
#[must_use]
pub fn inspect(record: &Record, around: &Around<'_>) -> Value {
    let path = |name: &str| around.folder.join(name).to_string_lossy().into_owned();
    let execs = Some(&around.execs).filter(|ids| !ids.is_empty());
    let log = match record.log_driver() {
        "json-file" => around.log.to_string_lossy().into_owned(),
        _ => String::new(),
    };
    let mut shown = json!({
        "Id": record.id.as_str(),
        "Created": record.created.to_string(),
        "Path": record.command.first().map(String::as_str).unwrap_or_default(),
        "Args": record.command.get(1..).unwrap_or_default(),
        "State": state(record),
        "Image": record.image.as_str(),
        "ResolvConfPath": path("resolv.conf"),
        "HostnamePath": path("hostname"),
        "HostsPath": path("hosts"),
        "LogPath": log,
        "Name": format!("/{}", record.name),
        "RestartCount": record.restarts,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": execs,
        "HostConfig": host_config(record, around),
        "GraphDriver": {
            "Name": "overlay2",
            "Data": {
                "MergedDir": around.run_folder.join("rootfs"),
                "UpperDir": around.folder.join("upper"),
                "WorkDir": around.folder.join("work"),
            },
        },
        "Mounts": mounts(record),
        "Config": config(&record.config),
        "NetworkSettings": network_settings(record, around.networks),
    });
    if let (Some(fields), Some(manifest)) = (shown.as_object_mut(), &record.manifest) {
        fields.insert("ImageManifestDescriptor".to_owned(), json!(manifest));
    }
    shown
}

fn host_config(record: &Record, around: &Around<'_>) -> Value {
    let asked = serde_json::to_value(&record.host).unwrap_or_default();
    let privileged = record.host.privileged.unwrap_or(false);
    let defaults = serde_json::from_str(HOST_DEFAULTS).unwrap_or_default();
    let mut shown = filled(defaults, asked);
    let mut set = |key: &str, value: Value| {
        if let Some(shown) = shown.as_object_mut() {
            shown.insert(key.to_owned(), value);
        }
    };
    set("NetworkMode", json!(network_mode(record)));
    set(
        "LogConfig",
        json!({"Type": record.log_driver(), "Config": log_options(record)}),
    );
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if text(&record.host.ipc_mode).is_none() {
        set("IpcMode", json!("private"));
    }
    if text(&record.host.runtime).is_none() {
        set("Runtime", json!(around.runtime));
    }
    if record.host.shm_size.unwrap_or(0) == 0 {
        set("ShmSize", json!(around.shm_size));
    }
    if let Some(policy) = &record.host.restart_policy {
        set(
            "RestartPolicy",
            json!({
                "Name": policy.name.map_or_else(|| "no".to_owned(), |name| name.to_string()),
                "MaximumRetryCount": policy.maximum_retry_count.unwrap_or(0),
            }),
        );
    }
    if privileged {
        set("MaskedPaths", Value::Null);
        set("ReadonlyPaths", Value::Null);
    }
    shown
}

/// Gives the network mode with the CLI's word for the default bridge translated.
pub(crate) fn network_mode(record: &Record) -> String {
    match record.host.network_mode.as_deref() {
        None | Some("" | "default") => "bridge".to_owned(),
        Some(mode) => mode.to_owned(),
    }
}

fn log_options(record: &Record) -> Value {
    let config = record.host.log_config.as_ref();
    json!(
        config
            .and_then(|log| log.config.clone())
            .unwrap_or_default()
    )
}

fn state(record: &Record) -> Value {
    let run = &record.run;
    let mut shown = json!({
        "Status": record.state.as_str(),
        "Running": record.state.is_running(),
        "Paused": record.state == State::Paused,
        "Restarting": record.state == State::Restarting,
        "OOMKilled": run.oom,
        "Dead": record.state == State::Dead,
        "Pid": run.pid,
        "ExitCode": run.exit_code,
        "Error": run.error,
        "StartedAt": run.started.to_string(),
        "FinishedAt": run.finished.to_string(),
    });
    if let (Some(health), Some(shown)) = (&record.health, shown.as_object_mut()) {
        shown.insert("Health".to_owned(), health_state(health));
    }
    shown
}

fn health_state(health: &Health) -> Value {
    let probes = health.log.iter().map(|probe| {
        json!({
            "Start": probe.start.to_string(),
            "End": probe.end.to_string(),
            "ExitCode": probe.code,
            "Output": probe.output,
        })
    });
    json!({
        "Status": health.status.as_str(),
        "FailingStreak": health.streak,
        "Log": probes.collect::<Vec<_>>(),
    })
}

/// Prints the mount points.
pub(crate) fn mounts(record: &Record) -> Vec<Value> {
    // What `--tmpfs` made stands in the host configuration only.
    let flags = record.host.tmpfs.as_ref();
    let is_flag = |mount: &&Mount| {
        mount.kind == MountKind::Tmpfs
            && flags.is_some_and(|flags| flags.contains_key(&mount.destination))
    };
    let shown = record.mounts.iter().filter(|mount| !is_flag(mount));
    shown.map(mount).collect()
}

/// Prints a mount point; keys that do not apply are left out, as Docker does.
fn mount(mount: &Mount) -> Value {
    let mut shown = Map::new();
    shown.insert("Type".into(), json!(mount.kind.as_str()));
    let image = mount.image.as_ref().map(|image| &image.reference);
    if let Some(name) = mount.name.as_ref().or(image) {
        shown.insert("Name".into(), json!(name));
    }
    shown.insert("Source".into(), json!(mount.source));
    shown.insert("Destination".into(), json!(mount.destination));
    if let Some(driver) = &mount.driver {
        shown.insert("Driver".into(), json!(driver));
    }
    shown.insert("Mode".into(), json!(mount.mode));
    shown.insert("RW".into(), json!(mount.writable));
    shown.insert("Propagation".into(), json!(mount.propagation));
    Value::Object(shown)
}

fn config(config: &wire::ContainerConfig) -> Value {
    let defaults = json!({
        "Hostname": "", "Domainname": "", "User": "",
        "AttachStdin": false, "AttachStdout": false, "AttachStderr": false,
        "Tty": false, "OpenStdin": false, "StdinOnce": false,
        "Env": [], "Cmd": null, "Image": "", "Volumes": null, "WorkingDir": "",
        "Entrypoint": null, "OnBuild": null, "Labels": {},
    });
    filled(defaults, serde_json::to_value(config).unwrap_or_default())
}

/// The keys that every HostConfig has, with Docker's zero values.
const HOST_DEFAULTS: &str = include_str!("host_defaults.json");

/// Lays what was asked over defaults; absent and null leave the default.
fn filled(defaults: Value, asked: Value) -> Value {
    match (defaults, asked) {
        (Value::Object(mut all), Value::Object(asked)) => {
            for (key, value) in asked {
                if !value.is_null() {
                    all.insert(key, value);
                }
            }
            Value::Object(all)
        }
        (defaults, _) => defaults,
    }
}

/// Prints the endpoints of a container.
fn endpoints(record: &Record, networks: Networks<'_>) -> Map<String, Value> {
    let value = |endpoint| serde_json::to_value(endpoint).unwrap_or_default();
    let all = endpoint::all(record, networks).into_iter();
    all.map(|(name, endpoint)| (name, value(endpoint)))
        .collect()
}

fn network_settings(record: &Record, networks: Networks<'_>) -> Value {
    let endpoints = endpoints(record, networks);
    let bridge = endpoints
        .get("bridge")
        .filter(|_| record.sandbox.is_some())
        .cloned();
    let bridge = bridge.unwrap_or_else(|| json!(Endpoint::default()));
    let legacy = |key: &str| bridge.get(key).cloned().unwrap_or_default();
    let running = record.sandbox.is_some();
    json!({
        "Bridge": "",
        "SandboxID": if running { record.id.as_str() } else { "" },
        "SandboxKey": match record.run.pid {
            0 => String::new(),
            pid => format!("/proc/{pid}/ns/net"),
        },
        "Ports": ports(record),
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": null,
        "SecondaryIPv6Addresses": null,
        "EndpointID": legacy("EndpointID"),
        "Gateway": legacy("Gateway"),
        "GlobalIPv6Address": legacy("GlobalIPv6Address"),
        "GlobalIPv6PrefixLen": legacy("GlobalIPv6PrefixLen"),
        "IPAddress": legacy("IPAddress"),
        "IPPrefixLen": legacy("IPPrefixLen"),
        "IPv6Gateway": legacy("IPv6Gateway"),
        "MacAddress": legacy("MacAddress"),
        "Networks": endpoints,
    })
}

/// Prints exposed ports with what they are published as; nothing while the container does not run.
fn ports(record: &Record) -> Value {
    let Some(sandbox) = &record.sandbox else {
        return json!({});
    };
    let exposed = record.config.exposed_ports.iter().flatten();
    let mut all: BTreeMap<String, Option<Vec<Value>>> =
        exposed.map(|port| (port.clone(), None)).collect();
    for port in &sandbox.published {
        let bindings = all.entry(port.target.to_string()).or_default();
        bindings.get_or_insert_default().push(binding(port));
    }
    json!(all)
}

fn binding(port: &PublishedPort) -> Value {
    json!({"HostIp": port.host_address.to_string(), "HostPort": port.host_port.to_string()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sandbox, fixture::record};

    #[test]
    fn an_exposed_port_is_null_until_it_is_published() {
        let mut web = record(1, "web");
        web.config.exposed_ports = Some(vec!["80/tcp".into(), "53/udp".into()]);
        assert_eq!(ports(&web), json!({}));
        web.sandbox = Some(Sandbox {
            published: vec![PublishedPort {
                host_address: "0.0.0.0".parse().unwrap(),
                host_port: 8080.try_into().unwrap(),
                target: "80/tcp".parse().unwrap(),
            }],
            ..Sandbox::default()
        });
        assert_eq!(
            ports(&web),
            json!({"53/udp": null, "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]})
        );
    }

    #[test]
    fn what_was_not_asked_has_dockers_zero_value() {
        let shown = filled(
            json!({"A": 0, "B": []}),
            json!({"A": 5, "B": null, "C": "x"}),
        );
        assert_eq!(shown, json!({"A": 5, "B": [], "C": "x"}));
    }

    #[test]
    fn the_state_has_booleans_beside_its_word() {
        let mut web = record(1, "web");
        web.state = State::Restarting;
        let shown = state(&web);
        assert_eq!(
            (&shown["Status"], &shown["Running"]),
            (&json!("restarting"), &json!(true))
        );
        assert_eq!(shown["StartedAt"], "0001-01-01T00:00:00Z");
        assert!(shown.get("Health").is_none());
    }
}
