//! Why a message of a build client is refused.

use hakone_base::{Fault, Kind};

/// A refusal, in words for the user of buildx.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An attribute has a value that it cannot have.
    #[error("invalid value {value:?} for {name}: {reason}")]
    Attribute {
        /// The attribute.
        name: String,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something that this engine does not do.
    #[error("{0} is not supported by this engine")]
    Unsupported(String),
    /// A file of a context that cannot be taken.
    #[error("build context: {path:?}: {reason}")]
    Path {
        /// The file, as the client named it.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The client does not keep to the protocol of file transfers.
    #[error("build context: {0}")]
    Transfer(&'static str),
    /// The client itself gave up.
    #[error("error from sender: {0}")]
    Sender(String),
    /// The Dockerfile has a fault.
    #[error("{0}")]
    Dockerfile(String),
    /// A definition that is no graph of operations.
    #[error("invalid build definition: {0}")]
    Definition(&'static str),
}

impl Error {
    /// Refuses an attribute's value.
    #[must_use]
    pub fn attribute(name: &str, value: &str, reason: &'static str) -> Self {
        Self::Attribute {
            name: name.to_owned(),
            value: value.chars().take(128).collect(),
            reason,
        }
    }

    /// Refuses a path.
    #[must_use]
    pub fn path(path: &str, reason: &'static str) -> Self {
        Self::Path {
            path: path.chars().take(128).collect(),
            reason,
        }
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Attribute { .. }
            | Self::Path { .. }
            | Self::Transfer(_)
            | Self::Sender(_)
            | Self::Dockerfile(_)
            | Self::Definition(_) => Kind::InvalidParameter,
            Self::Unsupported(_) => Kind::NotImplemented,
        }
    }
}
