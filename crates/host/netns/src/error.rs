//! Why a namespace could not be used.

use std::{io, path::PathBuf};

/// Why a namespace could not be made, opened or entered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel made none.
    #[error("could not create a network namespace: {0}")]
    Create(#[source] io::Error),
    /// The descriptor or process does not lead to one.
    #[error("could not open network namespace {path}: {source}")]
    Open {
        /// Where it was looked for.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel let nobody in.
    #[error("could not enter a network namespace: {0}")]
    Enter(#[source] io::Error),
    /// No thread could be started, or it ended by a panic.
    #[error("could not run a thread in a network namespace: {0}")]
    Thread(#[source] io::Error),
    /// A kernel parameter was refused.
    #[error("could not set {name} to {value}: {source}")]
    Sysctl {
        /// The parameter with dots, `net.ipv4.ip_forward`.
        name: String,
        /// The value.
        value: String,
        /// What the kernel said.
        source: io::Error,
    },
}
