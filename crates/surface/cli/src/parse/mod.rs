//! From flags to requests, without I/O: what surrounds the command line is handed in.

pub(crate) mod create;
pub(crate) mod environment;
pub(crate) mod exec;
pub(crate) mod health;
pub(crate) mod mount;
pub(crate) mod network;
pub(crate) mod port;
pub(crate) mod security;
pub(crate) mod volume;

use std::{
    io,
    path::{Path, PathBuf},
};

/// What a command line may refer to beyond itself.
pub(crate) trait Surroundings {
    /// Looks up an environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// Reads a text file.
    fn read(&self, path: &Path) -> io::Result<String>;
    /// Tells where relative paths start.
    fn folder(&self) -> PathBuf;
}

/// The process's own environment and files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process;

impl Surroundings for Process {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn folder(&self) -> PathBuf {
        std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"))
    }
}

/// Says what the system said in Go's words, which scripts look for.
pub(crate) fn open_failure(path: &Path, error: &io::Error) -> String {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    format!("open {}: {reason}", path.display())
}
