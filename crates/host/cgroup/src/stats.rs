//! Measures a group: what `docker stats` shows.

mod legacy;
mod unified;

use std::collections::BTreeMap;

use crate::{Cgroup, Error, Version};

/// One measurement; what the host does not count is zero or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Memory.
    pub memory: Memory,
    /// Processor time.
    pub cpu: Cpu,
    /// Processes and threads.
    pub pids: Pids,
    /// Block devices.
    pub block_io: BlockIo,
}

/// Memory in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Used, page cache included.
    pub usage: u64,
    /// The most ever used.
    pub max_usage: u64,
    /// The limit; the largest number when there is none.
    pub limit: u64,
    /// How often the limit was hit.
    pub failures: u64,
    /// Page cache that can be given back at once; clients subtract it from the usage.
    pub inactive_file: u64,
    /// All lines of `memory.stat`.
    pub details: BTreeMap<String, u64>,
}

/// Processor time in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// All together.
    pub total: u64,
    /// In user mode.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
    /// Of each processor; empty on v2.
    pub per_cpu: Vec<u64>,
    /// Quota periods that passed.
    pub periods: u64,
    /// Periods in which the quota ran out.
    pub throttled_periods: u64,
    /// Time spent waiting for the next period.
    pub throttled: u64,
}

/// Processes and threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pids {
    /// Now.
    pub current: u64,
    /// The limit; the largest number when there is none.
    pub limit: u64,
}

/// Counts of block devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockIo {
    /// Bytes moved.
    pub bytes: Vec<BlockOperation>,
    /// Requests made.
    pub operations: Vec<BlockOperation>,
}

/// One count of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockOperation {
    /// The device's major number.
    pub major: u64,
    /// The device's minor number.
    pub minor: u64,
    /// `Read`, `Write`, …, as v1 spells them.
    pub operation: String,
    /// The count.
    pub value: u64,
}

pub(crate) fn measure(cgroup: &Cgroup) -> Result<Stats, Error> {
    match cgroup.version() {
        Version::V2 => unified::measure(cgroup),
        Version::V1 | Version::Hybrid => legacy::measure(cgroup),
    }
}
