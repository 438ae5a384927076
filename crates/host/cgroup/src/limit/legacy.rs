//! Limits as cgroup v1 writes them.

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources, LinuxThrottleDevice};
use rustix::io::Errno;

use super::{Setting, huge_pages, refused};
use crate::{Cgroup, Error, file};

const LIMIT: &str = "memory.limit_in_bytes";
const SWAP: &str = "memory.memsw.limit_in_bytes";

pub(super) fn settings(resources: &LinuxResources) -> Vec<Setting> {
    let mut all = Vec::new();
    if let Some(cpu) = resources.cpu() {
        all.extend(processor(cpu));
    }
    if let Some(pids) = resources.pids() {
        let limit = pids.limit();
        let text = if limit > 0 {
            limit.to_string()
        } else {
            "max".into()
        };
        all.push(Setting::new("pids", "pids.max", text));
    }
    if let Some(block) = resources.block_io() {
        all.extend(block_io(block));
    }
    if let Some(memory) = resources.memory() {
        all.extend(memory_details(memory));
    }
    all.extend(huge_pages(resources, "limit_in_bytes"));
    all
}

fn processor(cpu: &LinuxCpu) -> Vec<Setting> {
    let mut all = Vec::new();
    let mut add = |controller, file: &str, value: Option<String>| {
        all.extend(value.map(|value| Setting::new(controller, file, value)));
    };
    let some = |value: u64| (value != 0).then(|| value.to_string());
    let signed = |value: i64| (value != 0).then(|| value.to_string());
    add("cpu", "cpu.shares", cpu.shares().and_then(some));
    // The period first: a quota is checked against it.
    add("cpu", "cpu.cfs_period_us", cpu.period().and_then(some));
    add("cpu", "cpu.cfs_quota_us", cpu.quota().and_then(signed));
    add("cpu", "cpu.cfs_burst_us", cpu.burst().and_then(some));
    add(
        "cpu",
        "cpu.rt_period_us",
        cpu.realtime_period().and_then(some),
    );
    add(
        "cpu",
        "cpu.rt_runtime_us",
        cpu.realtime_runtime().and_then(signed),
    );
    add("cpu", "cpu.idle", cpu.idle().and_then(signed));
    let text = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
    add("cpuset", "cpuset.cpus", text(cpu.cpus()));
    add("cpuset", "cpuset.mems", text(cpu.mems()));
    all
}

fn block_io(block: &LinuxBlockIo) -> Vec<Setting> {
    let mut all = Vec::new();
    if let Some(weight) = block.weight().filter(|weight| *weight != 0) {
        all.push(Setting::new("blkio", "blkio.weight", weight));
    }
    for device in block.weight_device().iter().flatten() {
        if let Some(weight) = device.weight() {
            let value = format!("{}:{} {weight}", device.major(), device.minor());
            all.push(Setting::new("blkio", "blkio.weight_device", value));
        }
    }
    let throttles = [
        ("read_bps", block.throttle_read_bps_device()),
        ("write_bps", block.throttle_write_bps_device()),
        ("read_iops", block.throttle_read_iops_device()),
        ("write_iops", block.throttle_write_iops_device()),
    ];
    for (name, devices) in throttles {
        all.extend(
            devices
                .iter()
                .flatten()
                .map(|device| throttle(name, device)),
        );
    }
    all
}

fn throttle(name: &str, device: &LinuxThrottleDevice) -> Setting {
    let value = format!("{}:{} {}", device.major(), device.minor(), device.rate());
    Setting::new("blkio", &format!("blkio.throttle.{name}_device"), value)
}

fn memory_details(memory: &LinuxMemory) -> Vec<Setting> {
    let mut all = Vec::new();
    if let Some(value) = memory.reservation().filter(|value| *value != 0) {
        all.push(Setting::new("memory", "memory.soft_limit_in_bytes", value));
    }
    if let Some(value) = memory.swappiness() {
        all.push(Setting::new("memory", "memory.swappiness", value));
    }
    if memory.disable_oom_killer() == Some(true) {
        all.push(Setting::new("memory", "memory.oom_control", 1));
    }
    all
}

/// Sets memory and memory plus swap in the order the present values allow: swap may never be the lower one.
pub(super) fn set_memory(
    cgroup: &Cgroup,
    resources: &LinuxResources,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    let Some(memory) = resources.memory() else {
        return Ok(());
    };
    let wanted = |value: Option<i64>| value.filter(|value| *value != 0);
    let (limit, mut swap) = (wanted(memory.limit()), wanted(memory.swap()));
    let Some(folder) = cgroup.folder("memory") else {
        if limit.or(swap).is_some() {
            let text = "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.";
            warnings.push(text.into());
        }
        return Ok(());
    };
    if swap.is_some() && !folder.join(SWAP).exists() {
        swap = None;
        let text = "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.";
        warnings.push(text.into());
    }
    let put = |name: &str, value: Option<i64>| match value {
        Some(value) => {
            let (path, value) = (folder.join(name), value.to_string());
            file::write_raw(&path, &value).map_err(|source| memory_refused(path, &value, source))
        }
        None => Ok(()),
    };
    if put(LIMIT, limit).is_ok() {
        return put(SWAP, swap);
    }
    put(SWAP, swap)?;
    put(LIMIT, limit)
}

fn memory_refused(path: std::path::PathBuf, value: &str, source: Errno) -> Error {
    refused(path, value, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_period_is_set_before_the_quota() {
        let cpu: LinuxCpu = from_json(r#"{"quota": 50000, "period": 100000, "shares": 512}"#);
        let files: Vec<_> = processor(&cpu).into_iter().map(|one| one.file).collect();
        assert_eq!(
            files,
            ["cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us"]
        );
    }

    #[test]
    fn no_limit_of_processes_is_max() {
        let resources: LinuxResources = from_json(r#"{"pids": {"limit": -1}}"#);
        assert_eq!(
            settings(&resources),
            [Setting::new("pids", "pids.max", "max")]
        );
    }

    #[test]
    fn throttles_name_their_device() {
        let block: LinuxBlockIo =
            from_json(r#"{"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1048576}]}"#);
        let wanted = Setting::new("blkio", "blkio.throttle.read_bps_device", "8:0 1048576");
        assert_eq!(block_io(&block), [wanted]);
    }

    fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> T {
        serde_json::from_str(text).unwrap()
    }
}
