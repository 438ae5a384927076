//! What the kernel refused, and of which object.

use rustix::io::Errno;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused one request of a batch.
    #[error("could not {action} {object}: {source}")]
    Refused {
        /// What was asked: `add bridge`, `bring up link`, …
        action: &'static str,
        /// Of which object.
        object: String,
        /// The kernel's reason.
        source: Errno,
    },
    /// The netlink socket itself failed.
    #[error("netlink socket: {0}")]
    Socket(#[from] Errno),
    /// The kernel's reply is not what rtnetlink promises.
    #[error("netlink reply makes no sense")]
    Reply,
    /// An interface that must be there is not.
    #[error("no such link: {0}")]
    NoLink(String),
}

impl Error {
    /// Gives the kernel's reason, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { source, .. } | Self::Socket(source) => Some(*source),
            Self::Reply | Self::NoLink(_) => None,
        }
    }
}
