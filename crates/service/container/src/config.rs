//! Where the service keeps things and what it falls back to.

use std::{fs, path::PathBuf, thread};

use hakone_engine_api::wire;
use hakone_runtime_spec::CgroupVersion;
use hakone_spec::{
    Capability, CgroupMode, Defaults, Guarded, Limit, LogDefault, LogSpec, SeccompChoice,
};

use crate::Error;

/// Processes and threads of a container that names no limit: more than services have, and few enough for the host to live on.
const PROCESSES: u64 = 4096;

/// The service's configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What survives a reboot, `/var/lib/hakone`.
    pub data_root: PathBuf,
    /// What does not, `/run/hakone`.
    pub run_root: PathBuf,
    /// Parent of every container's cgroup, absolute in each hierarchy, `/hakone`.
    pub cgroup_parent: String,
    /// Runtimes that `--runtime` may name besides the builtin one, and their programs.
    pub runtimes: Vec<(String, PathBuf)>,
    /// The runtime of containers that name none; empty means the builtin one.
    pub default_runtime: String,
    /// Log driver of containers that name none, `json-file`, and its options.
    pub log_driver: (String, Vec<(String, String)>),
    /// Limits of containers that do not set the same one, `NAME=SOFT[:HARD]`.
    pub ulimits: Vec<String>,
    /// Bytes of `/dev/shm` for containers that do not say; `None` means Docker's 64 MiB.
    pub shm_size: Option<u64>,
    /// Whether an init process runs in front of every command.
    pub init: bool,
    /// Whether set-user-id programs bring no power in any container.
    pub no_new_privileges: bool,
    /// The capabilities of containers that neither add nor drop any, as [`Capability::read_defaults`] takes them; `None`
    /// for what services need.
    pub capabilities: Option<String>,
    /// `unconfined`, or the path of a profile in Docker's format; `None` means the engine's own.
    pub seccomp_profile: Option<String>,
    /// Whether containers are hardened unless their label says otherwise.
    pub hardened: bool,
    /// What of the host belongs to the engine.
    pub guarded: Guarded,
    /// Processes and threads of a container that names no limit; 0 for no limit, `None` for what suits most.
    pub pids_limit: Option<u64>,
    /// Bytes of memory of a container that names no limit; 0 for no limit, `None` for nearly all of the host's.
    pub memory_limit: Option<u64>,
    /// Bytes that the files of a container may take that names no size; `None` for no limit.
    pub storage_limit: Option<u64>,
    /// Whose subordinate ids containers are mapped to, `USER[:GROUP]` or `default`.
    pub userns_remap: Option<String>,
}

