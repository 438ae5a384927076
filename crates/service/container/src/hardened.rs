//! Where the mounts of a hardened container really lead: a link has another name, and a volume may be a folder of the host.
//!
//! Judged at each start, just before the runtime opens what was found. Names alone were judged when the request was parsed.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use hakone_mount::MountPoint;
use hakone_runtime_spec::{ResolvedMount, ResolvedSource};
use hakone_spec::{Guarded, ReadOnly, closed, judge_source};

use crate::{Error, record::MountKind};

/// Refuses a source that is closed under its real name, and has the runtime open that one.
pub(crate) fn check(
    mount: &mut ResolvedMount,
    kind: MountKind,
    guarded: &Guarded,
) -> Result<(), Error> {
    let ResolvedSource::Path { path, .. } = &mut mount.source else {
        return Ok(());
    };
    match kind {
        MountKind::Bind => {
            let real = fs::canonicalize(&*path).map_err(Error::host("find", &*path))?;
            judge_source(&real, mount.read_only != ReadOnly::No, guarded)?;
            *path = real;
            Ok(())
        }
        // Layers of ours, mounted by the supervisor; nothing of it is at this path out here.
        MountKind::Image => Ok(()),
        // Its own place is among the engine's folders; what was mounted there must not be one that is closed.
        MountKind::Volume | MountKind::Tmpfs => not_closed(path, guarded),
    }
}

/// Refuses what is the root of the host or one of the closed folders, under whatever name.
fn not_closed(path: &Path, guarded: &Guarded) -> Result<(), Error> {
    let identity = |path: &Path| fs::metadata(path).map(|it| (it.dev(), it.ino())).ok();
    let own = identity(path);
    let mut roots = closed(guarded).flat_map(Path::ancestors);
    match roots.find(|root| own.is_some() && identity(root) == own) {
        Some(root) => judge_source(root, false, guarded).map_err(Error::from),
        None => not_within(path, guarded),
    }
}

/// Refuses what was mounted there from inside of a closed folder: the table of mounts tells where it came from.
fn not_within(path: &Path, guarded: &Guarded) -> Result<(), Error> {
    const TABLE: &str = "/proc/self/mountinfo";
    let real = fs::canonicalize(path).map_err(Error::host("find", path))?;
    let table = fs::read_to_string(TABLE).map_err(Error::host("read", TABLE))?;
    let mut origins = MountPoint::origins(&table, &real).into_iter();
    origins.try_for_each(|origin| Ok(judge_source(&origin, false, guarded)?))
}
