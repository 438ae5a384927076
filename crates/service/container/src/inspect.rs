//! All of a container in the API's shape, with the keys that newer descriptions dropped and older clients read.

use std::{collections::BTreeMap, sync::Arc};

use hakone_base::{PublishedPort, Timestamp};
use hakone_engine_api::wire;
use serde_json::{Map, Value, json};

use crate::{
    Networks,
    container::Container,
    exec,
    health::Health,
    inner::Inner,
    record::{Mount, MountKind, Record},
    size,
    state::State,
};

impl Inner {
    /// Shows a container.
    pub(crate) async fn inspect(&self, container: &Arc<Container>, size: bool) -> Value {
        let record = container.record();
        let mut shown = self.show(container, &record);
        if size && let Some(shown) = shown.as_object_mut() {
            let written = size::writable(container).await;
            let image = self.image_size(&record).await;
            shown.insert("SizeRw".to_owned(), json!(written));
            shown.insert("SizeRootFs".to_owned(), json!(written + image));
        }
        shown
    }

    /// Gives the bytes of a container's image, 0 if it is gone.
    pub(crate) async fn image_size(&self, record: &Record) -> u64 {
        let image = self.neighbours.images.resolve(record.image.as_str()).await;
        image.map_or(0, |image| image.size)
    }

    fn show(&self, container: &Container, record: &Record) -> Value {
        let path = |name: &str| container.folder.join(name).to_string_lossy().into_owned();
        let execs = Some(exec::running(container)).filter(|ids| !ids.is_empty());
        let log = match record.log_driver() {
            "json-file" => container.log_path().to_string_lossy().into_owned(),
            _ => String::new(),
        };
        json!({
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
            "HostConfig": self.host_config(record),
            "GraphDriver": {
                "Name": "overlay2",
                "Data": {
                    "MergedDir": container.run_folder.join("rootfs"),
                    "UpperDir": container.folder.join("upper"),
                    "WorkDir": container.folder.join("work"),
                },
            },
            "Mounts": mounts(record),
            "Config": config(&record.config),
            "NetworkSettings": network_settings(record, self.neighbours.networks.as_ref()),
        })
    }

    fn host_config(&self, record: &Record) -> Value {
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
            set("Runtime", json!(self.defaults.default_runtime));
        }
        if record.host.shm_size.unwrap_or(0) == 0 {
            set("ShmSize", json!(self.defaults.shm_size));
        }
        if privileged {
            set("MaskedPaths", Value::Null);
            set("ReadonlyPaths", Value::Null);
        }
        shown
    }
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
    if let Some(name) = &mount.name {
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

/// Prints the endpoints of a container: live ones, or what was asked while it does not run.
pub(crate) fn endpoints(record: &Record, networks: &dyn Networks) -> Map<String, Value> {
    let live = record.sandbox.as_ref().map(|sandbox| &sandbox.endpoints);
    let mut shown = Map::new();
    for (name, asked) in &record.networks {
        let known = networks.lookup(name).ok();
        let name = known
            .as_ref()
            .map_or(name.as_str(), |known| known.name.as_str());
        let mut settings = match live.and_then(|live| live.get(name)) {
            Some(endpoint) => endpoint.clone(),
            None => at_rest(asked),
        };
        if settings
            .network_id
            .as_deref()
            .unwrap_or_default()
            .is_empty()
            && record.run.started != Timestamp::default()
        {
            settings.network_id = known.as_ref().map(|known| known.id.clone());
        }
        shown.insert(name.to_owned(), endpoint(&settings));
    }
    shown
}

fn at_rest(asked: &wire::EndpointSettings) -> wire::EndpointSettings {
    wire::EndpointSettings {
        ipam_config: asked.ipam_config.clone(),
        links: asked.links.clone(),
        aliases: asked.aliases.clone(),
        driver_opts: asked.driver_opts.clone(),
        gw_priority: asked.gw_priority,
        ..Default::default()
    }
}

fn endpoint(settings: &wire::EndpointSettings) -> Value {
    let defaults = json!({
        "IPAMConfig": null, "Links": null, "Aliases": null, "MacAddress": "", "DriverOpts": null,
        "GwPriority": 0, "NetworkID": "", "EndpointID": "", "Gateway": "", "IPAddress": "",
        "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
        "DNSNames": null,
    });
    filled(defaults, serde_json::to_value(settings).unwrap_or_default())
}

fn network_settings(record: &Record, networks: &dyn Networks) -> Value {
    let endpoints = endpoints(record, networks);
    let bridge = endpoints
        .get("bridge")
        .filter(|_| record.sandbox.is_some())
        .cloned();
    let bridge = bridge.unwrap_or_else(|| endpoint(&wire::EndpointSettings::default()));
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
    use crate::{Sandbox, container::tests::record};

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
