//! Hardened containers: what Docker leaves to every caller by design, and what leads from a container to the host.
//!
//! A daemon with `--hardened` hardens every container; the label `dev.hakone.hardened` on a container says otherwise for it, in
//! either direction. It is judged whenever a request is parsed, so at each start, too: containers that were made before are
//! hardened at their next start, or refused with the name of the setting.

use std::{
    collections::HashMap,
    path::{Component, Path, PathBuf},
};

use hakone_engine_api::wire::{ContainerConfig, HostConfig};

use crate::{
    Capability, CapabilitySet, ContainerSpec, Defaults, Error, IpcMode, MountSource, NetworkMode,
    PidMode, ReadOnly, SeccompChoice, UserMode, UtsMode, capability,
};

/// The label of a container that says whether it is hardened.
pub const HARDENED: &str = "dev.hakone.hardened";

/// The label by which a container offers namespaces of its own to hardened ones: `network`, `pid`, or both with a comma. Memory is
/// offered by `--ipc shareable`.
const SHARE: &str = "dev.hakone.share";

/// Processes and threads of a hardened container that names no limit.
const PROCESSES: u64 = 1024;

/// Capabilities that are power over the host and not over the container.
const OVER_THE_HOST: [&str; 16] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "BPF",
    "CHECKPOINT_RESTORE",
    "DAC_READ_SEARCH",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "PERFMON",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_MODULE",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
];

/// Folders of the host that no hardened container sees, nor anything in them.
const CLOSED: [&str; 8] = [
    "/boot", "/dev", "/etc", "/proc", "/root", "/run", "/sys", "/var/run",
];

/// What containers may see of `/etc`, read-only: it says nothing that is not the same on other hosts.
const OPEN: [&str; 5] = [
    "/etc/ca-certificates",
    "/etc/localtime",
    "/etc/pki",
    "/etc/ssl/certs",
    "/etc/timezone",
];

/// What of the host belongs to the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guarded {
    /// Its folders, and the sockets over which everything may be asked for: never to be seen.
    pub closed: Vec<PathBuf>,
    /// Its sockets of a role, which are made for containers.
    pub granted: Vec<PathBuf>,
}

/// Reports whether a container is hardened, by the labels of its request; those of its image have no say.
///
/// # Errors
/// When the label says neither yes nor no.
pub fn is_hardened(config: &ContainerConfig, defaults: &Defaults) -> Result<bool, Error> {
    let labels = config.labels.as_ref();
    match labels
        .and_then(|labels| labels.get(HARDENED))
        .map(String::as_str)
    {
        None => Ok(defaults.hardened),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(Error::HardenedLabel),
    }
}

/// Takes away what was not asked for, and refuses what may not be asked for.
///
/// # Errors
/// The first thing that is refused.
pub(crate) fn harden(
    spec: &mut ContainerSpec,
    asked: &HostConfig,
    defaults: &Defaults,
) -> Result<(), Error> {
    let added = asked.cap_add.as_deref().unwrap_or_default();
    powers(spec, added, defaults)?;
    shared(spec, asked)?;
    spec.namespaces.user = UserMode::Remapped;
    for mount in &spec.mounts {
        let read_only = mount.read_only != ReadOnly::No;
        match &mount.source {
            MountSource::Bind(bind) => judge_source(&bind.path, read_only, &defaults.guarded)?,
            MountSource::Volume(volume) => {
                if let Some(device) = volume.options.get("device") {
                    judge_source(Path::new(device), read_only, &defaults.guarded)?;
                }
            }
            MountSource::Tmpfs { .. } | MountSource::Image(_) => {}
        }
    }
    spec.security.no_new_privileges = true;
    spec.resources.pids.get_or_insert(PROCESSES);
    spec.ports.on_loopback = true;
    Ok(())
}

/// Refuses a folder of the host that leads to the whole of it: by its name, or by that of something in it.
///
/// # Errors
/// When it is refused.
pub fn judge_source(source: &Path, read_only: bool, guarded: &Guarded) -> Result<(), Error> {
    let source = plain(source);
    let mut open = OPEN.iter().filter(|_| read_only);
    let is_open = open.any(|open| source.starts_with(open)) || guarded.granted.contains(&source);
    let mut all = closed(guarded);
    let near = |closed: &Path| source.starts_with(closed) || closed.starts_with(&source);
    match !is_open && all.any(near) {
        true => Err(refuse(format!("the mount of {}", source.display()))),
        false => Ok(()),
    }
}

/// Gives the folders and sockets of the host that are closed.
pub fn closed(guarded: &Guarded) -> impl Iterator<Item = &Path> {
    let engines = guarded.closed.iter().map(PathBuf::as_path);
    CLOSED.iter().map(Path::new).chain(engines)
}

/// A path without `.` and `..`, by its words alone.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => drop(plain.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    plain
}

