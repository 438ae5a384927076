//! Bounds what a volume's files may take, by a project quota of the file system.

use std::{fs::File, os::fd::AsFd as _, path::Path};

use hakone_sys::{set_project, set_project_limit};

use crate::Error;

/// Projects of ours begin here, far from those that administrators number by hand.
pub(crate) const FIRST: u32 = 0x6861_0000;

/// Makes the folder a project and bounds it.
pub(crate) fn limit(name: &str, files: &Path, project: u32, bytes: u64) -> Result<(), Error> {
    let folder = File::open(files).map_err(Error::host("open", files))?;
    let done = set_project_limit(folder.as_fd(), project, bytes)
        .and_then(|()| set_project(folder.as_fd(), project));
    done.map_err(|errno| Error::Quota {
        name: name.to_owned(),
        reason: hakone_sys::reason(errno),
    })
}

/// Takes the bound of a project away, when its volume is gone.
pub(crate) fn lift(root: &Path, project: u32) {
    if let Ok(folder) = File::open(root) {
        set_project_limit(folder.as_fd(), project, 0).ok();
    }
}
