//! Stops and continues all processes of a group at once: `docker pause`.

use std::{path::Path, thread, time::Duration};

use crate::{Cgroup, Error, file};

const ROUNDS: u32 = 2000;
const NAP: Duration = Duration::from_millis(1);

/// The two generations of the freezer.
enum Freezer<'a> {
    Legacy(&'a Path),
    Unified(&'a Path),
}

pub(crate) fn freeze(cgroup: &Cgroup) -> Result<(), Error> {
    let freezer = freezer(cgroup)?;
    for _round in 0..ROUNDS {
        freezer.set(true)?;
        if freezer.is_frozen()? {
            return Ok(());
        }
        thread::sleep(NAP);
    }
    // A half-frozen container is worse than a running one.
    freezer.set(false)?;
    Err(Error::Timeout(cgroup.path().into()))
}

pub(crate) fn thaw(cgroup: &Cgroup) -> Result<(), Error> {
    freezer(cgroup)?.set(false)
}

pub(crate) fn is_frozen(cgroup: &Cgroup) -> Result<bool, Error> {
    freezer(cgroup)?.is_frozen()
}

fn freezer(cgroup: &Cgroup) -> Result<Freezer<'_>, Error> {
    let unified = cgroup.unified().map(Freezer::Unified);
    let legacy = match cgroup.version() {
        crate::Version::V2 => None,
        crate::Version::V1 | crate::Version::Hybrid => {
            cgroup.folder("freezer").map(Freezer::Legacy)
        }
    };
    legacy.or(unified).ok_or(Error::Unsupported("freezing"))
}

impl Freezer<'_> {
    fn set(&self, frozen: bool) -> Result<(), Error> {
        match self {
            Self::Legacy(folder) => {
                let state = if frozen { "FROZEN" } else { "THAWED" };
                file::write(&folder.join("freezer.state"), state)
            }
            Self::Unified(folder) => {
                let state = if frozen { "1" } else { "0" };
                file::write(&folder.join("cgroup.freeze"), state)
            }
        }
    }

    fn is_frozen(&self) -> Result<bool, Error> {
        match self {
            Self::Legacy(folder) => {
                Ok(file::read(&folder.join("freezer.state"))?.trim() == "FROZEN")
            }
            Self::Unified(folder) => Ok(file::keyed(&folder.join("cgroup.events"), "frozen") == 1),
        }
    }
}
