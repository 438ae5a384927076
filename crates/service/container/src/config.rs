//! Where the service keeps things and what it falls back to.

use std::{collections::HashMap, fs, path::PathBuf, thread};

use hakone_engine_api::wire;
use hakone_spec::{CgroupMode, CgroupVersion, Defaults, IdMapping, LogSpec};

use crate::Error;

/// The service's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What survives a reboot, `/var/lib/hakone`.
    pub data_root: PathBuf,
    /// What does not, `/run/hakone`.
    pub run_root: PathBuf,
    /// Parent of every container's cgroup, absolute in each hierarchy, `/hakone`.
    pub cgroup_parent: String,
    /// Runtimes that `--runtime` may name besides the builtin one, and their programs.
    pub runtimes: Vec<(String, PathBuf)>,
    /// Log driver of containers that name none, `json-file`, and its options.
    pub log_driver: (String, Vec<(String, String)>),
}

/// Maps of users and groups of a user namespace.
pub(crate) type Mappings = (Vec<IdMapping>, Vec<IdMapping>);

impl Config {
    /// Gives the program of a runtime; none for the builtin one.
    pub(crate) fn runtime(&self, name: &str) -> Option<&PathBuf> {
        let mut known = self.runtimes.iter();
        known.find(|(known, _)| known == name).map(|(_, path)| path)
    }

    /// Reads what specifications fall back to and are bounded by.
    pub(crate) fn defaults(&self, cgroup: CgroupVersion) -> Result<Defaults, Error> {
        let list = |path: &str| {
            fs::read_to_string(path)
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let (driver, options) = &self.log_driver;
        let log = wire::HostConfigLogConfig {
            typ: Some(driver.clone()),
            config: Some(options.iter().cloned().collect::<HashMap<_, _>>()),
        };
        let mut defaults = Defaults {
            cpus: thread::available_parallelism()
                .map_or(1, |n| u32::try_from(n.get()).unwrap_or(1)),
            cpuset_cpus: list("/sys/devices/system/cpu/online"),
            cpuset_mems: list("/sys/devices/system/node/online"),
            log: LogSpec::parse(Some(&log), &LogSpec::default())?,
            cgroup_mode: match cgroup {
                CgroupVersion::V1 => CgroupMode::Host,
                CgroupVersion::V2 => CgroupMode::Private,
            },
            ..Defaults::default()
        };
        for (name, _) in &self.runtimes {
            if !defaults.runtimes.contains(name) {
                defaults.runtimes.push(name.clone());
            }
        }
        Ok(defaults)
    }
}
