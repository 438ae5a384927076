//! The list of mounts: the kernel's file systems as Docker has them, then the user's, parents first.

use std::path::PathBuf;

use oci_spec::runtime::Mount;

use crate::{EtcFiles, Resolved, ResolvedMount, ResolvedSource, Shm};
use hakone_spec::{ContainerSpec, IpcMode, PidMode, Propagation, ReadOnly};

pub(crate) fn compose(spec: &ContainerSpec, resolved: &Resolved) -> Vec<Mount> {
    let taken = |place: &str| resolved.mounts.iter().any(|mount| mount.target == place);
    let mut all: Vec<_> = kernel(spec, resolved)
        .into_iter()
        .filter(|(place, _)| !taken(place))
        .map(|(_, mount)| mount)
        .collect();
    let files = resolved
        .files
        .iter()
        .flat_map(files)
        .filter(|mount| !taken(&mount.target));
    let mut own: Vec<_> = files.chain(resolved.mounts.iter().cloned()).collect();
    own.sort_by_key(|mount| mount.target.matches('/').count());
    all.extend(own.iter().map(|mount| user(mount, resolved)));
    all
}

/// Gives the propagation of the root: a shared or slave mount of the user needs a root that lets events pass.
pub(crate) fn root_propagation(resolved: &Resolved) -> &'static str {
    let found = resolved
        .mounts
        .iter()
        .fold(Propagation::RPrivate, |root, mount| match mount.source {
            ResolvedSource::Path {
                propagation: Propagation::Shared | Propagation::RShared,
                ..
            } => Propagation::RShared,
            ResolvedSource::Path {
                propagation: Propagation::Slave | Propagation::RSlave,
                ..
            } if root != Propagation::RShared => Propagation::RSlave,
            ResolvedSource::Path { .. } | ResolvedSource::Tmpfs { .. } => root,
        });
    found.as_str()
}

/// An option of ours for the built-in runtime: no part of the source's path may be a link.
const PLAIN: &str = "x-hakone-plain";

/// A kernel file system: place, type, source, options.
type System = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

/// Those that are the same for every container; `/sys` and the cgroups follow with their access.
const SYSTEMS: [System; 4] = [
    ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
    (
        "/dev",
        "tmpfs",
        "tmpfs",
        &["nosuid", "strictatime", "mode=755", "size=65536k"],
    ),
    (
        "/dev/pts",
        "devpts",
        "devpts",
        &[
            "nosuid",
            "noexec",
            "newinstance",
            "ptmxmode=0666",
            "mode=0620",
            "gid=5",
            // All containers share the kernel's 3,072 terminals; one alone must not have them all.
            "max=256",
        ],
    ),
    (
        "/dev/mqueue",
        "mqueue",
        "mqueue",
        &["nosuid", "noexec", "nodev"],
    ),
];

fn kernel(spec: &ContainerSpec, resolved: &Resolved) -> Vec<(&'static str, Mount)> {
    let fixed = SYSTEMS.map(|(place, kind, source, options)| system(place, kind, source, options));
    let mut all = Vec::from(fixed);
    all.push(system(
        "/sys",
        "sysfs",
        "sysfs",
        &["nosuid", "noexec", "nodev", sys_access(spec)],
    ));
    all.push(system(
        "/sys/fs/cgroup",
        "cgroup",
        "cgroup",
        &["nosuid", "noexec", "nodev", cgroup_access(spec)],
    ));
    if resolved.mappings.is_some() {
        bind_shared(spec, &mut all);
    }
    match &resolved.shm {
        Shm::Absent => {}
        Shm::Own => {
            let size = format!("size={}", spec.shm_size);
            all.push(system(
                "/dev/shm",
                "tmpfs",
                "shm",
                &["nosuid", "noexec", "nodev", "mode=1777", &size],
            ));
        }
        Shm::Bound(path) => {
            let path = path.to_string_lossy();
            all.push(bound(
                "/dev/shm",
                &path,
                &["rbind", "rprivate", "nosuid", "noexec", "nodev"],
            ));
        }
    }
    all
}

