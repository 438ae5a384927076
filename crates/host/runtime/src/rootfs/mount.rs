//! Carries out one mount of the spec.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use hakone_cgroup::Cgroup;
use hakone_mount::{Detached, Options, Root, copy_into};
use oci_spec::runtime::{Mount, Spec};
use rustix::{
    fs::{FileType, fstat},
    io::Errno,
};

use super::cgroup_view::{self, CgroupView};
use crate::StartError;

/// What is mounted, as far as it comes from the host.
#[derive(Debug)]
pub(crate) enum Source {
    /// A copy of a host mount.
    Bind(Detached),
    /// The container's control groups.
    Cgroup(CgroupView),
    /// A file system of a namespace that the container joins.
    Lent(Detached),
    /// A new file system.
    New,
}

impl Source {
    pub(super) fn open(mount: &Mount, spec: &Spec, cgroup: &Cgroup) -> Result<Self, StartError> {
        let options = options(mount);
        let failure = |error: hakone_mount::Error| failed(mount, &error.to_string());
        if let Some(recursive) = recursive_bind(mount, &options) {
            let source = mount.source().as_deref().unwrap_or(Path::new(""));
            let bound = match options.plain {
                true => Detached::bind_plain(source, recursive),
                false => Detached::bind(source, recursive),
            };
            return bound.map(Self::Bind).map_err(failure);
        }
        match kind(mount) {
            "cgroup" | "cgroup2" => CgroupView::open(spec, cgroup)
                .map(Self::Cgroup)
                .map_err(failure),
            _other => Ok(Self::New),
        }
    }
}

pub(super) fn kind(mount: &Mount) -> &str {
    mount.typ().as_deref().unwrap_or("none")
}

fn recursive_bind(mount: &Mount, options: &Options) -> Option<bool> {
    options.bind.or((kind(mount) == "bind").then_some(false))
}

fn options(mount: &Mount) -> Options {
    let list = mount.options().as_deref().unwrap_or_default();
    Options::parse(list.iter().map(String::as_str))
}

/// Mounts it inside the root.
pub(super) fn apply(root: &Root, mount: &Mount, source: Source) -> Result<(), StartError> {
    let options = options(mount);
    let failure = |error: hakone_mount::Error| failed(mount, &error.to_string());
    match source {
        Source::Bind(detached) => bind(root, mount, detached, &options),
        Source::Cgroup(view) => {
            cgroup_view::mount(root, mount.destination(), view, &options).map_err(failure)
        }
        Source::Lent(made) => new(root, mount, options, Some(made)),
        Source::New => new(root, mount, options, None),
    }
}

fn bind(root: &Root, mount: &Mount, source: Detached, options: &Options) -> Result<(), StartError> {
    let failure = |error: hakone_mount::Error| failed(mount, &error.to_string());
    let status = fstat(&source).map_err(|errno| failed_by(mount, errno))?;
    let target = match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => root.ensure_folder(mount.destination()),
        _file => root.ensure_file(mount.destination()),
    };
    let target = target.map_err(failure)?;
    guard_proc(root, mount, target.as_fd(), Some(source.as_fd())).map_err(failure)?;
    if !(options.set.is_empty() && options.clear.is_empty()) {
        source.set(options.set, options.clear).map_err(failure)?;
    }
    if !options.set_all.is_empty() {
        source.set_all(options.set_all).map_err(failure)?;
    }
    put(mount, source, &target, options)
}

fn new(
    root: &Root,
    mount: &Mount,
    mut options: Options,
    made: Option<Detached>,
) -> Result<(), StartError> {
    let failure = |error: hakone_mount::Error| failed(mount, &error.to_string());
    let target = match kind(mount) {
        "proc" | "sysfs" => ordinary_folder(root, mount)?,
        _other => root.ensure_folder(mount.destination()).map_err(failure)?,
    };
    guard_proc(root, mount, target.as_fd(), None).map_err(failure)?;
    if kind(mount) == "tmpfs" {
        keep_mode(&target, &mut options);
    }
    let detached = match made {
        Some(made) => made,
        None => made_of(mount, &options)?,
    };
    if options.copy_up {
        copy_into(root, mount.destination(), &detached).map_err(failure)?;
    }
    put(mount, detached, &target, &options)
}