impl Config {
    /// Reports whether a service can be opened with it.
    ///
    /// # Errors
    /// The first value that means nothing here.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(user) = &self.userns_remap {
            crate::remap::read(user)?;
        }
        self.defaults(CgroupVersion::V2).map(drop)
    }

    /// Gives the program of a runtime; none for the builtin one.
    pub(crate) fn runtime(&self, name: &str) -> Option<&PathBuf> {
        let mut known = self.runtimes.iter();
        known.find(|(known, _)| known == name).map(|(_, path)| path)
    }

    /// Reads what specifications fall back to and are bounded by.
    pub(crate) fn defaults(&self, cgroup: CgroupVersion) -> Result<Defaults, Error> {
        let base = Defaults::default();
        let list = |path: &str| {
            fs::read_to_string(path)
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let mut runtimes = base.runtimes.clone();
        runtimes.extend(self.runtimes.iter().map(|(name, _)| name.clone()));
        let default_runtime = match self.default_runtime.as_str() {
            "" => base.default_runtime.clone(),
            name if runtimes.iter().any(|known| known == name) => name.to_owned(),
            name => return Err(Error::Invalid(format!("unknown default runtime {name:?}"))),
        };
        Ok(Defaults {
            cpus: thread::available_parallelism()
                .map_or(1, |n| u32::try_from(n.get()).unwrap_or(1)),
            cpuset_cpus: list("/sys/devices/system/cpu/online"),
            cpuset_mems: list("/sys/devices/system/node/online"),
            log: self.log()?,
            default_runtime,
            runtimes,
            ulimits: self
                .ulimits
                .iter()
                .map(|text| limit(text))
                .collect::<Result<_, _>>()?,
            shm_size: self.shm_size.unwrap_or(base.shm_size),
            cgroup_mode: match cgroup {
                CgroupVersion::V1 => CgroupMode::Host,
                CgroupVersion::V2 => CgroupMode::Private,
            },
            init: self.init,
            userns_remap: self.userns_remap.is_some(),
            no_new_privileges: self.no_new_privileges,
            capabilities: match &self.capabilities {
                Some(text) => Capability::read_defaults(text)?,
                None => base.capabilities,
            },
            seccomp: self.seccomp()?,
            hardened: self.hardened,
            guarded: self.guarded.clone(),
            pids: Some(self.pids_limit.unwrap_or(PROCESSES)).filter(|limit| *limit > 0),
            memory: self
                .memory_limit
                .or_else(nearly_all)
                .filter(|limit| *limit > 0),
            storage: self.storage()?,
            ..base
        })
    }

    fn log(&self) -> Result<LogDefault, Error> {
        let (driver, options) = &self.log_driver;
        let default = LogDefault {
            driver: driver.clone(),
            options: options.iter().cloned().collect(),
        };
        LogSpec::parse(None, &default)?;
        Ok(default)
    }

    /// Gives the limit of containers that name none, where the file system can hold them to it.
    fn storage(&self) -> Result<Option<u64>, Error> {
        let limit = self.storage_limit.filter(|limit| *limit > 0);
        if limit.is_some() {
            hakone_quota::check(&self.data_root).map_err(Error::StorageDefault)?;
        }
        Ok(limit)
    }

    fn seccomp(&self) -> Result<SeccompChoice, Error> {
        match self.seccomp_profile.as_deref() {
            None | Some("" | "builtin") => Ok(SeccompChoice::Default),
            Some("unconfined") => Ok(SeccompChoice::Unconfined),
            Some(path) => fs::read_to_string(path)
                .map(SeccompChoice::Profile)
                .map_err(Error::host("read", path)),
        }
    }
}

/// Leaves a twentieth of the host's memory to the host, so that its own services outlive any container's hunger.
fn nearly_all() -> Option<u64> {
    let all = crate::facts::memory()?;
    Some(all - all / 20)
}

/// Reads `nofile=1024:2048`; one number stands for both.
fn limit(text: &str) -> Result<Limit, Error> {
    let refuse = || Error::Invalid(format!("invalid ulimit argument: {text}"));
    let (name, values) = text.split_once('=').ok_or_else(refuse)?;
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let number = |text: &str| text.parse::<i64>().ok().ok_or_else(refuse);
    Ok(Limit::parse(&wire::ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(number(soft)?),
        hard: Some(number(hard)?),
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inspect_shows_what_is_masked() {
        let text = include_str!("../../container-record/src/host_defaults.json");
        let shown: serde_json::Value = serde_json::from_str(text).unwrap();
        let list = |key: &str| {
            let mut paths: Vec<String> = serde_json::from_value(shown[key].clone()).unwrap();
            paths.sort();
            paths
        };
        assert_eq!(list("MaskedPaths"), hakone_runtime_spec::MASKED_PATHS);
        assert_eq!(list("ReadonlyPaths"), hakone_runtime_spec::READ_ONLY_PATHS);
    }

    #[test]
    fn a_limit_of_one_number_is_soft_and_hard() {
        let both = limit("nofile=1024").unwrap();
        assert_eq!((both.soft, both.hard), (1024, 1024));
        assert_eq!(limit("nofile=1:2").unwrap().hard, 2);
        assert!(limit("nofile").is_err() && limit("nosuch=1").is_err());
    }
}
