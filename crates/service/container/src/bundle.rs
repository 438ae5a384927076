//! Writes what a supervisor reads: the three files of `/etc`, the OCI runtime specification, the order.
//!
//! Nothing here is synced to disk: a supervisor that misses a file after a power cut has no container to run either.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, lchown,
    },
    path::{Path, PathBuf},
};

use hakone_base::Secret;
use hakone_container_log::Logged;
use hakone_runtime_spec::{
    EtcFiles, Joined, Mappings, Netns, Resolved, ResolvedMount, ResolvedSource, Shm, runtime_spec,
    seccomp_for_runc,
};
use hakone_spec::{Capability, ContainerSpec, Guarded, MountSource, Propagation, ReadOnly};
use hakone_supervision::WindowSize;
use hakone_supervision::{
    CONFIG_FILE, CopyUp, ENVIRONMENT_FILE, IMAGES, ImageView, Log, ORDER_FILE, Order, ROOTFS,
    Rootfs, Runtime,
};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use tracing::warn;

use crate::{
    Error, Etc,
    container::{Container, hold},
    device, hardened,
    inner::{Inner, now},
    mounts,
    record::{Mount, MountKind, Record},
    remap, seccomp,
};

/// Where a runtime that is a program keeps its notes, in the run folder.
pub(crate) const RUNTIME: &str = "runtime";
/// Where its supervisor keeps the bundle as that program reads it.
pub(crate) const RUNTIME_BUNDLE: &str = "bundle";
/// Bytes that a file of names may have; a container can make its own as long as it likes.
const NAMES: u64 = 1 << 20;

/// What one start was decided to be.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) spec: ContainerSpec,
    pub(crate) record: Record,
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) hostname: String,
    /// Contents for `/etc`; `None` takes the files of `etc_folder` as they are.
    pub(crate) etc: Option<Etc>,
    /// The folder with the three files, another container's if the network is shared.
    pub(crate) etc_folder: PathBuf,
    pub(crate) network: Netns,
    pub(crate) joined: Joined,
    pub(crate) shm: Shm,
    pub(crate) cgroup: String,
    pub(crate) host: hakone_runtime_spec::HostFacts,
    /// The maps of its user namespace, if it has one.
    pub(crate) mappings: Option<Mappings>,
    /// Files of volumes that it sees with its own ids.
    pub(crate) shifted: Vec<PathBuf>,
    /// Whether the file system bounds what some of its files take, which it must not leave.
    pub(crate) bounded: bool,
    /// Destinations of volumes that are still empty.
    pub(crate) empty: Vec<String>,
    /// Layers of the images that it shows besides its own, by destination.
    pub(crate) images: BTreeMap<String, Vec<PathBuf>>,
}

/// Writes everything and gives the order's path.
pub(crate) fn write(plan: &Plan, container: &Container, inner: &Inner) -> Result<PathBuf, Error> {
    make_run_folder(&container.run_folder, plan)?;
    write_etc(plan)?;
    give_away(plan)?;
    let runtime = runtime(&plan.spec, container, inner);
    let program = seccomp::ensure(plan, &runtime, &inner.config.data_root)?;
    let resolved = resolve(plan, container, inner)?;
    let mut document = runtime_spec(&plan.spec, &resolved);
    check_subpaths(&plan.spec, &runtime)?;
    if let (Runtime::External { .. }, Some(program)) = (&runtime, &program)
        && let Some(linux) = document.linux_mut()
    {
        linux.set_seccomp(Some(seccomp_for_runc(&program.resolved)));
    }
    put(&container.folder.join(CONFIG_FILE), &json(&document)?)?;
    lend(container)?;
    let order = order(
        plan,
        container,
        runtime,
        program.map(|program| program.path),
    )?;
    let path = container.folder.join(ORDER_FILE);
    put(&path, &json(&order)?)?;
    Ok(path)
}

/// Leaves variables where only the supervisor looks, in memory, and once; those of a start that failed go.
fn lend(container: &Container) -> Result<(), Error> {
    let path = container.run_folder.join(ENVIRONMENT_FILE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::host("remove", &path)(error));
        }
        Err(_) | Ok(()) => {}
    }
    let lent = std::mem::take(&mut *hold(&container.lent));
    if lent.is_empty() {
        return Ok(());
    }
    let lent: Vec<&String> = lent.iter().map(Secret::expose).collect();
    let mut options = fs::OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(&path);
    let mut file = opened.map_err(Error::host("make", &path))?;
    file.write_all(&json(&lent)?)
        .map_err(Error::host("write", &path))
}

