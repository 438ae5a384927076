//! The process's own environment and files, for what a command line refers to.

use std::{
    io,
    path::{Path, PathBuf},
};

use hakone_run_flags::Surroundings;

/// Where we were started.
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

/// Gives the present in seconds since the epoch.
pub fn now() -> i64 {
    hakone_base::Timestamp::from(std::time::SystemTime::now()).seconds()
}
