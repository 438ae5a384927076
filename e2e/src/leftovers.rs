//! What an engine must not leave behind.

use std::{fs, path::Path};

use crate::Namespace;

/// Lists mounts, cgroups, processes and interfaces that still bear the laboratory's marks.
pub(crate) fn find(folder: &Path, cgroup: &str, host: &Namespace) -> Vec<String> {
    let mut found = mounts(folder);
    found.extend(cgroups(cgroup));
    found.extend(processes(folder));
    found.extend(interfaces(host));
    found
}

fn mounts(folder: &Path) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let folder = folder.display().to_string();
    table
        .lines()
        .filter(|line| line.contains(&folder))
        .map(|line| format!("mount {line}"))
        .collect()
}

fn cgroups(name: &str) -> Vec<String> {
    let hierarchies = fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten();
    let mut places: Vec<_> = hierarchies.map(|entry| entry.path().join(name)).collect();
    places.push(Path::new("/sys/fs/cgroup").join(name));
    let inner = |place: &Path| {
        let entries = fs::read_dir(place).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.path())
            .collect::<Vec<_>>()
    };
    places
        .iter()
        .flat_map(|place| inner(place))
        .map(|path| format!("cgroup {}", path.display()))
        .collect()
}

fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_str() != Some(&own))
        .filter_map(|entry| {
            let line = fs::read_to_string(entry.path().join("cmdline"))
                .ok()?
                .replace('\0', " ");
            line.contains(&folder)
                .then(|| format!("process {} {line}", entry.file_name().display()))
        })
        .collect()
}

/// Lists the ends of cables on the host that are not the laboratory's own.
pub(crate) fn interfaces(host: &Namespace) -> Vec<String> {
    let list = host.sh("ip -o link show type veth").stdout;
    list.lines()
        .filter(|line| !line.contains(": cable"))
        .map(|line| format!("interface {line}"))
        .collect()
}
