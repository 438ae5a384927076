//! Limits of the container's cgroup.

use std::collections::BTreeSet;

use hakone_engine_api::wire::HostConfig;

use crate::{
    BlockIo, Defaults, Error, Memory, io, memory,
    spec::{positive, text},
};

/// What the cgroup of a container allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Memory and swap.
    pub memory: Memory,
    /// Processors.
    pub cpu: Cpu,
    /// Processes and threads at most.
    pub pids: Option<u64>,
    /// Block devices.
    pub io: BlockIo,
}

/// Processor time and placement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Relative share; 1024 is the usual one.
    pub shares: Option<u64>,
    /// Microseconds in each period; unlimited when absent.
    pub quota: Option<i64>,
    /// The period in microseconds.
    pub period: Option<u64>,
    /// Realtime microseconds in each realtime period.
    pub realtime_runtime: Option<i64>,
    /// The realtime period in microseconds.
    pub realtime_period: Option<u64>,
    /// Processors it may run on, a kernel list.
    pub cpus: Option<String>,
    /// Memory nodes it may use, a kernel list.
    pub mems: Option<String>,
}

/// The period in which `--cpus` is counted, in microseconds.
const PERIOD: u64 = 100_000;

impl Resources {
    /// Parses the limits of a request; `warnings` are for the user.
    ///
    /// # Errors
    /// When they do not go together, or this system has none such.
    pub fn parse(
        host: &HostConfig,
        defaults: &Defaults,
        warnings: &mut Vec<String>,
    ) -> Result<Self, Error> {
        if positive(host.io_maximum_bandwidth).is_some() || positive(host.io_maximum_iops).is_some()
        {
            return Err(Error::WindowsOnly);
        }
        Ok(Self {
            memory: memory::parse(host, warnings)?,
            cpu: cpu(host, defaults)?,
            pids: match host.pids_limit {
                None | Some(0) => defaults.pids,
                limit => positive(limit),
            },
            io: io::parse(host)?,
        })
    }
}

fn cpu(host: &HostConfig, defaults: &Defaults) -> Result<Cpu, Error> {
    let (quota, period) = bandwidth(host, defaults.cpus)?;
    let (realtime_runtime, realtime_period) = realtime(host)?;
    let cpus = text(host.cpuset_cpus.as_ref());
    let mems = text(host.cpuset_mems.as_ref());
    if let Some(cpus) = cpus {
        check_cpus(cpus, &defaults.cpuset_cpus)?;
    }
    if let Some(mems) = mems {
        check_mems(mems, &defaults.cpuset_mems)?;
    }
    Ok(Cpu {
        shares: positive(host.cpu_shares),
        quota,
        period,
        realtime_runtime,
        realtime_period,
        cpus: cpus.map(str::to_owned),
        mems: mems.map(str::to_owned),
    })
}

/// `--cpus` is a quota in a period of 100 ms, and excludes setting either by hand.
fn bandwidth(host: &HostConfig, available: u32) -> Result<(Option<i64>, Option<u64>), Error> {
    let period = positive(host.cpu_period);
    let quota = host.cpu_quota.filter(|quota| *quota != 0);
    if let Some(nano) = host.nano_cpus.filter(|nano| *nano != 0) {
        return match (period, quota) {
            (Some(_), _) => Err(Error::NanoCpusAndPeriod),
            (None, Some(_)) => Err(Error::NanoCpusAndQuota),
            (None, None) => nano_cpus(nano, available),
        };
    }
    if period.is_some_and(|period| !(1_000..=1_000_000).contains(&period)) {
        return Err(Error::CpuPeriod);
    }
    match quota {
        Some(1..1_000) => Err(Error::CpuQuota),
        quota => Ok((quota, period)),
    }
}

fn nano_cpus(nano: i64, available: u32) -> Result<(Option<i64>, Option<u64>), Error> {
    if nano < 0 || nano > i64::from(available) * 1_000_000_000 {
        return Err(Error::NanoCpus(available));
    }
    // One processor for one period is 100,000 microseconds: a nano-processor is a ten-thousandth of one.
    Ok((Some(nano / 10_000), Some(PERIOD)))
}

