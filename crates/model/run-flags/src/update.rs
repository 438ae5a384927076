//! The flags of `update`, and the request that they come to.

use clap::Args;
use hakone_engine_api::wire::{ContainerUpdateBody, RestartPolicy};

use crate::{quantity, value};

/// What of a container's limits is to change.
#[derive(Args, Clone, Debug, Default)]
pub struct UpdateFlags {
    /// Block IO (relative weight), between 10 and 1000, or 0 to disable
    #[arg(long, value_name = "uint16")]
    blkio_weight: Option<u16>,
    /// Limit CPU CFS (Completely Fair Scheduler) period
    #[arg(long, value_name = "int")]
    cpu_period: Option<i64>,
    /// Limit CPU CFS (Completely Fair Scheduler) quota
    #[arg(long, value_name = "int", allow_hyphen_values = true)]
    cpu_quota: Option<i64>,
    /// Limit the CPU real-time period in microseconds
    #[arg(long, value_name = "int")]
    cpu_rt_period: Option<i64>,
    /// Limit the CPU real-time runtime in microseconds
    #[arg(long, value_name = "int")]
    cpu_rt_runtime: Option<i64>,
    /// CPU shares (relative weight)
    #[arg(short, long, value_name = "int")]
    cpu_shares: Option<i64>,
    /// Number of CPUs
    #[arg(long, value_name = "decimal", value_parser = value::cpus)]
    cpus: Option<i64>,
    /// CPUs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string")]
    cpuset_cpus: Option<String>,
    /// MEMs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string")]
    cpuset_mems: Option<String>,
    /// Memory limit
    #[arg(short, long, value_name = "bytes", value_parser = quantity::parse_bytes)]
    memory: Option<i64>,
    /// Memory soft limit
    #[arg(long, value_name = "bytes", value_parser = quantity::parse_bytes)]
    memory_reservation: Option<i64>,
    /// Swap limit equal to memory plus swap: -1 to enable unlimited swap
    #[arg(long, value_name = "bytes", allow_hyphen_values = true, value_parser = quantity::parse_bytes_or_unlimited)]
    memory_swap: Option<i64>,
    /// Tune container pids limit (set -1 for unlimited)
    #[arg(long, value_name = "int", allow_hyphen_values = true)]
    pids_limit: Option<i64>,
    /// Restart policy to apply when a container exits
    #[arg(long, value_name = "string", value_parser = value::restart)]
    restart: Option<RestartPolicy>,
}

impl UpdateFlags {
    /// Gives the request; nothing when no flag was given.
    #[must_use]
    pub fn body(&self) -> Option<ContainerUpdateBody> {
        let flags = self.clone();
        let body = ContainerUpdateBody {
            blkio_weight: flags.blkio_weight,
            cpu_period: flags.cpu_period,
            cpu_quota: flags.cpu_quota,
            cpu_realtime_period: flags.cpu_rt_period,
            cpu_realtime_runtime: flags.cpu_rt_runtime,
            cpu_shares: flags.cpu_shares,
            nano_cpus: flags.cpus,
            cpuset_cpus: flags.cpuset_cpus,
            cpuset_mems: flags.cpuset_mems,
            memory: flags.memory,
            memory_reservation: flags.memory_reservation,
            memory_swap: flags.memory_swap,
            pids_limit: flags.pids_limit,
            restart_policy: flags.restart,
            ..ContainerUpdateBody::default()
        };
        (body != ContainerUpdateBody::default()).then_some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flag_is_no_request() {
        assert_eq!(UpdateFlags::default().body(), None);
        let flags = UpdateFlags {
            cpus: Some(5),
            ..UpdateFlags::default()
        };
        assert_eq!(flags.body().unwrap().nano_cpus, Some(5));
    }
}
