//! What `docker update` changes of a container that runs.

use hakone_engine_api::wire::HostConfig;
use hakone_spec::{Defaults, Error, Resources};
use oci_spec::runtime::{LinuxBlockIo, LinuxPids, LinuxResources};

use crate::{CgroupVersion, cgroup::memory_and_cpu};

/// Gives the limits that a running container is to get: those of `host` that `wanted` touches.
///
/// # Errors
/// When the limits do not go together.
pub fn live_resources(
    host: &HostConfig,
    wanted: &HostConfig,
    defaults: &Defaults,
    cgroup: CgroupVersion,
) -> Result<LinuxResources, Error> {
    let all = Resources::parse(host, defaults, &mut Vec::new())?;
    let (memory, cpu) = memory_and_cpu(&all, cgroup);
    let mut live = LinuxResources::default();
    live.set_memory(Some(memory));
    live.set_cpu(Some(cpu));
    if wanted.pids_limit.is_some() {
        let mut pids = LinuxPids::default();
        let limit = all.pids.and_then(|limit| i64::try_from(limit).ok());
        pids.set_limit(limit.unwrap_or(-1));
        live.set_pids(Some(pids));
    }
    if all.io.weight.is_some() {
        let mut io = LinuxBlockIo::default();
        io.set_weight(all.io.weight);
        live.set_block_io(Some(io));
    }
    Ok(live)
}
