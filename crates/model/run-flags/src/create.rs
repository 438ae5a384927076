//! From the flags of `create` and `run` to the body of `POST /containers/create`: what takes several flags together.

use std::collections::HashMap;

use hakone_engine_api::wire::{
    ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum as Cgroupns,
    HostConfigIsolationEnum as Isolation, HostConfigLogConfig, NetworkingConfig, RestartPolicy,
    RestartPolicyNameEnum,
};

use crate::{
    CreateFlags, Error, Surroundings, environment, health, network, port, security,
    volume::{self, Volume},
};

/// A container that is not yet asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Creation {
    /// `--name`.
    pub name: Option<String>,
    /// `--platform`.
    pub platform: Option<String>,
    /// The body of the request.
    pub body: ContainerCreateBody,
}

/// Builds the request.
///
/// # Errors
/// In docker's words.
pub fn parse(flags: &CreateFlags, around: &dyn Surroundings) -> Result<Creation, Error> {
    check(flags)?;
    let networks = network::parse(flags)?;
    let ports = port::parse(&flags.publish, &flags.expose)?;
    let mut host = host(flags, around)?;
    host.network_mode = Some(networks.mode);
    host.port_bindings = Some(ports.bindings);
    let mut body = config(flags, around)?;
    body.exposed_ports = list(ports.exposed);
    body.volumes = list(mounts(flags, &mut host, around)?);
    body.host_config = Some(host);
    body.networking_config = Some(NetworkingConfig {
        endpoints_config: Some(networks.endpoints),
    });
    Ok(Creation {
        name: flags.name.clone(),
        platform: flags.platform.clone(),
        body,
    })
}

/// What cannot go together, and what nobody offers here.
fn check(flags: &CreateFlags) -> Result<(), Error> {
    let mode = |text: &Option<String>, others: &[&str]| {
        text.as_deref().is_none_or(|text| {
            text.is_empty()
                || others.contains(&text)
                || joined(text) && others.contains(&"container:")
        })
    };
    if flags.gpus.is_some() {
        return Err(Error::usage(
            "--gpus is not offered: use --device for the nodes a program needs",
        ));
    }
    if !mode(&flags.pid, &["host", "container:"]) {
        return Err(Error::usage("--pid: invalid PID mode"));
    }
    if !mode(&flags.uts, &["host"]) {
        return Err(Error::usage("--uts: invalid UTS mode"));
    }
    if !mode(&flags.userns, &["host"]) {
        return Err(Error::usage("--userns: invalid USER mode"));
    }
    if !mode(&flags.cgroupns, &["host", "private"]) {
        return Err(Error::usage("--cgroupns: invalid CGROUP mode"));
    }
    if flags
        .memory_swappiness
        .is_some_and(|value| value != -1 && !(0..=100).contains(&value))
    {
        let value = flags.memory_swappiness.unwrap_or_default();
        return Err(Error::usage(format!(
            "invalid value: {value}. Valid memory swappiness range is 0-100"
        )));
    }
    let restarts = flags
        .restart
        .as_ref()
        .and_then(|policy| policy.name)
        .is_some_and(|name| {
            !matches!(
                name,
                RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY
            )
        });
    if flags.rm && restarts {
        return Err(Error::usage(
            "conflicting options: cannot specify both --restart and --rm",
        ));
    }
    match flags.pull.as_deref() {
        None | Some("" | "always" | "missing" | "never") => Ok(()),
        Some(other) => Err(Error::usage(format!(
            "invalid pull option: '{other}': must be one of \"always\", \"missing\" or \"never\""
        ))),
    }
}

fn joined(text: &str) -> bool {
    text.strip_prefix("container:")
        .is_some_and(|name| !name.is_empty())
}

/// The part that belongs to the container wherever it runs.
fn config(flags: &CreateFlags, around: &dyn Surroundings) -> Result<ContainerCreateBody, Error> {
    let has = |name: &str| flags.attach.iter().any(|stream| stream == name);
    let all = flags.attach.is_empty();
    let attach_stdin = has("stdin") || all && flags.interactive;
    let (image, command) = flags
        .image_and_command
        .split_first()
        .ok_or_else(|| Error::usage("no image named"))?;
    Ok(ContainerCreateBody {
        hostname: flags.hostname.clone(),
        domainname: flags.domainname.clone(),
        user: flags.user.clone(),
        attach_stdin: Some(attach_stdin),
        attach_stdout: Some(all || has("stdout")),
        attach_stderr: Some(all || has("stderr")),
        tty: Some(flags.tty),
        open_stdin: Some(flags.interactive),
        stdin_once: Some(flags.interactive && attach_stdin),
        env: list(environment::variables(&flags.env_file, &flags.env, around)?),
        cmd: list(command.to_vec()),
        healthcheck: health::check(flags)?,
        image: Some(image.clone()),
        working_dir: flags.workdir.clone(),
        entrypoint: flags.entrypoint.clone().map(|entrypoint| vec![entrypoint]),
        labels: map(environment::labels(
            &flags.label_file,
            &flags.label,
            around,
        )?),
        stop_signal: flags.stop_signal.clone(),
        stop_timeout: flags.stop_timeout,
        ..ContainerCreateBody::default()
    })
}

