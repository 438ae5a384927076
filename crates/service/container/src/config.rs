//! Where the service keeps things and what it falls back to.

use std::path::PathBuf;

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
