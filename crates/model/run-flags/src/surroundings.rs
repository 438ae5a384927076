//! What a command line may refer to beyond itself.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Environment, files and working folder of whoever typed the command line.
pub trait Surroundings {
    /// Looks up an environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// Reads a text file.
    ///
    /// # Errors
    /// As the system says.
    fn read(&self, path: &Path) -> io::Result<String>;
    /// Tells where relative paths start.
    fn folder(&self) -> PathBuf;
}

/// Says what the system said in Go's words, which scripts look for.
#[must_use]
pub fn open_failure(path: &Path, error: &io::Error) -> String {
    failure("open", path, error)
}

/// As [`open_failure`], of another call.
#[must_use]
pub fn failure(call: &str, path: &Path, error: &io::Error) -> String {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::NotADirectory => "not a directory".to_owned(),
        _ => error.to_string(),
    };
    format!("{call} {}: {reason}", path.display())
}

/// No variable, no file.
#[cfg(test)]
pub(crate) struct Nothing;

#[cfg(test)]
impl Surroundings for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
    fn read(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
    fn folder(&self) -> PathBuf {
        "/home/me".into()
    }
}