/// The part that belongs to this host, but for ports, networks and mounts.
fn host(flags: &CreateFlags, around: &dyn Surroundings) -> Result<HostConfig, Error> {
    let security = security::options(&flags.security_opt, around)?;
    let (cap_add, cap_drop) = security::capabilities(&flags.cap_add, &flags.cap_drop);
    Ok(HostConfig {
        log_config: Some(log(flags)?),
        restart_policy: Some(restart(flags)),
        auto_remove: Some(flags.rm),
        annotations: map(flags.annotation.clone()),
        cap_add,
        cap_drop,
        dns: list(flags.dns.clone()),
        dns_options: list(flags.dns_option.clone()),
        dns_search: list(flags.dns_search.clone()),
        extra_hosts: list(flags.add_host.clone()),
        group_add: list(flags.group_add.clone()),
        links: list(flags.link.clone()),
        privileged: Some(flags.privileged),
        publish_all_ports: Some(flags.publish_all),
        readonly_rootfs: Some(flags.read_only),
        security_opt: list(security.options),
        masked_paths: security.unconfined_paths.then(Vec::new),
        readonly_paths: security.unconfined_paths.then(Vec::new),
        storage_opt: map(storage(flags)?),
        shm_size: flags.shm_size,
        sysctls: map(flags.sysctl.clone()),
        runtime: flags.runtime.clone(),
        isolation: flags.isolation.as_deref().map(isolation).transpose()?,
        init: flags.init,
        container_id_file: flags
            .cidfile
            .as_ref()
            .map(|path| path.display().to_string()),
        ..resources(flags, modes(flags))
    })
}

/// Which namespaces are shared.
fn modes(flags: &CreateFlags) -> HostConfig {
    HostConfig {
        cgroupns_mode: flags.cgroupns.as_deref().map(|mode| match mode {
            "host" => Cgroupns::HOST,
            "private" => Cgroupns::PRIVATE,
            _ => Cgroupns::EMPTY,
        }),
        ipc_mode: flags.ipc.clone(),
        pid_mode: flags.pid.clone(),
        uts_mode: flags.uts.clone(),
        userns_mode: flags.userns.clone(),
        ..HostConfig::default()
    }
}

/// How much of the host may be used.
fn resources(flags: &CreateFlags, rest: HostConfig) -> HostConfig {
    HostConfig {
        cpu_shares: flags.cpu_shares,
        memory: flags.memory,
        cgroup_parent: flags.cgroup_parent.clone(),
        blkio_weight: flags.blkio_weight,
        blkio_weight_device: list(flags.blkio_weight_device.clone()),
        blkio_device_read_bps: list(flags.device_read_bps.clone()),
        blkio_device_write_bps: list(flags.device_write_bps.clone()),
        blkio_device_read_iops: list(flags.device_read_iops.clone()),
        blkio_device_write_iops: list(flags.device_write_iops.clone()),
        cpu_period: flags.cpu_period,
        cpu_quota: flags.cpu_quota,
        cpu_realtime_period: flags.cpu_rt_period,
        cpu_realtime_runtime: flags.cpu_rt_runtime,
        cpuset_cpus: flags.cpuset_cpus.clone(),
        cpuset_mems: flags.cpuset_mems.clone(),
        devices: list(flags.device.clone()),
        device_cgroup_rules: list(flags.device_cgroup_rule.clone()),
        memory_reservation: flags.memory_reservation,
        memory_swap: flags.memory_swap,
        memory_swappiness: Some(flags.memory_swappiness.unwrap_or(-1)),
        nano_cpus: flags.cpus,
        oom_kill_disable: flags.oom_kill_disable.then_some(true),
        oom_score_adj: flags.oom_score_adj,
        pids_limit: flags.pids_limit,
        ulimits: list(flags.ulimit.clone()),
        ..rest
    }
}

/// Fills in binds, mounts and tmpfs; gives the anonymous volumes.
fn mounts(
    flags: &CreateFlags,
    host: &mut HostConfig,
    around: &dyn Surroundings,
) -> Result<Vec<String>, Error> {
    let mut anonymous = Vec::new();
    let mut binds = Vec::new();
    for text in &flags.volume {
        match volume::parse(text, &around.folder())? {
            Volume::Bind(bind) => binds.push(bind),
            Volume::Anonymous(target) => anonymous.push(target),
        }
    }
    let tmpfs = flags
        .tmpfs
        .iter()
        .map(|text| text.split_once(':').unwrap_or((text, "")));
    host.tmpfs = map(tmpfs
        .map(|(path, options)| (path.to_owned(), options.to_owned()))
        .collect());
    host.binds = list(binds);
    let mut mounts = flags.mount.clone();
    for source in mounts.iter_mut().filter_map(|mount| mount.source.as_mut()) {
        if source == "." || source.starts_with("./") {
            *source = volume::absolute(&around.folder(), source);
        }
    }
    host.mounts = list(mounts);
    host.volume_driver.clone_from(&flags.volume_driver);
    host.volumes_from = list(flags.volumes_from.clone());
    Ok(anonymous)
}

