//! What a container's process shall be: read from the spec by the parent, carried out by the child.

use std::path::PathBuf;

use oci_spec::runtime::{LinuxCapabilities, PosixRlimit, Process};

use crate::StartError;

/// A process to be.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<String>,
    pub(crate) folder: PathBuf,
    /// Whether a missing working folder is made: the container's own is, that of a later command is not.
    pub(crate) make_folder: bool,
    pub(crate) user: User,
    pub(crate) umask: u32,
    pub(crate) capabilities: Option<LinuxCapabilities>,
    pub(crate) limits: Vec<PosixRlimit>,
    pub(crate) no_new_privileges: bool,
    pub(crate) oom_score: Option<i32>,
    pub(crate) seccomp: Option<Vec<u8>>,
}

/// Who the process is.
#[derive(Debug)]
pub(crate) enum User {
    /// In numbers.
    Numbers {
        uid: u32,
        gid: u32,
        additional: Vec<u32>,
    },
    /// In words that the container's own files explain.
    Words { user: String, groups: Vec<String> },
}

/// What stands beside the spec's process.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) make_folder: bool,
    pub(crate) user: String,
    pub(crate) groups: Vec<String>,
    pub(crate) seccomp: Option<Vec<u8>>,
}

impl Order {
    /// Reads the process of a spec.
    pub(crate) fn read(process: &Process, beside: Beside) -> Result<Self, StartError> {
        let arguments = process.args().clone().unwrap_or_default();
        if arguments.is_empty() {
            return Err(StartError::of("process.args must not be empty"));
        }
        if !process.cwd().is_absolute() {
            return Err(StartError::of("Cwd must be an absolute path"));
        }
        Ok(Self {
            arguments,
            environment: process.env().clone().unwrap_or_default(),
            folder: process.cwd().clone(),
            make_folder: beside.make_folder,
            user: user(process, beside.user, beside.groups),
            umask: process.user().umask().unwrap_or(0o022),
            capabilities: process.capabilities().clone(),
            limits: process.rlimits().clone().unwrap_or_default(),
            no_new_privileges: process.no_new_privileges().unwrap_or(false),
            oom_score: process.oom_score_adj(),
            seccomp: beside.seccomp,
        })
    }
}

/// Words go before the spec's numbers.
fn user(process: &Process, user: String, groups: Vec<String>) -> User {
    if !user.is_empty() || !groups.is_empty() {
        return User::Words { user, groups };
    }
    let numbers = process.user();
    let additional = numbers.additional_gids().clone().unwrap_or_default();
    if (numbers.uid(), numbers.gid()) == (0, 0) && additional.is_empty() {
        // Root's other groups stand in the image's files.
        return User::Words { user, groups };
    }
    User::Numbers {
        uid: numbers.uid(),
        gid: numbers.gid(),
        additional,
    }
}
