//! The daemon itself: ping, version, info.

use std::{collections::BTreeSet, time::SystemTime};

use hakone_base::{ApiVersion, Timestamp};
use hakone_engine_api::Filters;
use hyper::{
    StatusCode,
    header::{CACHE_CONTROL, HeaderValue, PRAGMA},
};
use serde_json::{Value, json};

use crate::{
    Services, older,
    reply::{self, Reply},
    request::Call,
};

/// Answers "OK" and the headers from which clients choose version and builder.
pub(crate) fn ping() -> Reply {
    let mut response = reply::bytes(
        StatusCode::OK,
        "text/plain; charset=utf-8",
        bytes::Bytes::from_static(b"OK"),
    );
    let headers = response.headers_mut();
    // 2 is BuildKit: clients that can speak to it do, the others use the classic endpoint.
    headers.insert("Builder-Version", HeaderValue::from_static("2"));
    headers.insert("Swarm", HeaderValue::from_static("inactive"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, must-revalidate"),
    );
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(response)
}

pub(crate) fn version(services: &Services) -> Reply {
    let about = &services.about;
    let (newest, oldest) = (
        ApiVersion::NEWEST.to_string(),
        ApiVersion::OLDEST.to_string(),
    );
    let details = json!({
        "ApiVersion": newest, "Arch": about.architecture, "BuildTime": "", "Experimental": "false",
        "GitCommit": about.commit, "GoVersion": "", "KernelVersion": about.kernel,
        "MinAPIVersion": oldest, "Os": "linux",
    });
    reply::json(&json!({
        "Platform": { "Name": "Hakone" },
        "Components": [{ "Name": "Engine", "Version": about.version, "Details": details }],
        "Version": about.version, "ApiVersion": newest, "MinAPIVersion": oldest,
        "GitCommit": about.commit, "GoVersion": "", "Os": "linux", "Arch": about.architecture,
        "KernelVersion": about.kernel, "BuildTime": "",
    }))
}

pub(crate) fn info(services: &Services, version: ApiVersion) -> Reply {
    let mut info = serde_json::Map::new();
    for part in [
        counts(services),
        host(services),
        limits(services),
        engine(services),
    ] {
        if let Value::Object(part) = part {
            info.extend(part);
        }
    }
    older::info(version, &mut info);
    reply::json(&info)
}

fn counts(services: &Services) -> Value {
    let counts = services.containers.counts();
    json!({
        "ID": services.about.id,
        "Containers": counts.running + counts.paused + counts.stopped,
        "ContainersRunning": counts.running,
        "ContainersPaused": counts.paused,
        "ContainersStopped": counts.stopped,
        "Images": services.images.count(),
        "NFd": std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        "NGoroutines": std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count),
        "NEventsListener": services.events.listeners(),
        "SystemTime": Timestamp::from(SystemTime::now()).to_string(),
    })
}

/// Reports the kernel's switch as it stands; the CLI warns when it is off.
fn forwarding() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").is_ok_and(|text| text.trim() == "1")
}

fn host(services: &Services) -> Value {
    let about = &services.about;
    let [http, https, none] = &about.proxies;
    json!({
        "Name": about.host_name, "KernelVersion": about.kernel,
        "OperatingSystem": about.operating_system, "OSVersion": about.os_version, "OSType": "linux",
        "Architecture": about.machine, "NCPU": about.processors, "MemTotal": about.memory,
        "DockerRootDir": about.data_root, "HttpProxy": http, "HttpsProxy": https, "NoProxy": none,
        "Labels": about.labels, "Isolation": "", "CDISpecDirs": [], "Warnings": about.warnings,
        "GenericResources": null, "SecurityOptions": about.security,
    })
}

/// What of the kernel containers may use; the CLI warns about each that is false.
fn limits(services: &Services) -> Value {
    let version = services.about.cgroup_version;
    json!({
        "MemoryLimit": true, "SwapLimit": true, "CpuCfsPeriod": true, "CpuCfsQuota": true, "CPUShares": true,
        "CPUSet": true, "PidsLimit": true, "KernelMemoryTCP": version == "1", "OomKillDisable": version == "1",
        "IPv4Forwarding": forwarding(),
        "CgroupDriver": "cgroupfs", "CgroupVersion": version,
    })
}

fn engine(services: &Services) -> Value {
    let about = &services.about;
    let runtimes: serde_json::Map<String, Value> = about
        .runtimes
        .iter()
        .map(|(name, path)| (name.clone(), json!({ "path": path })))
        .collect();
    json!({
        "ServerVersion": about.version, "Driver": "overlay2",
        "DriverStatus": [["Supports d_type", "true"], ["Native Overlay Diff", "true"]],
        "Plugins": {
            "Volume": volume_drivers(services), "Network": network_drivers(services),
            "Authorization": authorization(services),
            "Log": ["fluentd", "gelf", "journald", "json-file", "local", "none", "syslog"],
        },
        "Debug": about.debug, "LoggingDriver": about.log_driver, "ExperimentalBuild": false,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": about.registries,
        "Runtimes": runtimes, "DefaultRuntime": about.default_runtime,
        "Swarm": {
            "NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": false,
            "Error": "", "RemoteManagers": null,
        },
        "LiveRestoreEnabled": about.live_restore, "InitBinary": "docker-init",
        "ContainerdCommit": { "ID": "" }, "RuncCommit": { "ID": "" }, "InitCommit": { "ID": "" },
        "FirewallBackend": { "Driver": services.networks.firewall_backend() },
    })
}

/// Lists our own drivers and the plugins that networks are of.
fn network_drivers(services: &Services) -> BTreeSet<String> {
    let own = ["bridge", "host", "ipvlan", "macvlan", "null"].map(str::to_owned);
    let all = services.networks.list(&Filters::default());
    let used = all.unwrap_or_default().into_iter();
    own.into_iter()
        .chain(used.filter_map(|one| one.driver))
        .collect()
}

/// The same for volumes.
fn volume_drivers(services: &Services) -> BTreeSet<String> {
    let all = services.volumes.list(&Filters::default());
    let used = all.unwrap_or_default().into_iter();
    std::iter::once("local".to_owned())
        .chain(used.map(|one| one.driver))
        .collect()
}

/// Nobody is `null`.
fn authorization(services: &Services) -> Value {
    match services.authorization.names() {
        [] => Value::Null,
        names => json!(names),
    }
}

/// Tells what takes up the disk; the CLI sums it up.
/// There are no managed plugins: the list is empty, whatever its filters say.
pub(crate) fn plugins(call: &Call) -> Reply {
    call.filters(&["capability", "enabled"])?;
    reply::json(&[(); 0])
}