/// The kernel lets a user namespace mount only what its own namespaces govern: the rest is bound from the host.
fn bind_shared(spec: &ContainerSpec, all: &mut [(&'static str, Mount)]) {
    let options = ["rbind", "nosuid", "noexec", "nodev"];
    if spec.namespaces.pid == PidMode::Host {
        replace(all, bound("/proc", "/proc", &options));
    }
    if spec.namespaces.ipc == IpcMode::Host {
        replace(all, bound("/dev/mqueue", "/dev/mqueue", &options));
    }
}

fn replace(all: &mut [(&'static str, Mount)], with: (&'static str, Mount)) {
    if let Some(found) = all.iter_mut().find(|(place, _)| *place == with.0) {
        *found = with;
    }
}

fn sys_access(spec: &ContainerSpec) -> &'static str {
    match spec.security.privileged && !spec.security.readonly_rootfs {
        true => "rw",
        false => "ro",
    }
}

fn cgroup_access(spec: &ContainerSpec) -> &'static str {
    let open = spec.security.privileged || spec.security.writable_cgroups;
    match open && !spec.security.readonly_rootfs {
        true => "rw",
        false => "ro",
    }
}

fn system(
    place: &'static str,
    kind: &str,
    source: &str,
    options: &[&str],
) -> (&'static str, Mount) {
    (
        place,
        mount(
            place,
            kind,
            PathBuf::from(source),
            options.iter().map(|o| (*o).to_owned()).collect(),
        ),
    )
}

fn bound(place: &'static str, source: &str, options: &[&str]) -> (&'static str, Mount) {
    system(place, "bind", source, options)
}

fn mount(place: &str, kind: &str, source: PathBuf, options: Vec<String>) -> Mount {
    let mut mount = Mount::default();
    mount.set_destination(PathBuf::from(place));
    mount.set_typ(Some(kind.to_owned()));
    mount.set_source(Some(source));
    mount.set_options(Some(options));
    mount
}

fn files(files: &EtcFiles) -> [ResolvedMount; 3] {
    let file = |target: &str, path: &PathBuf| ResolvedMount {
        target: target.to_owned(),
        source: ResolvedSource::Path {
            path: path.clone(),
            propagation: Propagation::RPrivate,
            recursive: true,
            plain: false,
            devices: true,
        },
        read_only: ReadOnly::No,
    };
    [
        file("/etc/resolv.conf", &files.resolv_conf),
        file("/etc/hostname", &files.hostname),
        file("/etc/hosts", &files.hosts),
    ]
}

fn user(resolved_mount: &ResolvedMount, resolved: &Resolved) -> Mount {
    let ResolvedMount {
        target,
        source,
        read_only,
    } = resolved_mount;
    match source {
        ResolvedSource::Tmpfs { options } => {
            mount(target, "tmpfs", PathBuf::from("tmpfs"), options.clone())
        }
        ResolvedSource::Path {
            path,
            propagation,
            recursive,
            plain,
            devices,
        } => {
            let bind = if *recursive { "rbind" } else { "bind" };
            let mut options = vec![bind.to_owned()];
            options.extend(access(*read_only, resolved).into_iter().map(str::to_owned));
            options.push(propagation.as_str().to_owned());
            options.extend((!devices).then(|| "nodev".to_owned()));
            options.extend(plain.then(|| PLAIN.to_owned()));
            mount(target, "bind", path.clone(), options)
        }
    }
}

/// `rro` is the recursive `ro` of kernels from 5.12 on; a read-only root is not in question here.
fn access(read_only: ReadOnly, resolved: &Resolved) -> Vec<&'static str> {
    match read_only {
        ReadOnly::No => vec![],
        ReadOnly::Recursive if resolved.host.recursive_read_only => vec!["ro", "rro"],
        ReadOnly::ForceRecursive => vec!["ro", "rro"],
        ReadOnly::Recursive | ReadOnly::Top => vec!["ro"],
    }
}
