//! What can go wrong with volumes, in Docker's words.

use std::{io, path::PathBuf};

use hakone_base::{Fault, Kind, NameError};
use hakone_engine_api::FilterError;

/// Why a call on volumes failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing of that name.
    #[error("get {0}: no such volume")]
    NotFound(String),
    /// Containers refer to it.
    #[error("remove {name}: volume is in use - [{}]", users.join(", "))]
    InUse {
        /// The volume.
        name: String,
        /// The containers' ids.
        users: Vec<String>,
    },
    /// The name is not a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A volume of that name exists with another driver or other options.
    #[error("create {0}: conflict: volume name must be unique")]
    Conflict(String),
    /// No such driver.
    #[error(
        "create {volume}: error looking up volume plugin {driver}: plugin {driver:?} not found"
    )]
    Driver {
        /// The volume.
        volume: String,
        /// The driver.
        driver: String,
    },
    /// An option that the local driver does not have.
    #[error("create {name}: invalid option: {option:?}")]
    Option {
        /// The volume.
        name: String,
        /// The option.
        option: String,
    },
    /// An option that needs another.
    #[error("create {name}: missing required option: {option:?}")]
    MissingOption {
        /// The volume.
        name: String,
        /// The option missing.
        option: &'static str,
    },
    /// Options that exclude each other, or a value that means nothing.
    #[error("create {name}: invalid option: {option:?}: {reason}")]
    Value {
        /// The volume.
        name: String,
        /// The option.
        option: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// A plugin said no, or nothing.
    #[error("volume {name}: {source}")]
    Plugin {
        /// The volume.
        name: String,
        /// What it said.
        source: hakone_plugin::Error,
    },
    /// A plugin named a folder that is not to be handed out.
    #[error("volume {name}: the plugin's mountpoint {reason}")]
    Mountpoint {
        /// The volume.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The size of a volume cannot be bounded here.
    #[error(
        "create {name}: quota size requested but no quota support: {source} (ext4 or xfs mounted with prjquota is needed)"
    )]
    Quota {
        /// The volume.
        name: String,
        /// Why.
        source: hakone_quota::Error,
    },
    /// The key file is not the one that the volume's key was wrapped by.
    #[error("volume {name}: wrong key: {} does not open it", key_file.display())]
    WrongKey {
        /// The volume.
        name: String,
        /// The key file.
        key_file: PathBuf,
    },
    /// A volume cannot be encrypted or opened.
    #[error("volume {name}: encryption: {reason}")]
    Encryption {
        /// The volume.
        name: String,
        /// What is missing or wrong.
        reason: String,
    },
    /// A filter was refused.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The volume's device could not be mounted.
    #[error("failed to mount local volume: mount {device}:{target}: {reason}")]
    Mount {
        /// What was to be mounted.
        device: String,
        /// Where.
        target: PathBuf,
        /// What the kernel said.
        reason: String,
    },
    /// A record could not be read or written.
    #[error(transparent)]
    Record(#[from] hakone_store::Error),
    /// The disk failed.
    #[error("could not {what} {path}: {source}")]
    Host {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A thread of ours died.
    #[error("the daemon is shutting down")]
    Closing,
}

impl Error {
    pub(crate) fn plugin(name: &str, source: hakone_plugin::Error) -> Self {
        Self::Plugin {
            name: name.to_owned(),
            source,
        }
    }

    pub(crate) fn host(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Host { what, path, source }
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) | Self::Driver { .. } => Kind::NotFound,
            Self::InUse { .. } | Self::Conflict(_) => Kind::Conflict,
            Self::Name(_)
            | Self::Option { .. }
            | Self::MissingOption { .. }
            | Self::Value { .. }
            | Self::Quota { .. }
            | Self::Encryption { .. }
            | Self::Filter(_) => Kind::InvalidParameter,
            Self::WrongKey { .. } => Kind::Forbidden,
            Self::Plugin { .. }
            | Self::Mountpoint { .. }
            | Self::Mount { .. }
            | Self::Record(_)
            | Self::Host { .. } => Kind::System,
            Self::Closing => Kind::Unavailable,
        }
    }
}