fn powers(spec: &mut ContainerSpec, added: &[String], defaults: &Defaults) -> Result<(), Error> {
    let security = &mut spec.security;
    if security.privileged {
        return Err(refuse("--privileged"));
    }
    if security.seccomp == SeccompChoice::Unconfined && defaults.seccomp != security.seccomp {
        return Err(refuse("--security-opt seccomp=unconfined"));
    }
    let lists = [&mut security.masked_paths, &mut security.readonly_paths];
    // Clients that copy a container send the lists that they saw.
    if lists
        .into_iter()
        .any(|list| list.take().is_some_and(|list| list.is_empty()))
    {
        return Err(refuse("--security-opt systempaths=unconfined"));
    }
    if security.writable_cgroups {
        return Err(refuse("--security-opt writable-cgroups=true"));
    }
    let over: CapabilitySet = named(&OVER_THE_HOST);
    if let Some(power) = security.capabilities.intersection(&over).next() {
        return Err(refuse(format!("--cap-add {}", power.short_name())));
    }
    let (_, asked) = capability::parse_list(added)?;
    // Whatever the daemon's default is.
    let wanted = &Capability::defaults() | &asked;
    security.capabilities = &security.capabilities & &wanted;
    if !spec.devices.is_empty() || !spec.device_rules.is_empty() {
        return Err(refuse("--device"));
    }
    Ok(())
}

fn named(names: &[&str]) -> CapabilitySet {
    Capability::all()
        .filter(|one| names.contains(&one.short_name()))
        .collect()
}

/// Refuses the host's namespaces.
fn shared(spec: &ContainerSpec, asked: &HostConfig) -> Result<(), Error> {
    let namespaces = &spec.namespaces;
    let host = [
        (spec.network == NetworkMode::Host, "--network host"),
        (namespaces.pid == PidMode::Host, "--pid host"),
        (namespaces.ipc == IpcMode::Host, "--ipc host"),
        (namespaces.uts == UtsMode::Host, "--uts host"),
        (
            asked.userns_mode.as_deref() == Some("host"),
            "--userns host",
        ),
        (spec.cgroup_parent.is_some(), "--cgroup-parent"),
    ];
    match host.into_iter().find(|(asked, _)| *asked) {
        Some((_, what)) => Err(refuse(what)),
        None => Ok(()),
    }
}

/// Refuses a namespace of another container, `network` or `pid`, unless that one's own labels offer it.
///
/// # Errors
/// When they do not.
pub fn judge_join(
    namespace: &'static str,
    other: &str,
    labels: Option<&HashMap<String, String>>,
) -> Result<(), Error> {
    let offered = labels.and_then(|labels| labels.get(SHARE));
    let mut offered = offered.into_iter().flat_map(|list| list.split(','));
    match offered.any(|one| one.trim() == namespace) {
        true => Ok(()),
        false => Err(Error::NotShared {
            namespace,
            container: other.to_owned(),
        }),
    }
}

/// Refuses a command in a hardened container that is to have all power.
///
/// # Errors
/// When it asks for that.
pub fn judge_exec(privileged: bool) -> Result<(), Error> {
    match privileged {
        true => Err(refuse("exec --privileged")),
        false => Ok(()),
    }
}

fn refuse(what: impl Into<String>) -> Error {
    Error::Hardened(what.into())
}

#[cfg(test)]
mod tests {
    use hakone_engine_api::wire::{
        DeviceMapping, HostConfig, ImageConfig, Mount, MountType, MountVolumeOptions,
        MountVolumeOptionsDriverConfig,
    };

    use super::*;
    use crate::Create;

    fn defaults() -> Defaults {
        Defaults {
            hardened: true,
            guarded: Guarded {
                closed: vec!["/srv/engine".into(), "/tmp/e/engine.sock".into()],
                granted: vec!["/run/readers.sock".into()],
            },
            capabilities: Capability::docker_defaults(),
            ..Defaults::default()
        }
    }

    fn parsed(host: &HostConfig, label: Option<&str>) -> Result<ContainerSpec, Error> {
        let labels = label.map(|value| [(HARDENED.to_owned(), value.to_owned())].into());
        let config = ContainerConfig {
            image: Some("i".to_owned()),
            cmd: Some(vec!["c".to_owned()]),
            exposed_ports: Some(vec!["80/tcp".to_owned()]),
            labels,
            ..ContainerConfig::default()
        };
        let create = Create {
            config: &config,
            host,
            image: &ImageConfig::default(),
        };
        ContainerSpec::parse(&create, &defaults()).map(|(spec, _)| spec)
    }

    fn bound(bind: &str) -> Result<ContainerSpec, Error> {
        let host = HostConfig {
            binds: Some(vec![bind.to_owned()]),
            ..HostConfig::default()
        };
        parsed(&host, None)
    }

