//! What the host is like, read once when the service opens.

use std::{fs, net::IpAddr};

use hakone_cgroup::{Layout, Version};
use hakone_runtime_spec::{CgroupVersion, HostFacts};
use hakone_spec::Lack;
use tracing::warn;

/// The highest capability of the oldest kernel that we run on (5.9: `CAP_CHECKPOINT_RESTORE`).
const OLDEST_CAPABILITY: u8 = 40;

/// Reads the host's facts; what cannot be read is taken for the least.
pub(crate) fn read(host_gateway: Option<IpAddr>) -> HostFacts {
    HostFacts {
        cgroup: cgroup(),
        lacks: lacks(),
        last_capability: last_capability().unwrap_or(OLDEST_CAPABILITY),
        recursive_read_only: kernel() >= (5, 12),
        masked_paths: thermal_paths(),
        host_gateway,
    }
}

/// Gives the bytes of the host's memory.
pub(crate) fn memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// Gives major and minor version of the kernel.
pub(crate) fn kernel() -> (u16, u16) {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    let mut parts = release
        .split(['.', '-'])
        .map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

fn cgroup() -> CgroupVersion {
    match Layout::detect().map(|layout| layout.version()) {
        Ok(Version::V2) => CgroupVersion::V2,
        Ok(Version::V1 | Version::Hybrid) => CgroupVersion::V1,
        Err(error) => {
            warn!(error = %error, "no cgroup hierarchy was found; limits will not hold");
            CgroupVersion::V2
        }
    }
}

/// Looks for the files of block weights where Docker does: with v1 in the root of their hierarchy.
fn lacks() -> Vec<Lack> {
    let Ok(layout) = Layout::detect() else {
        return Vec::new();
    };
    if layout.version() == Version::V2 {
        let controllers = layout.controllers().unwrap_or_default();
        return match controllers.iter().any(|name| name == "io") {
            true => Vec::new(),
            false => vec![Lack::BlockWeight, Lack::BlockWeightDevice],
        };
    }
    let blkio = layout
        .hierarchies()
        .iter()
        .find(|hierarchy| hierarchy.has("blkio"));
    let has = |file: &str| blkio.is_some_and(|blkio| blkio.mount.join(file).exists());
    let files = [
        ("blkio.weight", Lack::BlockWeight),
        ("blkio.weight_device", Lack::BlockWeightDevice),
    ];
    let missing = files.into_iter().filter(|(file, _)| !has(file));
    missing.map(|(_, lack)| lack).collect()
}

fn last_capability() -> Option<u8> {
    let text = fs::read_to_string("/proc/sys/kernel/cap_last_cap").ok()?;
    text.trim().parse().ok()
}

/// Heat tells one container what another computes (CVE-2022-29162's neighbour); Docker masks it as well.
fn thermal_paths() -> Vec<String> {
    let processors = fs::read_dir("/sys/devices/system/cpu")
        .into_iter()
        .flatten();
    let mut paths: Vec<_> = processors
        .flatten()
        .map(|entry| entry.path().join("thermal_throttle"))
        .filter(|path| path.exists())
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    paths.sort();
    paths
}