fn realtime(host: &HostConfig) -> Result<(Option<i64>, Option<u64>), Error> {
    let runtime = host.cpu_realtime_runtime.filter(|runtime| *runtime != 0);
    let period = positive(host.cpu_realtime_period);
    match (
        runtime.and_then(|runtime| u64::try_from(runtime).ok()),
        period,
    ) {
        (Some(used), Some(whole)) if used > whole => Err(Error::RealtimeRuntime),
        _ => Ok((runtime, period)),
    }
}

fn check_cpus(list: &str, available: &str) -> Result<(), Error> {
    let wanted = parse_list(list).ok_or_else(|| Error::CpusetCpus(list.to_owned()))?;
    match within(&wanted, available) {
        true => Ok(()),
        false => Err(Error::CpusUnavailable {
            wanted: list.to_owned(),
            available: available.to_owned(),
        }),
    }
}

fn check_mems(list: &str, available: &str) -> Result<(), Error> {
    let wanted = parse_list(list).ok_or_else(|| Error::CpusetMems(list.to_owned()))?;
    match within(&wanted, available) {
        true => Ok(()),
        false => Err(Error::MemsUnavailable {
            wanted: list.to_owned(),
            available: available.to_owned(),
        }),
    }
}

fn within(wanted: &BTreeSet<u16>, available: &str) -> bool {
    match parse_list(available) {
        Some(available) if !available.is_empty() => wanted.is_subset(&available),
        _ => true,
    }
}

/// The highest number in a list, Docker's bound as well: a short text must not ask for gigabytes.
const HIGHEST: u16 = 8192;

/// Reads a kernel list, `0-2,7`.
fn parse_list(text: &str) -> Option<BTreeSet<u16>> {
    let mut numbers = BTreeSet::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last > HIGHEST {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(set: impl FnOnce(&mut HostConfig)) -> Result<Resources, String> {
        let mut host = HostConfig::default();
        set(&mut host);
        let defaults = Defaults {
            cpus: 4,
            cpuset_cpus: "0-3".into(),
            ..Defaults::default()
        };
        Resources::parse(&host, &defaults, &mut Vec::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn half_a_processor_is_half_a_period() {
        let cpu = parsed(|host| host.nano_cpus = Some(500_000_000))
            .unwrap()
            .cpu;
        assert_eq!((cpu.quota, cpu.period), (Some(50_000), Some(100_000)));
    }

    #[test]
    fn processors_are_asked_for_in_one_way_only() {
        let both = parsed(|host| {
            host.nano_cpus = Some(1);
            host.cpu_quota = Some(5000);
        });
        assert_eq!(
            both.unwrap_err(),
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set"
        );
        let many = parsed(|host| host.nano_cpus = Some(5_000_000_000));
        assert_eq!(
            many.unwrap_err(),
            "Range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available"
        );
    }

    #[test]
    fn a_cpuset_names_processors_that_exist() {
        let cpus = |list: &str| parsed(|host| host.cpuset_cpus = Some(list.into()));
        assert!(cpus("0,2-3").is_ok());
        assert_eq!(
            cpus("4").unwrap_err(),
            "Requested CPUs are not available - requested 4, available: 0-3"
        );
        assert_eq!(
            cpus("x").unwrap_err(),
            "Invalid value x for cpuset cpus: invalid format: x"
        );
        assert!(cpus("0-4294967295").is_err());
    }

    #[test]
    fn zero_and_minus_one_pids_are_unlimited() {
        assert_eq!(parsed(|host| host.pids_limit = Some(0)).unwrap().pids, None);
        assert_eq!(
            parsed(|host| host.pids_limit = Some(-1)).unwrap().pids,
            None
        );
        assert_eq!(
            parsed(|host| host.pids_limit = Some(9)).unwrap().pids,
            Some(9)
        );
    }
}