/// A new file system as the spec has it.
pub(super) fn make(mount: &Mount) -> Result<Detached, StartError> {
    made_of(mount, &options(mount))
}

fn made_of(mount: &Mount, options: &Options) -> Result<Detached, StartError> {
    let source = mount.source().as_deref().and_then(Path::to_str);
    let made = Detached::filesystem(kind(mount), source.unwrap_or("none"), options);
    made.map_err(|error| failed(mount, &error.to_string()))
}

/// A tmpfs over a folder of the image looks as that folder does, unless told otherwise.
fn keep_mode(target: &OwnedFd, options: &mut Options) {
    let told = options.data.iter().any(|(key, _value)| key == "mode");
    if let (false, Ok(status)) = (told, fstat(target)) {
        let mode = format!("{:o}", status.st_mode & 0o7777);
        options.data.push(("mode".into(), Some(mode)));
    }
}

fn put(
    mount: &Mount,
    detached: Detached,
    target: &OwnedFd,
    options: &Options,
) -> Result<(), StartError> {
    for propagation in &options.propagation {
        detached
            .propagate(*propagation)
            .map_err(|error| failed(mount, &error.to_string()))?;
    }
    let attached = detached.attach(target.as_fd());
    attached.map(drop).map_err(|errno| failed_by(mount, errno))
}

/// `/proc` and `/sys` decide over what the masked paths hide: no link may lead them elsewhere.
fn ordinary_folder(root: &Root, mount: &Mount) -> Result<OwnedFd, StartError> {
    let path = mount.destination();
    let refused = |_error| {
        StartError::of(hakone_mount::Error::NotOrdinary {
            filesystem: kind(mount).into(),
            path: path.clone(),
        })
    };
    match root.resolve_plain(path) {
        Err(error) if error.errno() == Some(Errno::NOENT) => {
            root.ensure_folder(path).map_err(StartError::of)?;
            root.resolve_plain(path).map_err(refused)
        }
        other => other.map_err(refused),
    }
}

/// What tools such as lxcfs may replace in `/proc`.
const REPLACEABLE: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/dev",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
];

/// Refuses a target on proc, by whatever way it was reached (CVE-2019-16884); the host's own proc may lie over it.
fn guard_proc(
    root: &Root,
    mount: &Mount,
    target: impl AsFd,
    source: Option<std::os::fd::BorrowedFd<'_>>,
) -> Result<(), hakone_mount::Error> {
    if !Root::is_on_proc(target.as_fd())? || kind(mount) == "proc" {
        return Ok(());
    }
    let path = mount.destination();
    let over_all = path == Path::new("/proc") && root.resolve_plain(path).is_ok();
    let replaceable = REPLACEABLE.iter().any(|one| path == Path::new(one));
    let from_proc = source.is_some_and(|source| Root::is_on_proc(source).unwrap_or(false));
    if (over_all && from_proc) || (replaceable && root.resolve_plain(path).is_ok()) {
        return Ok(());
    }
    Err(hakone_mount::Error::InsideProc(path.clone()))
}

fn failed_by(mount: &Mount, errno: Errno) -> StartError {
    let reason = hakone_sys::reason(errno);
    let hint = match errno {
        Errno::NOTDIR => {
            ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"
        }
        _other => "",
    };
    failed(mount, &format!("{reason}{hint}"))
}

fn failed(mount: &Mount, reason: &str) -> StartError {
    let source = mount.source().as_deref().unwrap_or(Path::new(""));
    let target = mount.destination().display();
    StartError::Other(format!(
        "error mounting {:?} to rootfs at \"{target}\": {reason}",
        source.display().to_string()
    ))
}
