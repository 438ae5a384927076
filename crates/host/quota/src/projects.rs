//! Projects: bounded, found free, given back.

use std::{
    fs::File,
    os::fd::AsFd as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use hakone_sys::{project, project_files, set_project, set_project_limit};
use rustix::io::Errno;

use crate::Error;

/// Projects of volumes begin here.
pub const VOLUMES: u32 = 0x6861_0000;
/// Projects of containers begin here.
const CONTAINERS: u32 = 0x7061_0000;
/// How many projects that others use are passed over before giving up.
const ATTEMPTS: u32 = 1 << 20;

/// Makes the folder one of a project, and bounds that project.
///
/// # Errors
/// When the file system cannot.
pub fn bound(folder: &Path, number: u32, bytes: u64) -> Result<(), Error> {
    let folder = Error::open(folder)?;
    set_project_limit(folder.as_fd(), number, bytes)
        .and_then(|()| set_project(folder.as_fd(), number))
        .map_err(|errno| Error::unsupported(&folder, errno))
}

/// Reports whether folders of a file system can be bounded, without changing anything; `near` is any folder of it.
///
/// # Errors
/// When the file system cannot.
pub fn check(near: &Path) -> Result<(), Error> {
    let folder = Error::open(near)?;
    let asked = project(folder.as_fd()).and_then(|_| project_files(folder.as_fd(), CONTAINERS));
    match asked {
        Ok(_) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(Error::unsupported(&folder, errno)),
    }
}

/// Takes the bound of a project away, when its files go; `near` is any folder of the file system.
pub fn lift(near: &Path, number: u32) {
    if let Ok(folder) = File::open(near) {
        set_project_limit(folder.as_fd(), number, 0).ok();
    }
}

/// The projects of containers: a number that no file has is free, whoever gave it before, so that nothing need be remembered.
#[derive(Debug)]
pub struct Projects {
    /// Where the search goes on: one at a time, for between search and use a number looks free.
    next: Mutex<u32>,
}

impl Default for Projects {
    fn default() -> Self {
        Self {
            next: Mutex::new(CONTAINERS),
        }
    }
}

impl Projects {
    /// Makes the folders, which are still empty, one project of `bytes`.
    ///
    /// # Errors
    /// When the file system cannot.
    pub fn bound(&self, folders: [&Path; 2], bytes: u64) -> Result<(), Error> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let number = free(folders[0], *next)?;
        for folder in folders {
            bound(folder, number, bytes)?;
        }
        *next = number.saturating_add(1);
        Ok(())
    }

    /// Takes the bound of a container's folder away, if it has one of ours.
    pub fn lift(folder: &Path) {
        let own = File::open(folder)
            .ok()
            .and_then(|folder| project(folder.as_fd()).ok());
        if let Some(number) = own.filter(|number| *number >= CONTAINERS) {
            lift(folder, number);
        }
    }
}

/// Gives the first number from `next` that no file of the file system has, whoever gave it: another daemon may keep its data there.
///
/// # Errors
/// When the file system cannot.
pub fn free(near: &Path, next: u32) -> Result<u32, Error> {
    let folder = &Error::open(near)?;
    for number in (next..=u32::MAX).take(ATTEMPTS as usize) {
        match project_files(folder.as_fd(), number) {
            Ok(0) | Err(Errno::NOENT) => return Ok(number),
            Ok(_) => (),
            Err(errno) => return Err(Error::unsupported(folder, errno)),
        }
    }
    Err(Error::unsupported(folder, Errno::USERS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_cannot_is_named() {
        let [proc, shm] = ["/proc", "/dev/shm"].map(Path::new);
        let refused = Projects::default()
            .bound([proc, proc], 1 << 20)
            .unwrap_err();
        assert!(
            refused.to_string().starts_with("this file system: "),
            "{refused}"
        );
        let refused = bound(shm, VOLUMES, 1 << 20).unwrap_err();
        assert!(refused.to_string().starts_with("tmpfs: "), "{refused}");
        Projects::lift(proc);
    }
}