fn make_run_folder(path: &Path, plan: &Plan) -> Result<(), Error> {
    // A mapped root must be able to walk to its root file system.
    let mode = match plan.mappings {
        Some(_) => 0o711,
        None => 0o700,
    };
    for folder in [path, &path.join(ROOTFS)] {
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(mode).create(folder);
        made.map_err(Error::host("make", folder))?;
    }
    // It may be there from a run with the host's ids.
    if plan.mappings.is_some() {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(Error::host("open", path))?;
    }
    match fs::remove_file(path.join(hakone_supervision::EXIT_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::host("remove the exit record in", path)(error))
        }
        Err(_) | Ok(()) => Ok(()),
    }
}

fn write_etc(plan: &Plan) -> Result<(), Error> {
    let Some(etc) = &plan.etc else {
        return Ok(());
    };
    let name = format!("{}\n", plan.hostname);
    put_names(&plan.etc_folder.join("hostname"), name.as_bytes())?;
    write_names(&plan.etc_folder, etc)
}

/// Carries a change of its networks over to what a running container knows by name; what it wrote there itself stays.
pub(crate) fn change_names(folder: &Path, was: &Etc, now: &Etc) -> Result<(), Error> {
    let (path, present) = names(folder, "hosts")?;
    let hosts = match present {
        Some(present) => hakone_dns::carry_over(&present, &was.hosts, &now.hosts),
        None => now.hosts.clone(),
    };
    put_names(&path, hosts.as_bytes())?;
    let (path, present) = names(folder, "resolv.conf")?;
    let is_ours = was.resolv_conf.is_empty() || present.as_ref() == Some(&was.resolv_conf);
    match is_ours && was.resolv_conf != now.resolv_conf {
        true => put_names(&path, now.resolv_conf.as_bytes()),
        false => Ok(()),
    }
}

/// Reads a file of names, unless the container, which may write to it, made it something else.
fn names(folder: &Path, name: &str) -> Result<(PathBuf, Option<String>), Error> {
    let path = folder.join(name);
    let opened = match at_once().read(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok((path, None)),
        opened => opened.map_err(Error::host("open", &path))?,
    };
    let mut bytes = Vec::new();
    let mut bounded = opened.take(NAMES + 1);
    bounded
        .read_to_end(&mut bytes)
        .map_err(Error::host("read", &path))?;
    let text = String::from_utf8(bytes).ok();
    let text = text.filter(|text| text.len() as u64 <= NAMES);
    if text.is_none() {
        warn!(path = %path.display(), "a container's file of names is no text of usual size; it is written anew");
    }
    Ok((path, text))
}

/// Writes what a container is to know by name before it starts.
pub(crate) fn write_names(folder: &Path, etc: &Etc) -> Result<(), Error> {
    put_names(&folder.join("hosts"), etc.hosts.as_bytes())?;
    put_names(&folder.join("resolv.conf"), etc.resolv_conf.as_bytes())
}

/// Reads the host name of the container whose folder this is; nothing when the container made something else of the file.
pub(crate) fn hostname(folder: &Path) -> Result<Option<String>, Error> {
    let (_, text) = names(folder, "hostname")?;
    let name = text.as_deref().map(str::trim_end);
    let name = name.filter(|name| is_hostname(name));
    Ok(name.map(str::to_owned))
}

/// What the kernel takes for a name (`__NEW_UTS_LEN`), in one word.
fn is_hostname(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The files of `/etc` become its root's, which may write to them.
fn give_away(plan: &Plan) -> Result<(), Error> {
    let root = plan.mappings.as_ref().and_then(remap::root);
    let (uid, gid) = root.unwrap_or((0, 0));
    // Those of a shared network are the other container's.
    let files = ["hostname", "hosts", "resolv.conf"];
    let mut files = files.iter().filter(|_| plan.etc.is_some());
    files.try_for_each(|name| {
        let path = plan.etc_folder.join(name);
        let now = fs::symlink_metadata(&path).map_err(Error::host("look at", &path))?;
        match (now.uid(), now.gid()) == (uid, gid) {
            true => Ok(()),
            false => lchown(&path, Some(uid), Some(gid)).map_err(Error::host("give away", &path)),
        }
    })
}

/// For a file of names, whose owner inside may hold a lease on it (`fcntl(2)`): who opens it would wait for three quarters of a minute, as
/// often as that one likes.
fn at_once() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    options
}

/// Writes in place, never by rename: a running container sees these files through bind mounts of the very inodes. One who holds it
/// fast keeps what it has.
fn put_names(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut options = at_once();
    let opened = options.write(true).create(true).truncate(true).open(path);
    match opened.and_then(|mut file| file.write_all(bytes)) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            warn!(path = %path.display(), "a container holds its file of names fast; it keeps the old ones");
            Ok(())
        }
        written => written.map_err(Error::host("write", path)),
    }
}

