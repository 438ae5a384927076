//! Finds the program, as its user would, and says in Docker's words why it cannot be run.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use hakone_sys::exit_now;
use rustix::{
    fs::{Access, AtFlags, CWD, accessat},
    io::Errno,
};

use crate::{StartError, environment};

/// The exit code of a file that is no program.
const REFUSED: i32 = 1;

/// The file to execute for the word `name`.
pub(crate) fn find(name: &str, variables: &[String]) -> Result<PathBuf, StartError> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        return check(&path)
            .map(|()| path)
            .map_err(|errno| cannot(name, errno));
    }
    let missing = || {
        let text = format!("exec: {name:?}: executable file not found in $PATH");
        Err(StartError::NotFound(text))
    };
    if name.is_empty() {
        return missing();
    }
    let folders = environment::value(variables, "PATH").unwrap_or_default();
    for folder in folders.split(':') {
        // An empty entry means the working folder, which a search must not trust.
        let path = Path::new(folder).join(name);
        if path.is_absolute() && check(&path).is_ok() {
            return Ok(path);
        }
    }
    missing()
}

fn check(path: &Path) -> Result<(), Errno> {
    let status = std::fs::metadata(path)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    if status.is_dir() {
        return Err(Errno::ISDIR);
    }
    // Root may do anything but run a file that nobody may run.
    if status.mode() & 0o111 == 0 {
        return Err(Errno::ACCESS);
    }
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
}

fn cannot(name: &str, errno: Errno) -> StartError {
    let reason = hakone_sys::reason(errno);
    match errno {
        Errno::NOENT | Errno::NOTDIR => {
            StartError::NotFound(format!("exec: {name:?}: stat {name}: {reason}"))
        }
        _other => StartError::Permission(format!("exec: {name:?}: {reason}")),
    }
}

/// Ends the process as runc does when `execve` itself fails, for a file that was found: the container has started, so it is
/// its own stderr that says why, and its exit code that tells.
pub(crate) fn refused(path: &Path, errno: Errno) -> ! {
    let text = format!("exec {}: {}\n", path.display(), hakone_sys::reason(errno));
    // Nobody else is left to tell.
    rustix::io::write(rustix::stdio::stderr(), text.as_bytes()).ok();
    exit_now(REFUSED)
}
