//! Limits as cgroup v2 writes them; Docker's v1 numbers are converted as the kernel's documents say.

use std::collections::BTreeMap;

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};

use super::{Setting, huge_pages};

pub(super) fn settings(resources: &LinuxResources) -> Vec<Setting> {
    let mut all = Vec::new();
    if let Some(memory) = resources.memory() {
        all.extend(memory_settings(memory));
    }
    if let Some(cpu) = resources.cpu() {
        all.extend(processor(cpu));
    }
    if let Some(pids) = resources.pids() {
        all.push(Setting::new("pids", "pids.max", bound(pids.limit())));
    }
    if let Some(block) = resources.block_io() {
        all.extend(block_io(block));
    }
    all.extend(huge_pages(resources, "max"));
    for (file, value) in resources.unified().iter().flatten() {
        if !file.contains('/') {
            all.push(Setting::new("unified", file, value));
        }
    }
    all
}

/// A positive limit, or none.
fn bound(value: i64) -> String {
    if value > 0 {
        value.to_string()
    } else {
        "max".into()
    }
}

fn memory_settings(memory: &LinuxMemory) -> Vec<Setting> {
    let mut all = Vec::new();
    let limit = memory.limit().filter(|value| *value != 0);
    if let Some(swap) = memory.swap().filter(|value| *value != 0) {
        // v1 counts memory and swap together, v2 swap alone.
        let own = match limit {
            Some(limit) if limit > 0 && swap > 0 => (swap - limit).max(0).to_string(),
            Some(_) | None => bound(swap),
        };
        all.push(Setting::new("memory", "memory.swap.max", own));
    }
    if let Some(limit) = limit {
        all.push(Setting::new("memory", "memory.max", bound(limit)));
    }
    if let Some(low) = memory.reservation().filter(|value| *value != 0) {
        all.push(Setting::new("memory", "memory.low", bound(low)));
    }
    all
}

fn processor(cpu: &LinuxCpu) -> Vec<Setting> {
    let mut all = Vec::new();
    if let Some(shares) = cpu.shares().filter(|shares| *shares != 0) {
        all.push(Setting::new("cpu", "cpu.weight", weight_of_shares(shares)));
    }
    let (quota, period) = (cpu.quota().unwrap_or(0), cpu.period().unwrap_or(0));
    if quota != 0 || period != 0 {
        let period = if period == 0 { 100_000 } else { period };
        let value = format!("{} {period}", bound(quota));
        all.push(Setting::new("cpu", "cpu.max", value));
    }
    if let Some(idle) = cpu.idle().filter(|idle| *idle != 0) {
        all.push(Setting::new("cpu", "cpu.idle", idle));
    }
    let text = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
    for (file, value) in [
        ("cpuset.cpus", text(cpu.cpus())),
        ("cpuset.mems", text(cpu.mems())),
    ] {
        all.extend(value.map(|value| Setting::new("cpuset", file, value)));
    }
    all
}

/// Maps shares 2..=262144 onto weights 1..=10000, ends onto ends.
fn weight_of_shares(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9_999 / 262_142
}

/// Maps block weights 10..=1000 onto 1..=10000, ends onto ends.
fn weight_of_block_weight(weight: u16) -> u64 {
    1 + (u64::from(weight.clamp(10, 1_000)) - 10) * 9_999 / 990
}

fn block_io(block: &LinuxBlockIo) -> Vec<Setting> {
    let mut all = Vec::new();
    if let Some(weight) = block.weight().filter(|weight| *weight != 0) {
        let value = format!("default {}", weight_of_block_weight(weight));
        all.push(Setting::new("io", "io.weight", value));
    }
    let mut limits: BTreeMap<(i64, i64), Vec<String>> = BTreeMap::new();
    let throttles = [
        ("rbps", block.throttle_read_bps_device()),
        ("wbps", block.throttle_write_bps_device()),
        ("riops", block.throttle_read_iops_device()),
        ("wiops", block.throttle_write_iops_device()),
    ];
    for (name, devices) in throttles {
        for device in devices.iter().flatten() {
            let limit = limits.entry((device.major(), device.minor())).or_default();
            limit.push(format!("{name}={}", device.rate()));
        }
    }
    for ((major, minor), values) in limits {
        let value = format!("{major}:{minor} {}", values.join(" "));
        all.push(Setting::new("io", "io.max", value));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_meet_at_both_ends() {
        assert_eq!(
            (weight_of_shares(2), weight_of_shares(262_144)),
            (1, 10_000)
        );
        assert_eq!(
            (weight_of_block_weight(10), weight_of_block_weight(1_000)),
            (1, 10_000)
        );
    }

    #[test]
    fn a_device_has_one_line_of_limits() {
        let block: LinuxBlockIo = serde_json::from_str(
            r#"{"weight": 10,
                "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1048576}],
                "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 77},
                                            {"major": 8, "minor": 16, "rate": 5}]}"#,
        )
        .unwrap();
        let wanted = [
            ("io.weight", "default 1"),
            ("io.max", "8:0 rbps=1048576 wiops=77"),
            ("io.max", "8:16 wiops=5"),
        ];
        let wanted = wanted.map(|(file, value)| Setting::new("io", file, value));
        assert_eq!(block_io(&block), wanted);
    }

    #[test]
    fn swap_is_counted_without_memory() {
        let memory: LinuxMemory = serde_json::from_str(r#"{"limit": 100, "swap": 250}"#).unwrap();
        let values: Vec<_> = memory_settings(&memory)
            .into_iter()
            .map(|one| (one.file, one.value))
            .collect();
        let wanted = [("memory.swap.max", "150"), ("memory.max", "100")];
        assert_eq!(
            values,
            wanted.map(|(file, value)| (file.into(), value.into()))
        );
    }

    #[test]
    fn a_quota_without_period_is_of_a_tenth_of_a_second() {
        let cpu: LinuxCpu = serde_json::from_str(r#"{"quota": 50000}"#).unwrap();
        let wanted = Setting::new("cpu", "cpu.max", "50000 100000");
        assert_eq!(processor(&cpu), [wanted]);
    }
}
