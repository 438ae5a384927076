//! Shows a folder with its owners shifted, to whoever shares the caller's mount namespace.
//!
//! The layers of an image are unpacked once, with the image's own ids. A container of a user namespace sees them through
//! a copy of the mount whose ids are mapped: no file is copied, none changes its owner.

use std::{
    os::fd::{AsFd as _, BorrowedFd},
    path::Path,
};

use crate::{Detached, Error, Root};

/// Lays a copy of `folder` over itself, with owners shifted by the mapping of a user namespace.
///
/// # Errors
/// `INVAL` when the file system cannot be shifted.
pub fn shift_in_place(folder: &Path, user_namespace: BorrowedFd<'_>) -> Result<(), Error> {
    let copy = Detached::bind(folder, false)?;
    copy.shift(user_namespace)?;
    let place = Root::open(folder)?;
    copy.attach(place.as_fd())
        .map(drop)
        .map_err(Error::step("shift owners of", folder))
}
