//! Compares what an engine says there is with what is on disk and in the kernel: neither may have more than the other.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::{Api, Lab, sh};

type Set = BTreeSet<String>;

/// Lists what is there and not known, or known and not there.
///
/// # Panics
/// When the engine does not answer.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "an engine that does not answer fails its test"
)]
pub fn strays(lab: &Lab) -> Vec<String> {
    let mut api = Api::open(&lab.path("engine.sock")).expect("the engine answers");
    let containers = api.get("/containers/json?all=1");
    let running = texts(&api.get("/containers/json"), "/Id");
    let networks = api.get("/networks");
    let volumes = api.get("/volumes").pointer("/Volumes").cloned();
    let (all, volumes) = (texts(&containers, "/Id"), volumes.unwrap_or_default());
    let data = lab.path("data");
    let mut found = Vec::new();
    let mut compare = |what: &str, known: &Set, there: &Set| {
        found.extend(
            there
                .difference(known)
                .map(|x| format!("unknown {what} {x}")),
        );
        found.extend(
            known
                .difference(there)
                .map(|x| format!("missing {what} {x}")),
        );
    };
    compare("container folder", &all, &names(&data.join("containers")));
    compare(
        "network record",
        &texts(&networks, "/Id"),
        &names(&data.join("networks")),
    );
    compare(
        "volume folder",
        &texts(&volumes, "/Name"),
        &names(&data.join("volumes")),
    );
    compare("volume of nobody", &used(&containers), &anonymous(&volumes));
    compare("file", &Set::new(), &names(&data.join("trash")));
    compare("file", &Set::new(), &names(&data.join("image-staging")));
    compare("temporary file", &Set::new(), &temporary(&data));
    let run = names(&lab.path("run/containers"));
    compare(
        "run folder",
        &Set::new(),
        &run.difference(&all).cloned().collect(),
    );
    compare("cgroup", &running, &cgroups(&lab.cgroup()));
    compare("supervisor", &running, &supervisors(lab));
    compare("bridge", &bridges(&networks), &links(lab, "bridge"));
    let veths = links(lab, "veth");
    compare(
        "ports in rules",
        &Set::new(),
        &rules(lab).difference(&veths).cloned().collect(),
    );
    compare("mount", &Set::new(), &mounts(lab));
    if veths.len() != endpoints(&containers) {
        found.push(format!(
            "interfaces {veths:?}, endpoints {}",
            endpoints(&containers)
        ));
    }
    found
}

/// Gives the text at `pointer` of each entry.
#[must_use]
pub fn texts(list: &Value, pointer: &str) -> Set {
    let entries = list.as_array().into_iter().flatten();
    let texts = entries.filter_map(|entry| entry.pointer(pointer)?.as_str());
    texts.map(str::to_owned).collect()
}

fn names(folder: &Path) -> Set {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let strip = |name: String| name.strip_suffix(".json").unwrap_or(&name).to_owned();
    entries.map(name).map(strip).collect()
}

fn temporary(data: &Path) -> Set {
    let line = format!(
        "find {} -path '*/upper' -prune -o -path '*/layers' -prune -o -path '*/_data' -prune -o -name '*.tmp*' -print -o -name '.*' -type f -print",
        data.display()
    );
    sh(&line).stdout.lines().map(str::to_owned).collect()
}

/// Volumes without a name that some container mounts.
fn used(containers: &Value) -> Set {
    let all = containers.as_array().into_iter().flatten();
    let mounts = all.filter_map(|each| each.pointer("/Mounts")?.as_array());
    let names = mounts
        .flatten()
        .filter_map(|mount| mount.pointer("/Name")?.as_str());
    names
        .filter(|name| name.len() == 64)
        .map(str::to_owned)
        .collect()
}

fn anonymous(volumes: &Value) -> Set {
    let names = texts(volumes, "/Name");
    names.into_iter().filter(|name| name.len() == 64).collect()
}

fn cgroups(parent: &str) -> Set {
    let line = format!(
        "find /sys/fs/cgroup/*/{parent} /sys/fs/cgroup/{parent} -mindepth 1 -maxdepth 1 -type d -printf '%f\\n' 2>/dev/null"
    );
    sh(&line).stdout.lines().map(str::to_owned).collect()
}

/// The containers that a supervisor stands by: its order lies in the container's folder.
fn supervisors(lab: &Lab) -> Set {
    let folder = format!("{}/containers/", lab.path("data").display());
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = entries.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    let ids = lines.filter_map(|line| {
        let (_, rest) = line.split_once(&folder)?;
        Some(rest.split('/').next().unwrap_or_default().to_owned())
    });
    ids.filter(|id| id.len() == 64).collect()
}

fn bridges(networks: &Value) -> Set {
    let all = networks.as_array().into_iter().flatten();
    let bridges = all.filter(|network| network.pointer("/Driver") == Some(&"bridge".into()));
    let name = |network: &Value| {
        let option = network.pointer("/Options/com.docker.network.bridge.name");
        let id = network
            .pointer("/Id")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let short = format!("br-{}", id.get(..12).unwrap_or_default());
        option.and_then(Value::as_str).map_or(short, str::to_owned)
    };
    bridges.map(name).collect()
}

fn links(lab: &Lab, kind: &str) -> Set {
    let line = format!(
        "ip -o link show type {kind} | cut -d' ' -f2 | cut -d@ -f1 | tr -d : | grep -v cable"
    );
    lab.host
        .sh(&line)
        .stdout
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The containers' ports that the rules speak of.
fn rules(lab: &Lab) -> Set {
    let line = "nft list ruleset | grep -o '\"hk[0-9a-f]\\{12\\}\"' | tr -d '\"'";
    lab.host
        .sh(line)
        .stdout
        .lines()
        .map(str::to_owned)
        .collect()
}

fn mounts(lab: &Lab) -> Set {
    let folder = lab.path("").display().to_string();
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    let inside = |point: &&str| point.starts_with(&folder) && !point.ends_with("/data");
    points.filter(inside).map(str::to_owned).collect()
}

fn endpoints(containers: &Value) -> usize {
    let all = containers.as_array().into_iter().flatten();
    let running = all.filter(|each| {
        let state = each.pointer("/State").and_then(Value::as_str);
        matches!(state, Some("running" | "paused"))
    });
    let networks =
        running.filter_map(|each| each.pointer("/NetworkSettings/Networks")?.as_object());
    networks.map(serde_json::Map::len).sum()
}
