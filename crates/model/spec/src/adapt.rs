//! Fills a host configuration in as Docker does at create, so that inspect shows what holds rather than what was left out.

use hakone_engine_api::wire::{
    HostConfig, HostConfigCgroupnsModeEnum as Cgroupns, HostConfigLogConfig, RestartPolicy,
    RestartPolicyNameEnum as Restart,
};

use crate::{
    Capability, CgroupMode, Defaults, IpcMode, LogDefault,
    spec::{positive, text},
    storage,
};

/// Fills in defaults and normal forms; a configuration that [`crate::ContainerSpec::parse`] accepts means the same before
/// and after.
pub fn adapt(host: &mut HostConfig, defaults: &Defaults) {
    modes(host, defaults);
    limits(host, defaults);
    storage::adapt(host, defaults);
    if text(host.runtime.as_ref()).is_none() {
        host.runtime = Some(defaults.default_runtime.clone());
    }
    let policy = host
        .restart_policy
        .get_or_insert_with(RestartPolicy::default);
    if matches!(policy.name, None | Some(Restart::EMPTY)) {
        policy.name = Some(Restart::NO);
    }
    log(
        host.log_config
            .get_or_insert_with(HostConfigLogConfig::default),
        &defaults.log,
    );
    for list in [&mut host.cap_add, &mut host.cap_drop]
        .into_iter()
        .flatten()
    {
        list.iter_mut().for_each(normalise);
    }
}

fn modes(host: &mut HostConfig, defaults: &Defaults) {
    if matches!(text(host.network_mode.as_ref()), None | Some("default")) {
        host.network_mode = Some("bridge".into());
    }
    if text(host.ipc_mode.as_ref()).is_none() {
        let shared = defaults.ipc_mode == IpcMode::Shareable;
        host.ipc_mode = Some(if shared { "shareable" } else { "private" }.into());
    }
    if matches!(host.cgroupns_mode, None | Some(Cgroupns::EMPTY)) {
        host.cgroupns_mode = Some(match defaults.cgroup_mode {
            CgroupMode::Private => Cgroupns::PRIVATE,
            CgroupMode::Host => Cgroupns::HOST,
        });
    }
}

fn limits(host: &mut HostConfig, defaults: &Defaults) {
    if positive(host.shm_size).is_none() {
        host.shm_size = i64::try_from(defaults.shm_size).ok();
    }
    if let (Some(memory), None | Some(0)) = (positive(host.memory), host.memory_swap) {
        host.memory_swap = i64::try_from(memory.saturating_mul(2)).ok();
    }
    host.memory_swappiness = host.memory_swappiness.filter(|percent| *percent >= 0);
    host.pids_limit = host.pids_limit.filter(|limit| *limit != 0);
}

fn log(config: &mut HostConfigLogConfig, default: &LogDefault) {
    let (driver, options) = default.complete(Some(config));
    config.typ = Some(driver);
    config.config = Some(options.into_iter().collect());
}

/// Writes `CAP_NET_ADMIN` for `net_admin`; what does not parse is refused elsewhere.
fn normalise(name: &mut String) {
    if name.eq_ignore_ascii_case("all") || name.eq_ignore_ascii_case("cap_all") {
        *name = "ALL".into();
    } else if let Ok(capability) = name.parse::<Capability>() {
        *name = capability.to_string();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_shown() {
        let mut host = HostConfig {
            memory: Some(64 << 20),
            memory_swappiness: Some(-1),
            network_mode: Some("default".into()),
            cap_add: Some(vec!["net_admin".into(), "all".into()]),
            ..HostConfig::default()
        };
        adapt(&mut host, &Defaults::default());
        assert_eq!(host.shm_size, Some(64 << 20));
        assert_eq!(
            (host.memory_swap, host.memory_swappiness),
            (Some(128 << 20), None)
        );
        assert_eq!(host.network_mode.as_deref(), Some("bridge"));
        assert_eq!(host.cap_add.unwrap(), ["CAP_NET_ADMIN", "ALL"]);
        assert_eq!(host.restart_policy.unwrap().name, Some(Restart::NO));
        assert_eq!(host.log_config.unwrap().typ.as_deref(), Some("json-file"));
    }

    #[test]
    fn adapting_twice_changes_nothing() {
        let mut once = HostConfig::default();
        adapt(&mut once, &Defaults::default());
        let mut twice = once.clone();
        adapt(&mut twice, &Defaults::default());
        assert_eq!(once, twice);
    }
}
