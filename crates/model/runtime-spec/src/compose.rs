//! Puts the parts of the runtime spec together.

use oci_spec::OciSpecError;
use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxIdMappingBuilder, Root, Spec};

use crate::{IdMapping, Netns, Resolved, cgroup, devices, mounts, namespaces, process};
use hakone_spec::{ContainerSpec, UtsMode};

/// The annotation that asks our runtime for an init process in front of the command.
pub const INIT_ANNOTATION: &str = "dev.hakone.init";

/// Paths that look empty: they tell of the host or reach its hardware.
pub const MASKED_PATHS: [&str; 21] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/cmdline",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/key-users",
    "/proc/keys",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/modules",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/version_signature",
    "/proc/vmallocinfo",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Paths that may be read only: writing there changes the host.
pub const READ_ONLY_PATHS: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Composes the document; the same values give the same document.
///
/// `process.user` is root here: names are in the image, so who mounts it resolves them with [`hakone_spec::user::resolve`].
#[must_use]
pub fn runtime_spec(spec: &ContainerSpec, resolved: &Resolved) -> Spec {
    let mut root = Root::default();
    root.set_path(resolved.rootfs.clone());
    root.set_readonly(Some(spec.security.readonly_rootfs));
    let mut document = Spec::default();
    document.set_version("1.1.0".into());
    document.set_root(Some(root));
    document.set_process(Some(process::compose(spec, resolved)));
    document.set_mounts(Some(mounts::compose(spec, resolved)));
    document.set_annotations(Some(annotations(spec)));
    document.set_linux(Some(linux(spec, resolved)));
    let own_name = spec.namespaces.uts == UtsMode::Private;
    document.set_hostname(own_name.then(|| resolved.hostname.clone()));
    document.set_domainname(spec.domainname.clone().filter(|_| own_name));
    document
}

fn annotations(spec: &ContainerSpec) -> std::collections::HashMap<String, String> {
    let init = spec
        .init
        .then(|| (INIT_ANNOTATION.to_owned(), "true".to_owned()));
    spec.annotations.clone().into_iter().chain(init).collect()
}

fn linux(spec: &ContainerSpec, resolved: &Resolved) -> Linux {
    let mut linux = Linux::default();
    linux.set_namespaces(Some(namespaces::compose(spec, resolved)));
    linux.set_sysctl(Some(sysctls(spec, resolved)));
    linux.set_resources(Some(cgroup::resources(spec, resolved)));
    linux.set_cgroups_path(Some(resolved.cgroup.clone()));
    linux.set_devices(Some(devices::nodes(resolved)));
    linux.set_rootfs_propagation(Some(mounts::root_propagation(resolved).into()));
    linux.set_masked_paths(Some(masked(spec, resolved)));
    linux.set_readonly_paths(Some(read_only(spec)));
    if let Some((users, groups)) = &resolved.mappings {
        linux.set_uid_mappings(Some(users.iter().map(id_mapping).collect()));
        linux.set_gid_mappings(Some(groups.iter().map(id_mapping).collect()));
    }
    linux
}

/// A namespace of its own lets every user bind low ports and ping, as in Docker.
fn sysctls(spec: &ContainerSpec, resolved: &Resolved) -> std::collections::HashMap<String, String> {
    let mut all = std::collections::HashMap::new();
    if resolved.network == Netns::New {
        all.insert("net.ipv4.ip_unprivileged_port_start".into(), "0".into());
        if resolved.mappings.is_none() {
            all.insert("net.ipv4.ping_group_range".into(), "0 2147483647".into());
        }
    }
    all.extend(spec.sysctls.clone());
    all
}

fn masked(spec: &ContainerSpec, resolved: &Resolved) -> Vec<String> {
    match &spec.security.masked_paths {
        _ if spec.security.privileged => Vec::new(),
        Some(paths) => paths.clone(),
        None => {
            let own = MASKED_PATHS.map(str::to_owned);
            own.into_iter()
                .chain(resolved.host.masked_paths.iter().cloned())
                .collect()
        }
    }
}

fn read_only(spec: &ContainerSpec) -> Vec<String> {
    match &spec.security.readonly_paths {
        _ if spec.security.privileged => Vec::new(),
        Some(paths) => paths.clone(),
        None => READ_ONLY_PATHS.map(str::to_owned).into(),
    }
}

fn id_mapping(mapping: &IdMapping) -> LinuxIdMapping {
    built(
        LinuxIdMappingBuilder::default()
            .container_id(mapping.container)
            .host_id(mapping.host)
            .size(mapping.size)
            .build(),
    )
}

/// Takes what a builder of `oci-spec` made; those builders have a default for every field.
pub(crate) fn built<T: Default>(made: Result<T, OciSpecError>) -> T {
    debug_assert!(made.is_ok(), "a builder without required fields failed");
    made.unwrap_or_default()
}