/// Writes what nobody reads before it is whole.
fn put(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a supervisor that misses one has no container to run either"
    )]
    fs::write(path, bytes).map_err(Error::host("write", path))
}

fn json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Supervisor(error.to_string()))
}

fn resolve(plan: &Plan, container: &Container, inner: &Inner) -> Result<Resolved, Error> {
    Ok(Resolved {
        id: container.id.clone(),
        hostname: plan.hostname.clone(),
        rootfs: container.run_folder.join(ROOTFS),
        mounts: mounts(plan, &container.run_folder, &inner.defaults.guarded)?,
        files: Some(EtcFiles {
            resolv_conf: plan.etc_folder.join("resolv.conf"),
            hostname: plan.etc_folder.join("hostname"),
            hosts: plan.etc_folder.join("hosts"),
        }),
        network: plan.network.clone(),
        joined: plan.joined.clone(),
        shm: plan.shm.clone(),
        mappings: plan.mappings.clone(),
        cgroup: plan.cgroup.clone().into(),
        devices: device::resolve(&plan.spec)?,
        block_devices: device::block(&plan.spec)?,
        env: Vec::new(),
        host: plan.host.clone(),
    })
}

fn mounts(plan: &Plan, run_folder: &Path, guarded: &Guarded) -> Result<Vec<ResolvedMount>, Error> {
    let all = plan.record.mounts.iter().enumerate();
    let resolved = all.map(|(number, mount)| {
        let mut resolved = match mount.kind {
            MountKind::Image => shown(plan, &run_folder.join(IMAGES).join(place(number)), mount),
            MountKind::Bind | MountKind::Volume | MountKind::Tmpfs => resolved_mount(plan, mount)?,
        };
        if plan.spec.hardened {
            hardened::check(&mut resolved, mount.kind, guarded)?;
        }
        Ok(resolved)
    });
    resolved.collect()
}

/// Reports whether device nodes in volumes open devices: for who was given all of them, or may make nodes.
fn opens_devices(plan: &Plan) -> bool {
    let security = &plan.spec.security;
    security.privileged || security.capabilities.contains(&Capability::MKNOD)
}

fn resolved_mount(plan: &Plan, mount: &Mount) -> Result<ResolvedMount, Error> {
    let asked = plan
        .spec
        .mounts
        .iter()
        .find(|spec| spec.target == mount.destination);
    let read_only = match asked {
        Some(spec) => spec.read_only,
        None if mount.writable => ReadOnly::No,
        None => ReadOnly::Recursive,
    };
    let source = match asked.map(|spec| &spec.source) {
        Some(MountSource::Tmpfs { options }) => ResolvedSource::Tmpfs {
            options: options.clone(),
        },
        Some(MountSource::Bind(bind)) if mount.kind == MountKind::Bind => {
            mounts::check_propagation(bind)?;
            ResolvedSource::Path {
                path: bind.path.clone(),
                propagation: bind.propagation,
                recursive: bind.recursive,
                plain: false,
                devices: true,
            }
        }
        Some(MountSource::Volume(volume)) if mount.kind == MountKind::Volume => {
            ResolvedSource::Path {
                path: subpath(Path::new(&mount.source), volume.subpath.as_deref())?,
                propagation: volume.propagation,
                recursive: true,
                plain: volume.subpath.is_some(),
                devices: opens_devices(plan),
            }
        }
        Some(MountSource::Bind(_) | MountSource::Volume(_) | MountSource::Image(_)) | None => {
            ResolvedSource::Path {
                path: mount.source.clone().into(),
                propagation: Propagation::RPrivate,
                recursive: true,
                plain: false,
                devices: mount.kind != MountKind::Volume || opens_devices(plan),
            }
        }
    };
    Ok(ResolvedMount {
        target: mount.destination.clone(),
        source,
        read_only,
    })
}

/// What the supervisor mounted at `path`; its part, too, was found there.
fn shown(plan: &Plan, path: &Path, mount: &Mount) -> ResolvedMount {
    ResolvedMount {
        target: mount.destination.clone(),
        source: ResolvedSource::Path {
            path: path.to_owned(),
            propagation: Propagation::RPrivate,
            recursive: true,
            plain: false,
            devices: opens_devices(plan),
        },
        read_only: ReadOnly::Recursive,
    }
}

/// What the place of an image is called whose mount has this number in the record.
fn place(number: usize) -> String {
    number.to_string()
}

