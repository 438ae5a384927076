//! Shows a folder or a file with its owners shifted, to whoever shares the caller's mount namespace.
//!
//! Layers, volumes and what a container writes are stored with its own ids. A container of a user namespace sees them through
//! copies of the mounts whose ids are mapped: no file is copied, none changes its owner.

use std::{
    os::fd::{AsFd as _, BorrowedFd},
    path::Path,
};

use rustix::fs::{Mode, OFlags, open};

use crate::{Detached, Error};

/// Lays a copy of `place`, a folder or a file, over itself, with owners shifted by the mapping of a user namespace.
///
/// # Errors
/// `INVAL` when the file system cannot be shifted.
pub fn shift_in_place(place: &Path, user_namespace: BorrowedFd<'_>) -> Result<(), Error> {
    let copy = Detached::bind(place, false)?;
    copy.shift(user_namespace)?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let target = open(place, flags, Mode::empty()).map_err(Error::step("open", place))?;
    copy.attach(target.as_fd())
        .map(drop)
        .map_err(Error::step("shift owners of", place))
}
