//! What can go wrong with networks of plugins.

use std::{io, path::PathBuf};

use hakone_base::{Fault, Kind};

/// Why a plugin's network, endpoint or address cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such driver, in Docker's words.
    #[error("plugin {0:?} not found")]
    Missing(String),
    /// It does not answer, or says no.
    #[error(transparent)]
    Plugin(#[from] hakone_plugin::Error),
    /// Its answer is refused.
    #[error("plugin {plugin:?}: {reason}")]
    Answer {
        /// The plugin.
        plugin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What it will hold could not be noted.
    #[error("could not note what a plugin holds: {0}")]
    Record(#[from] hakone_store::Error),
    /// The folder of the notes failed us.
    #[error("could not access {path}: {source}")]
    File {
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Missing(_) => Kind::NotFound,
            Self::Plugin(_) | Self::Answer { .. } | Self::Record(_) | Self::File { .. } => {
                Kind::System
            }
        }
    }
}
