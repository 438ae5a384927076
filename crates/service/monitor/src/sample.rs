//! One measurement of a container, and the JSON of it that clients compute with.

use std::{fs, time::SystemTime};

use hakone_base::Timestamp;
use hakone_cgroup::{BlockOperation, Cgroup, Cpu, Memory, Stats, Version};
use serde_json::{Map, Value, json};

use crate::{Error, Seen, network};

/// What Go prints for a time that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// Nanoseconds of a tick of `/proc/stat`.
const TICK: u64 = 10_000_000;
/// The counts of memory that Docker tells on cgroup v1; each once more with `total_` before it.
const MEMORY: &[&str] = &[
    "active_anon",
    "active_file",
    "cache",
    "dirty",
    "inactive_anon",
    "inactive_file",
    "mapped_file",
    "pgfault",
    "pgmajfault",
    "pgpgin",
    "pgpgout",
    "rss",
    "rss_huge",
    "unevictable",
    "writeback",
];

/// One measurement.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    at: Timestamp,
    stats: Stats,
    version: Version,
    system: u64,
    networks: Option<Value>,
}

impl Sample {
    /// Measures a running container.
    pub(crate) fn take(seen: &Seen) -> Result<Self, Error> {
        let cgroup = Cgroup::open(&seen.cgroup)?;
        let pid = seen.pid.filter(|_| !seen.host_network);
        Ok(Self {
            stats: cgroup.stats()?,
            version: cgroup.version(),
            at: SystemTime::now().into(),
            system: system_time(&fs::read_to_string("/proc/stat").unwrap_or_default()),
            networks: pid.and_then(network::read),
        })
    }

    /// Prints it, with the measurement before it.
    pub(crate) fn print(&self, seen: &Seen, before: Option<&Self>) -> Value {
        let mut all = json!({
            "read": self.at.to_string(),
            "preread": before.map_or(NEVER.to_owned(), |before| before.at.to_string()),
            "pids_stats": self.pids(),
            "blkio_stats": self.block_io(),
            "num_procs": 0,
            "storage_stats": {},
            "cpu_stats": self.cpu(),
            "precpu_stats": before.map_or_else(no_cpu, Self::cpu),
            "memory_stats": self.memory(),
            "name": format!("/{}", seen.name),
            "id": seen.id.as_str(),
        });
        if let (Value::Object(all), Some(networks)) = (&mut all, &self.networks) {
            all.insert("networks".to_owned(), networks.clone());
        }
        all
    }

    fn pids(&self) -> Value {
        let pids = &self.stats.pids;
        match pids.limit {
            u64::MAX => json!({ "current": pids.current }),
            limit => json!({ "current": pids.current, "limit": limit }),
        }
    }

    fn cpu(&self) -> Value {
        let Cpu {
            total,
            user,
            system,
            per_cpu,
            periods,
            throttled_periods,
            throttled,
        } = &self.stats.cpu;
        let usage = present([
            ("total_usage", Some(json!(total))),
            (
                "percpu_usage",
                (!per_cpu.is_empty()).then(|| json!(per_cpu)),
            ),
            ("usage_in_kernelmode", Some(json!(system))),
            ("usage_in_usermode", Some(json!(user))),
        ]);
        json!({
            "cpu_usage": usage,
            "system_cpu_usage": self.system,
            "online_cpus": std::thread::available_parallelism().map_or(1, usize::from),
            "throttling_data": {
                "periods": periods, "throttled_periods": throttled_periods, "throttled_time": throttled,
            },
        })
    }

    fn memory(&self) -> Value {
        let Memory {
            usage,
            max_usage,
            limit,
            failures,
            details,
            ..
        } = &self.stats.memory;
        let first = self.version != Version::V2;
        let told = |name: &str| !first || is_told(name);
        let details: Map<String, Value> = details
            .iter()
            .filter(|(name, _)| told(name))
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        present([
            ("usage", Some(json!(usage))),
            ("max_usage", first.then(|| json!(max_usage))),
            ("stats", Some(Value::Object(details))),
            ("failcnt", (*failures > 0).then(|| json!(failures))),
            ("limit", Some(json!((*limit).min(host_memory())))),
        ])
    }

    fn block_io(&self) -> Value {
        let io = &self.stats.block_io;
        match self.version {
            Version::V2 => json!({
                "io_service_bytes_recursive": operations(&io.bytes, str::to_lowercase),
                "io_serviced_recursive": null, "io_queue_recursive": null,
                "io_service_time_recursive": null, "io_wait_time_recursive": null,
                "io_merged_recursive": null, "io_time_recursive": null, "sectors_recursive": null,
            }),
            Version::V1 | Version::Hybrid => json!({
                "io_service_bytes_recursive": operations(&io.bytes, str::to_owned),
                "io_serviced_recursive": operations(&io.operations, str::to_owned),
                "io_queue_recursive": [], "io_service_time_recursive": [], "io_wait_time_recursive": [],
                "io_merged_recursive": [], "io_time_recursive": [], "sectors_recursive": [],
            }),
        }
    }
}

/// Prints what Docker says of a container that does not run: nothing.
pub(crate) fn nothing(seen: &Seen) -> Value {
    json!({
        "read": NEVER,
        "preread": NEVER,
        "pids_stats": {},
        "blkio_stats": {
            "io_service_bytes_recursive": null, "io_serviced_recursive": null, "io_queue_recursive": null,
            "io_service_time_recursive": null, "io_wait_time_recursive": null,
            "io_merged_recursive": null, "io_time_recursive": null, "sectors_recursive": null,
        },
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": no_cpu(),
        "precpu_stats": no_cpu(),
        "memory_stats": {},
        "name": format!("/{}", seen.name),
        "id": seen.id.as_str(),
    })
}

/// An object of the fields that have a value, in their order.
fn present<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let there = fields.into_iter();
    let there = there.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect())
}

fn no_cpu() -> Value {
    json!({
        "cpu_usage": { "total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0 },
        "throttling_data": { "periods": 0, "throttled_periods": 0, "throttled_time": 0 },
    })
}

fn operations(all: &[BlockOperation], spell: impl Fn(&str) -> String) -> Vec<Value> {
    all.iter()
        .map(|one| {
            json!({
                "major": one.major, "minor": one.minor, "op": spell(&one.operation), "value": one.value,
            })
        })
        .collect()
}

fn is_told(name: &str) -> bool {
    let base = name.strip_prefix("total_").unwrap_or(name);
    MEMORY.contains(&base) || name.starts_with("hierarchical_")
}

/// All processors' time since boot, in nanoseconds: the first line of `/proc/stat`, guests left out as they count as user time.
fn system_time(text: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with("cpu "));
    let ticks: u64 = line
        .into_iter()
        .flat_map(|line| line.split_whitespace().skip(1).take(8))
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    ticks.saturating_mul(TICK)
}

/// The host's memory in bytes, which stands for "no limit".
pub(crate) fn host_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.map_or(u64::MAX, |kib| kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_time_counts_eight_columns() {
        let text = "cpu  1 2 3 4 5 6 7 8 100 100\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(system_time(text), 36 * TICK);
    }

    #[test]
    fn docker_tells_each_count_of_memory_twice_and_shared_memory_not_at_all() {
        assert!(is_told("cache") && is_told("total_rss_huge"));
        assert!(is_told("hierarchical_memory_limit"));
        assert!(!is_told("shmem") && !is_told("total_shmem"));
    }
}