fn images(plan: &Plan) -> Vec<ImageView> {
    let numbered = plan.record.mounts.iter().enumerate();
    let shown = numbered.filter_map(|(number, mount)| {
        let image = mount.image.as_ref()?;
        Some(ImageView {
            name: place(number),
            layers: plan.images.get(&mount.destination)?.clone(),
            subpath: image.subpath.clone(),
        })
    });
    shown.collect()
}

/// Finds a folder in a volume. The volume's content is hostile: a link in it must not lead out of it, also not one that comes
/// before the runtime opens what was found (CVE-2021-25741), which therefore takes no link there.
fn subpath(volume: &Path, subpath: Option<&Path>) -> Result<PathBuf, Error> {
    let Some(subpath) = subpath else {
        return Ok(volume.to_owned());
    };
    let find = || -> io::Result<PathBuf> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let root = rustix::fs::open(volume, flags | OFlags::DIRECTORY, Mode::empty())?;
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let found = rustix::fs::openat2(&root, subpath, flags, Mode::empty(), inside)?;
        use std::os::fd::AsRawFd as _;
        fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd()))
    };
    find().map_err(Error::host("find in the volume", subpath))
}

/// A runtime that is another program follows links that came since.
fn check_subpaths(spec: &ContainerSpec, runtime: &Runtime) -> Result<(), Error> {
    let part = |source: &MountSource| matches!(source, MountSource::Volume(volume) if volume.subpath.is_some());
    let external = matches!(runtime, Runtime::External { .. });
    match external && spec.mounts.iter().any(|mount| part(&mount.source)) {
        true => Err(Error::Invalid(format!(
            "volume-subpath needs the built-in runtime: {} follows links that a container puts into the volume",
            spec.runtime
        ))),
        false => Ok(()),
    }
}

fn runtime(spec: &ContainerSpec, container: &Container, inner: &Inner) -> Runtime {
    match inner.config.runtime(&spec.runtime) {
        Some(path) => Runtime::External {
            path: path.clone(),
            root: container.run_folder.join(RUNTIME),
        },
        None => Runtime::Builtin,
    }
}

fn order(
    plan: &Plan,
    container: &Container,
    runtime: Runtime,
    seccomp: Option<PathBuf>,
) -> Result<Order, Error> {
    let command = &plan.spec.command;
    Ok(Order {
        container: container.id.clone(),
        bundle: container.folder.clone(),
        run_dir: container.run_folder.clone(),
        rootfs: Rootfs {
            layers: plan.layers.clone(),
            upper: container.folder.join("upper"),
            work: container.folder.join("work"),
            ephemeral: plan.record.auto_remove() || is_step(&plan.record),
            mtab: !is_step(&plan.record),
        },
        shifted: plan.shifted.clone(),
        copy_up: copy_up(plan),
        images: images(plan),
        user: command.user.clone(),
        groups: command.groups.clone(),
        runtime,
        terminal: command.terminal,
        open_stdin: command.open_stdin,
        stdin_once: command.stdin_once,
        console: command
            .console
            .map(|(rows, cols)| WindowSize { rows, cols }),
        log: log(plan, container)?,
        cgroup: plan.cgroup.clone(),
        seccomp,
    })
}

fn log(plan: &Plan, container: &Container) -> Result<Log, Error> {
    let logged = Logged {
        record: &plan.record,
        spec: &plan.spec,
        hostname: &plan.hostname,
        path: &container.log_path(),
        now: now(),
    };
    hakone_container_log::order(&logged).map_err(|reason| {
        Error::Supervisor(format!(
            "failed to create task for container: failed to initialize logging driver: {reason}"
        ))
    })
}

fn copy_up(plan: &Plan) -> Vec<CopyUp> {
    let empty = |mount: &&Mount| mount.copy_up && plan.empty.contains(&mount.destination);
    let mounts = plan.record.mounts.iter().filter(empty);
    mounts
        .map(|mount| CopyUp {
            source_in_image: mount.destination.clone().into(),
            volume: mount.source.clone().into(),
        })
        .collect()
}

/// A step of a build: what it writes becomes a layer or nothing, and need not survive a power cut.
fn is_step(record: &Record) -> bool {
    let labels = record.config.labels.as_ref();
    labels.is_some_and(|labels| labels.contains_key("dev.hakone.build.step"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_a_volume_does_not_lead_out_of_it() {
        let volume = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", volume.path().join("out")).unwrap();
        fs::create_dir(volume.path().join("etc")).unwrap();
        let found = subpath(volume.path(), Some(Path::new("out"))).unwrap();
        assert_eq!(found, fs::canonicalize(volume.path().join("etc")).unwrap());
    }
}
