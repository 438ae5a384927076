//! The cgroup's limits.

use std::path::Path;

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources, LinuxThrottleDevice,
    LinuxThrottleDeviceBuilder, LinuxWeightDevice, LinuxWeightDeviceBuilder,
};

use crate::{CgroupVersion, Resolved, compose::built, devices};
use hakone_spec::{BlockIo, ContainerSpec, Cpu, Memory, Resources, ThrottleKind};

pub(crate) fn resources(spec: &ContainerSpec, resolved: &Resolved) -> LinuxResources {
    let limits = &spec.resources;
    let mut resources = LinuxResources::default();
    resources.set_devices(Some(devices::rules(spec, resolved)));
    resources.set_memory(Some(memory(&limits.memory, resolved.host.cgroup)));
    resources.set_cpu(Some(cpu(&limits.cpu)));
    resources.set_block_io(Some(block_io(&limits.io, resolved)));
    resources.set_pids(limits.pids.map(pids));
    resources
}

/// Gives what of the limits may change while a container runs.
pub(crate) fn memory_and_cpu(
    limits: &Resources,
    version: CgroupVersion,
) -> (LinuxMemory, LinuxCpu) {
    (memory(&limits.memory, version), cpu(&limits.cpu))
}

/// Swappiness and the OOM switch exist in the first version only; a limit that is not set is left out.
fn memory(limits: &Memory, version: CgroupVersion) -> LinuxMemory {
    let first = version == CgroupVersion::V1;
    let bytes = |value: Option<u64>| value.and_then(|bytes| i64::try_from(bytes).ok());
    let mut memory = LinuxMemory::default();
    memory.set_limit(bytes(limits.limit));
    memory.set_reservation(bytes(limits.reservation));
    memory.set_swap(limits.swap.total());
    memory.set_swappiness(limits.swappiness.filter(|_| first).map(u64::from));
    memory.set_disable_oom_killer((limits.oom_kill_disable && first).then_some(true));
    memory
}

fn cpu(limits: &Cpu) -> LinuxCpu {
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(limits.shares);
    cpu.set_quota(limits.quota);
    cpu.set_period(limits.period);
    cpu.set_realtime_runtime(limits.realtime_runtime);
    cpu.set_realtime_period(limits.realtime_period);
    cpu.set_cpus(limits.cpus.clone());
    cpu.set_mems(limits.mems.clone());
    cpu
}

fn pids(limit: u64) -> LinuxPids {
    let mut pids = LinuxPids::default();
    pids.set_limit(i64::try_from(limit).unwrap_or(i64::MAX));
    pids
}

fn block_io(limits: &BlockIo, resolved: &Resolved) -> LinuxBlockIo {
    let weights = limits.weight_devices.iter();
    let weights = weights.filter_map(|device| weight(&device.path, device.weight, resolved));
    let throttles = |kind| Some(throttles(limits, kind, resolved)).filter(|list| !list.is_empty());
    let mut io = LinuxBlockIo::default();
    io.set_weight(limits.weight);
    io.set_weight_device(Some(weights.collect()).filter(|list: &Vec<_>| !list.is_empty()));
    io.set_throttle_read_bps_device(throttles(ThrottleKind::ReadBytes));
    io.set_throttle_write_bps_device(throttles(ThrottleKind::WriteBytes));
    io.set_throttle_read_iops_device(throttles(ThrottleKind::ReadOperations));
    io.set_throttle_write_iops_device(throttles(ThrottleKind::WriteOperations));
    io
}

/// A device whose numbers were not found is left out; who looks them up reports it.
fn weight(path: &Path, weight: u16, resolved: &Resolved) -> Option<LinuxWeightDevice> {
    let (major, minor) = resolved.block_devices.get(path)?;
    let device = LinuxWeightDeviceBuilder::default()
        .major(*major)
        .minor(*minor)
        .weight(weight);
    Some(built(device.build()))
}

fn throttles(
    limits: &BlockIo,
    kind: ThrottleKind,
    resolved: &Resolved,
) -> Vec<LinuxThrottleDevice> {
    let wanted = limits
        .throttles
        .iter()
        .filter(|throttle| throttle.kind == kind);
    wanted
        .filter_map(|throttle| {
            let (major, minor) = resolved.block_devices.get(&throttle.path)?;
            let device = LinuxThrottleDeviceBuilder::default()
                .major(*major)
                .minor(*minor);
            Some(built(device.rate(throttle.rate).build()))
        })
        .collect()
}
