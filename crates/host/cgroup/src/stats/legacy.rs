//! Measures cgroup v1, each controller in its own tree.

use std::path::Path;

use super::{BlockIo, BlockOperation, Cpu, Memory, Pids, Stats};
use crate::{Cgroup, Error, file};

pub(super) fn measure(cgroup: &Cgroup) -> Result<Stats, Error> {
    let mut stats = Stats::default();
    if let Some(folder) = cgroup.folder("memory") {
        stats.memory = memory(folder)?;
    }
    if let Some(folder) = cgroup.folder("cpuacct") {
        stats.cpu = cpu(folder)?;
    }
    if let Some(folder) = cgroup.folder("cpu") {
        throttling(folder, &mut stats.cpu);
    }
    if let Some(folder) = cgroup.folder("pids") {
        stats.pids = Pids {
            current: file::number(&folder.join("pids.current"))?,
            limit: file::number(&folder.join("pids.max"))?,
        };
    }
    if let Some(folder) = cgroup.folder("blkio") {
        stats.block_io = block_io(folder);
    }
    Ok(stats)
}

fn memory(folder: &Path) -> Result<Memory, Error> {
    let details = file::read(&folder.join("memory.stat"))?;
    Ok(Memory {
        usage: file::number(&folder.join("memory.usage_in_bytes"))?,
        max_usage: file::number(&folder.join("memory.max_usage_in_bytes"))?,
        limit: file::number(&folder.join("memory.limit_in_bytes"))?,
        failures: file::number(&folder.join("memory.failcnt"))?,
        inactive_file: file::keyed(&folder.join("memory.stat"), "total_inactive_file"),
        details: file::lines(&details)
            .map(|(key, value)| (key.into(), value))
            .collect(),
    })
}

fn cpu(folder: &Path) -> Result<Cpu, Error> {
    let per_cpu = file::read(&folder.join("cpuacct.usage_percpu"))?;
    let per_cpu = per_cpu.split_whitespace().filter_map(file::parse);
    Ok(Cpu {
        total: file::number(&folder.join("cpuacct.usage"))?,
        user: file::number(&folder.join("cpuacct.usage_user"))?,
        system: file::number(&folder.join("cpuacct.usage_sys"))?,
        per_cpu: per_cpu.collect(),
        ..Cpu::default()
    })
}

fn throttling(folder: &Path, cpu: &mut Cpu) {
    let stat = folder.join("cpu.stat");
    cpu.periods = file::keyed(&stat, "nr_periods");
    cpu.throttled_periods = file::keyed(&stat, "nr_throttled");
    cpu.throttled = file::keyed(&stat, "throttled_time");
}

fn block_io(folder: &Path) -> BlockIo {
    let counts = |names: [&str; 2]| {
        let texts = names.iter().map(|name| file::read(&folder.join(name)));
        let tables = texts.filter_map(Result::ok).map(|text| operations(&text));
        tables.into_iter().find(|one| !one.is_empty())
    };
    let bytes = counts([
        "blkio.bfq.io_service_bytes_recursive",
        "blkio.throttle.io_service_bytes_recursive",
    ]);
    let operations = counts([
        "blkio.bfq.io_serviced_recursive",
        "blkio.throttle.io_serviced_recursive",
    ]);
    BlockIo {
        bytes: bytes.unwrap_or_default(),
        operations: operations.unwrap_or_default(),
    }
}

/// Reads lines such as `8:0 Read 4096`; the total of all devices has no number and is left out.
fn operations(text: &str) -> Vec<BlockOperation> {
    text.lines().filter_map(operation).collect()
}

fn operation(line: &str) -> Option<BlockOperation> {
    let mut fields = line.split(' ');
    let (major, minor) = fields.next()?.split_once(':')?;
    Some(BlockOperation {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
        operation: fields.next()?.into(),
        value: fields.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_without_device_are_left_out() {
        let found = operations("8:0 Read 4096\n8:0 Total 4096\nTotal 4096\n");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].major, found[0].value), (8, 4096));
    }
}
