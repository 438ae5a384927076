//! `docker update`: what of a container's limits changes, what may not change together, and what a running one is to get.

use hakone_engine_api::wire::{ContainerUpdateBody, HostConfig, RestartPolicyNameEnum};

use crate::{Defaults, Error, Resources, RestartPolicy};

/// A change that contradicts what is set already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UpdateConflict(&'static str);

/// Reads the request as a piece of host configuration and checks it by itself.
///
/// # Errors
/// What a create request with these limits would be refused for.
pub fn check_update(
    body: ContainerUpdateBody,
    defaults: &Defaults,
) -> Result<(HostConfig, Vec<String>), Error> {
    let wanted = HostConfig {
        cpu_shares: body.cpu_shares,
        memory: body.memory,
        blkio_weight: body.blkio_weight,
        cpu_period: body.cpu_period,
        cpu_quota: body.cpu_quota,
        cpu_realtime_period: body.cpu_realtime_period,
        cpu_realtime_runtime: body.cpu_realtime_runtime,
        cpuset_cpus: body.cpuset_cpus,
        cpuset_mems: body.cpuset_mems,
        memory_reservation: body.memory_reservation,
        memory_swap: body.memory_swap,
        nano_cpus: body.nano_cpus,
        pids_limit: body.pids_limit,
        restart_policy: body.restart_policy,
        ..HostConfig::default()
    };
    let mut warnings = Vec::new();
    // A limit of memory and swap alone is checked with the limit that is set already.
    let alone = HostConfig {
        memory_swap: wanted.memory_swap.filter(|_| wanted.memory.is_some()),
        memory_reservation: wanted
            .memory_reservation
            .filter(|_| wanted.memory.is_some()),
        ..wanted.clone()
    };
    Resources::parse(&alone, defaults, &mut warnings)?;
    RestartPolicy::parse(wanted.restart_policy.as_ref())?;
    Ok((wanted, warnings))
}

/// Gives the configuration as it is to be.
///
/// # Errors
/// When the change contradicts what is set already.
pub fn updated(present: &HostConfig, wanted: &HostConfig) -> Result<HostConfig, UpdateConflict> {
    check_cpu(present, wanted)?;
    let set = |value: Option<i64>| value.filter(|value| *value != 0);
    let above_swap =
        set(wanted.memory).is_some_and(|limit| limit > present.memory_swap.unwrap_or(0));
    if above_swap && set(wanted.memory_swap).is_none() {
        return Err(UpdateConflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        ));
    }
    let mut host = present.clone();
    let numbers = [
        (&mut host.cpu_shares, wanted.cpu_shares),
        (&mut host.memory, wanted.memory),
        (&mut host.memory_swap, wanted.memory_swap),
        (&mut host.memory_reservation, wanted.memory_reservation),
        (&mut host.nano_cpus, wanted.nano_cpus),
        (&mut host.cpu_period, wanted.cpu_period),
        (&mut host.cpu_quota, wanted.cpu_quota),
        (&mut host.cpu_realtime_period, wanted.cpu_realtime_period),
        (&mut host.cpu_realtime_runtime, wanted.cpu_realtime_runtime),
    ];
    for (field, value) in numbers {
        *field = set(value).or(*field);
    }
    host.blkio_weight = wanted
        .blkio_weight
        .filter(|weight| *weight != 0)
        .or(host.blkio_weight);
    host.pids_limit = wanted.pids_limit.or(host.pids_limit);
    let text = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
    host.cpuset_cpus = text(&wanted.cpuset_cpus).or(host.cpuset_cpus);
    host.cpuset_mems = text(&wanted.cpuset_mems).or(host.cpuset_mems);
    update_policy(&mut host, wanted)?;
    Ok(host)
}

/// `--cpus` and a quota by hand exclude each other, also one after the other.
fn check_cpu(present: &HostConfig, wanted: &HostConfig) -> Result<(), UpdateConflict> {
    let positive = |value: Option<i64>| value.is_some_and(|value| value > 0);
    let nano = positive(wanted.nano_cpus);
    let fixed = positive(present.nano_cpus);
    let message = match () {
        () if nano && positive(present.cpu_period) => {
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set"
        }
        () if nano && positive(present.cpu_quota) => {
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set"
        }
        () if fixed && positive(wanted.cpu_period) => {
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set"
        }
        () if fixed && positive(wanted.cpu_quota) => {
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set"
        }
        () => return Ok(()),
    };
    Err(UpdateConflict(message))
}

fn update_policy(host: &mut HostConfig, wanted: &HostConfig) -> Result<(), UpdateConflict> {
    let named = wanted
        .restart_policy
        .as_ref()
        .and_then(|policy| policy.name);
    let Some(name) = named.filter(|name| *name != RestartPolicyNameEnum::EMPTY) else {
        return Ok(());
    };
    if host.auto_remove.unwrap_or(false) && name != RestartPolicyNameEnum::NO {
        return Err(UpdateConflict(
            "Restart policy cannot be updated because AutoRemove is enabled for the container",
        ));
    }
    host.restart_policy.clone_from(&wanted.restart_policy);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(set: impl FnOnce(&mut HostConfig)) -> HostConfig {
        let mut host = HostConfig::default();
        set(&mut host);
        host
    }

    #[test]
    fn what_is_not_named_stays() {
        let present = host(|host| {
            host.cpu_shares = Some(512);
            host.memory = Some(1 << 26);
            host.memory_swap = Some(1 << 28);
        });
        let wanted = host(|host| {
            host.memory = Some(1 << 27);
            host.cpu_shares = Some(0);
            host.cpuset_cpus = Some(String::new());
        });
        let found = updated(&present, &wanted).unwrap();
        assert_eq!((found.cpu_shares, found.memory), (Some(512), Some(1 << 27)));
        assert_eq!(found.memory_swap, Some(1 << 28));
    }

    #[test]
    fn memory_above_the_swap_limit_needs_another_swap_limit() {
        let wanted = host(|host| host.memory = Some(1 << 27));
        let error = updated(&HostConfig::default(), &wanted).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("Memory limit should be smaller")
        );
    }

    #[test]
    fn processors_asked_for_in_one_way_stay_so() {
        let present = host(|host| host.nano_cpus = Some(500_000_000));
        let wanted = host(|host| host.cpu_quota = Some(50_000));
        assert_eq!(
            updated(&present, &wanted).unwrap_err().to_string(),
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set"
        );
    }
}
