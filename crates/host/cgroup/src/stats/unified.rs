//! Measures cgroup v2.

use std::path::Path;

use super::{BlockIo, BlockOperation, Cpu, Memory, Pids, Stats};
use crate::{Cgroup, Error, file};

pub(super) fn measure(cgroup: &Cgroup) -> Result<Stats, Error> {
    let folder = cgroup.unified().ok_or(Error::NoHierarchy)?;
    // A controller that was not handed down has no files: those counts stay zero.
    Ok(Stats {
        memory: memory(folder),
        cpu: cpu(&file::read(&folder.join("cpu.stat"))?),
        pids: Pids {
            current: file::number(&folder.join("pids.current")).unwrap_or_default(),
            limit: file::number(&folder.join("pids.max")).unwrap_or(u64::MAX),
        },
        block_io: block_io(&file::read(&folder.join("io.stat")).unwrap_or_default()),
    })
}

fn memory(folder: &Path) -> Memory {
    let text = file::read(&folder.join("memory.stat")).unwrap_or_default();
    let number = |name: &str| file::number(&folder.join(name)).unwrap_or_default();
    Memory {
        usage: number("memory.current"),
        max_usage: number("memory.peak"),
        limit: file::number(&folder.join("memory.max")).unwrap_or(u64::MAX),
        failures: file::keyed(&folder.join("memory.events"), "max"),
        inactive_file: file::keyed(&folder.join("memory.stat"), "inactive_file"),
        details: file::lines(&text)
            .map(|(key, value)| (key.into(), value))
            .collect(),
    }
}

/// Times are microseconds there, nanoseconds here.
fn cpu(text: &str) -> Cpu {
    let value = |wanted: &str| {
        file::lines(text)
            .find_map(|(key, value)| (key == wanted).then_some(value))
            .unwrap_or_default()
    };
    let nanoseconds = |wanted: &str| value(wanted).saturating_mul(1_000);
    Cpu {
        total: nanoseconds("usage_usec"),
        user: nanoseconds("user_usec"),
        system: nanoseconds("system_usec"),
        per_cpu: Vec::new(),
        periods: value("nr_periods"),
        throttled_periods: value("nr_throttled"),
        throttled: nanoseconds("throttled_usec"),
    }
}

/// Reads lines such as `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`.
fn block_io(text: &str) -> BlockIo {
    let mut io = BlockIo::default();
    for line in text.lines() {
        let mut fields = line.split(' ');
        let device = fields.next().and_then(|device| device.split_once(':'));
        let numbers = device.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let Some(numbers) = numbers else { continue };
        fields.for_each(|field| count(&mut io, numbers, field));
    }
    io
}

fn count(io: &mut BlockIo, (major, minor): (u64, u64), field: &str) {
    let Some((key, value)) = field.split_once('=') else {
        return;
    };
    let (list, operation) = match key {
        "rbytes" => (&mut io.bytes, "Read"),
        "wbytes" => (&mut io.bytes, "Write"),
        "rios" => (&mut io.operations, "Read"),
        "wios" => (&mut io.operations, "Write"),
        _other => return,
    };
    list.push(BlockOperation {
        major,
        minor,
        operation: operation.into(),
        value: value.parse().unwrap_or_default(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_become_nanoseconds() {
        let found = cpu("usage_usec 7\nuser_usec 5\nsystem_usec 2\nthrottled_usec 1\n");
        assert_eq!(
            (found.total, found.user, found.system, found.throttled),
            (7_000, 5_000, 2_000, 1_000)
        );
    }

    #[test]
    fn block_counts_are_told_by_device_and_direction() {
        let io = block_io("8:16 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n");
        assert_eq!(io.bytes.len(), 2);
        assert_eq!(io.operations[1].operation, "Write");
        assert_eq!(io.operations[1].value, 2);
    }
}