    fn refused(change: impl FnOnce(&mut HostConfig)) -> String {
        let mut host = HostConfig::default();
        change(&mut host);
        assert!(parsed(&host, Some("false")).is_ok(), "its label opens it");
        match parsed(&host, None).unwrap_err() {
            Error::Hardened(what) => what,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_services_do_not_need_is_taken_away_unless_it_is_asked_for() {
        let spec = parsed(&HostConfig::default(), None).unwrap();
        let names = |spec: &ContainerSpec| -> Vec<&str> {
            let all = spec.security.capabilities.iter();
            all.map(|one| one.short_name()).collect()
        };
        assert_eq!(
            names(&spec),
            [
                "CHOWN",
                "DAC_OVERRIDE",
                "FOWNER",
                "FSETID",
                "KILL",
                "SETGID",
                "SETUID",
                "SETPCAP",
                "NET_BIND_SERVICE",
                "SETFCAP"
            ]
        );
        assert!(spec.security.no_new_privileges);
        assert_eq!(spec.namespaces.user, UserMode::Remapped);
        assert_eq!(spec.resources.pids, Some(PROCESSES));
        let asked = HostConfig {
            cap_add: Some(vec!["net_raw".to_owned()]),
            pids_limit: Some(7),
            ..HostConfig::default()
        };
        let spec = parsed(&asked, None).unwrap();
        assert!(!names(&spec).contains(&"NET_RAW"), "powerless there");
        assert!(spec.security.asks_for_ping());
        assert_eq!(spec.resources.pids, Some(7));
        let open = parsed(&HostConfig::default(), Some("false")).unwrap();
        assert!(names(&open).contains(&"MKNOD") && !open.security.no_new_privileges);
        assert_eq!(open.namespaces.user, UserMode::Host);
        assert!(parsed(&HostConfig::default(), Some("perhaps")).is_err());
    }

    #[test]
    fn power_over_the_host_is_refused_by_name() {
        let own = |text: &str| Some(text.to_owned());
        let list = |text: &str| Some(vec![text.to_owned()]);
        assert_eq!(refused(|host| host.privileged = Some(true)), "--privileged");
        for power in ["ALL", "SYS_ADMIN", "cap_sys_module", "DAC_READ_SEARCH"] {
            let what = refused(|host| host.cap_add = list(power));
            assert!(what.starts_with("--cap-add "), "{what}");
        }
        let network = refused(|host| host.network_mode = own("host"));
        assert_eq!(network, "--network host");
        assert_eq!(refused(|host| host.pid_mode = own("host")), "--pid host");
        assert_eq!(refused(|host| host.ipc_mode = own("host")), "--ipc host");
        assert_eq!(refused(|host| host.uts_mode = own("host")), "--uts host");
        let ids = refused(|host| host.userns_mode = own("host"));
        assert_eq!(ids, "--userns host");
        for option in ["seccomp=unconfined", "systempaths=unconfined"] {
            let what = refused(|host| host.security_opt = list(option));
            assert_eq!(what, format!("--security-opt {option}"));
        }
        let disk = DeviceMapping {
            path_on_host: own("/dev/sda"),
            path_in_container: own("/dev/sda"),
            cgroup_permissions: own("rwm"),
        };
        assert_eq!(refused(|host| host.devices = Some(vec![disk])), "--device");
        assert!(judge_exec(true).is_err() && judge_exec(false).is_ok());
    }

    #[test]
    fn folders_that_lead_to_the_whole_host_are_refused_under_every_spelling() {
        for bind in [
            "/:/h",
            "/etc:/h:ro",
            "/etc/shadow:/h:ro",
            "/etc/ssl/certs:/h",
            "/srv/../etc:/h",
            "/proc/1:/h",
            "/var/run/docker.sock:/s",
            "/run:/h",
            "/dev:/h",
            "/srv/engine/volumes:/h",
            "/srv:/h",
            "/tmp/e:/h",
            "/tmp/e/./engine.sock:/s",
            "/var:/h",
        ] {
            let refused = bound(bind).err();
            assert!(matches!(refused, Some(Error::Hardened(_))), "{bind}");
        }
        for bind in [
            "/srv/data:/d",
            "/srvice:/d",
            "/home/me:/d",
            "/etc/ssl/certs:/c:ro",
            "/etc/localtime:/etc/localtime:ro",
            "/run/readers.sock:/s",
            "/tmp/x:/d",
        ] {
            assert!(bound(bind).is_ok(), "{bind}");
        }
    }

    #[test]
    fn a_volume_that_is_made_of_a_folder_is_judged_like_the_folder() {
        let volume = |device: &str| Mount {
            typ: Some(MountType::VOLUME),
            target: Some("/v".to_owned()),
            volume_options: Some(MountVolumeOptions {
                driver_config: Some(MountVolumeOptionsDriverConfig {
                    name: None,
                    options: Some(
                        [("o", "bind"), ("type", "none"), ("device", device)]
                            .map(|(key, value)| (key.to_owned(), value.to_owned()))
                            .into(),
                    ),
                }),
                ..MountVolumeOptions::default()
            }),
            ..Mount::default()
        };
        let with = |device| HostConfig {
            mounts: Some(vec![volume(device)]),
            ..HostConfig::default()
        };
        assert!(matches!(parsed(&with("/"), None), Err(Error::Hardened(_))));
        assert!(parsed(&with("/srv/data"), None).is_ok());
    }

    #[test]
    fn what_names_no_address_is_published_on_the_loopback() {
        let on_loopback = |label| {
            let spec = parsed(&HostConfig::default(), label).unwrap();
            spec.ports.on_loopback
        };
        assert!(on_loopback(None) && !on_loopback(Some("false")));
    }
}