fn log(flags: &CreateFlags) -> Result<HostConfigLogConfig, Error> {
    let options: HashMap<_, _> = flags.log_opt.iter().map(|text| pair(text)).collect();
    if flags.log_driver.as_deref() == Some("none") && !options.is_empty() {
        return Err(Error::usage("invalid logging opts for driver none"));
    }
    Ok(HostConfigLogConfig {
        typ: Some(flags.log_driver.clone().unwrap_or_default()),
        config: Some(options),
    })
}

fn pair(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (key.to_owned(), value.to_owned())
}

fn restart(flags: &CreateFlags) -> RestartPolicy {
    let none = RestartPolicy {
        name: Some(RestartPolicyNameEnum::NO),
        maximum_retry_count: None,
    };
    flags.restart.clone().unwrap_or(none)
}

fn storage(flags: &CreateFlags) -> Result<Vec<(String, String)>, Error> {
    let split = |text: &String| match text.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(Error::usage("invalid storage option")),
    };
    flags.storage_opt.iter().map(split).collect()
}

fn isolation(text: &str) -> Result<Isolation, Error> {
    match text {
        "" => Ok(Isolation::EMPTY),
        "default" => Ok(Isolation::DEFAULT),
        other => Err(Error::usage(format!(
            "invalid isolation '{other}': only \"default\" exists on Linux"
        ))),
    }
}

fn list<T>(values: Vec<T>) -> Option<Vec<T>> {
    (!values.is_empty()).then_some(values)
}

fn map(pairs: Vec<(String, String)>) -> Option<HashMap<String, String>> {
    (!pairs.is_empty()).then(|| pairs.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surroundings::Nothing;
    use clap::{Args, Command, FromArgMatches};

    fn created(words: &[&str]) -> Result<Creation, String> {
        let command = Command::new("run").disable_help_flag(true);
        let command = CreateFlags::augment_args(command);
        let words = std::iter::once("run").chain(words.iter().copied());
        let matches = command
            .try_get_matches_from(words)
            .map_err(|error| error.to_string())?;
        let flags = CreateFlags::from_arg_matches(&matches).map_err(|error| error.to_string())?;
        parse(&flags, &Nothing).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_after_the_image_belong_to_the_command() {
        let body = created(&["--tty", "img", "sh", "-c", "--rm", "--", "x"])
            .unwrap()
            .body;
        assert_eq!(body.cmd.unwrap(), ["sh", "-c", "--rm", "--", "x"]);
        assert_eq!(body.host_config.unwrap().auto_remove, Some(false));
    }

    #[test]
    fn contradictions_are_refused_in_dockers_words() {
        let table: [(&[&str], &str); 11] = [
            (
                &["--restart", "always", "--rm", "img"],
                "conflicting options: cannot specify both --restart and --rm",
            ),
            (
                &["--health-cmd", "x", "--no-healthcheck", "img"],
                "--no-healthcheck conflicts with --health-* options",
            ),
            (
                &["--health-interval", "-5s", "img"],
                "--health-interval cannot be negative",
            ),
            (&["--pid", "foo", "img"], "--pid: invalid PID mode"),
            (
                &["--cgroupns", "foo", "img"],
                "--cgroupns: invalid CGROUP mode",
            ),
            (
                &["--log-driver", "none", "--log-opt", "a=b", "img"],
                "invalid logging opts for driver none",
            ),
            (&["--storage-opt", "x", "img"], "invalid storage option"),
            (
                &["--pull", "bogus", "img"],
                "invalid pull option: 'bogus': must be one of \"always\", \"missing\" or \"never\"",
            ),
            (
                &["--env-file", "/nope", "img"],
                "open /nope: no such file or directory",
            ),
            (
                &["--network", "a", "--network", "a", "img"],
                "network \"a\" is specified multiple times",
            ),
            (
                &["--network", "a", "--network", "host", "img"],
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
            ),
        ];
        for (words, message) in table {
            assert_eq!(created(words).unwrap_err(), message, "{words:?}");
        }
    }

    #[test]
    fn a_dotted_source_of_a_mount_is_made_absolute() {
        let host = created(&["--mount", "type=bind,src=./a,dst=/b", "img"]);
        let mounts = host.unwrap().body.host_config.unwrap().mounts.unwrap();
        assert_eq!(mounts[0].source.as_deref(), Some("/home/me/a"));
    }

    #[test]
    fn a_gpu_is_refused_with_advice() {
        assert!(
            created(&["--gpus", "all", "img"])
                .unwrap_err()
                .contains("--device")
        );
    }

    #[test]
    fn no_ports_means_no_exposed_ports() {
        let body = created(&["img"]).unwrap().body;
        assert_eq!(body.exposed_ports, None);
    }

    #[test]
    fn unconfined_paths_are_empty_lists() {
        let host = created(&["--security-opt", "systempaths=unconfined", "img"])
            .unwrap()
            .body
            .host_config
            .unwrap();
        assert_eq!(host.masked_paths, Some(Vec::new()));
        assert_eq!(host.security_opt, None);
    }
}
