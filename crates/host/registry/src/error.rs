//! What can go wrong with a registry, in Docker's words where clients look for them.

use std::{io, path::PathBuf};

use hakone_base::{Digest, Fault, Kind};
use hakone_registry_model::{Denied, Refusal, TokenError, UrlError};
use hyper::StatusCode;

/// Why a registry did not give or take what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry named something that is no address.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The registry sent us where it may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The host has no address.
    #[error("lookup {host}: {reason}")]
    Lookup {
        /// The host.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// The host did not answer.
    #[error("dial tcp {target}: {source}")]
    Connect {
        /// Host and port.
        target: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// TLS failed: a certificate that we do not trust, or no TLS at all.
    #[error("tls: {target}: {source}")]
    Tls {
        /// Host and port.
        target: String,
        /// What was wrong.
        source: io::Error,
    },
    /// A file of `certs.d` cannot be used.
    #[error("could not use {0}")]
    Certificate(#[from] hakone_tls::Error),
    /// The proxy did not let us through.
    #[error("proxy {proxy}: {reason}")]
    Proxy {
        /// The proxy.
        proxy: String,
        /// What it said.
        reason: String,
    },
    /// The connection broke.
    #[error("{target}: {source}")]
    Broken {
        /// Host and port.
        target: String,
        /// What HTTP said.
        source: hyper::Error,
    },
    /// It took longer than anything honest.
    #[error("{target}: {what}")]
    Slow {
        /// Host and port.
        target: String,
        /// What took so long.
        what: &'static str,
    },
    /// The registry refused.
    #[error("{}", said(*.status, .refusals))]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it said.
        refusals: Vec<Refusal>,
    },
    /// No registry answers there.
    #[error("{0} is no registry: it has no /v2/")]
    NoRegistry(String),
    /// The registry wants to be asked in a way that we do not know.
    #[error("no basic auth credentials")]
    NoCredentials,
    /// The token server gave none.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Sent on and on.
    #[error("{0}: too many redirects")]
    Redirects(String),
    /// An answer that lacks what it must have.
    #[error("{target}: {what}")]
    Answer {
        /// Host and port.
        target: String,
        /// What is wrong with it.
        what: String,
    },
    /// A document above its limit.
    #[error("{what} has more than the limit of {limit} bytes")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// Content of another digest.
    #[error("{what} verification failed for digest {wanted}")]
    Digest {
        /// `manifest`, `filesystem layer`.
        what: &'static str,
        /// What was promised.
        wanted: Digest,
    },
    /// Content of another size.
    #[error("blob {digest} has not the {size} bytes that its manifest says")]
    Size {
        /// Which blob.
        digest: Digest,
        /// What was promised.
        size: u64,
    },
    /// The file to send cannot be read.
    #[error("could not read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Error {
    /// Reports whether nobody answered.
    #[must_use]
    pub const fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. } | Self::Slow { .. } | Self::Broken { .. } | Self::Lookup { .. }
        )
    }

    /// Reports whether trying again may help.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Broken { .. } | Self::Slow { .. } => true,
            Self::Refused { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Url(_)
            | Self::Denied(_)
            | Self::Lookup { .. }
            | Self::Tls { .. }
            | Self::Certificate(_)
            | Self::Proxy { .. }
            | Self::NoRegistry(_)
            | Self::NoCredentials
            | Self::Token(_)
            | Self::Redirects(_)
            | Self::Answer { .. }
            | Self::TooLarge { .. }
            | Self::Digest { .. }
            | Self::Size { .. }
            | Self::Read { .. } => false,
        }
    }

    /// Reports whether the registry says that the thing does not exist.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::NOT_FOUND)
    }

    /// Gives the first error that the registry named.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusals, .. } => refusals.first(),
            _ => None,
        }
    }

    /// Reports whether it is the user who was refused.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        let status =
            matches!(self, Self::Refused { status, .. } if *status == StatusCode::UNAUTHORIZED);
        status || matches!(self, Self::NoCredentials)
    }
}

fn said(status: StatusCode, refusals: &[Refusal]) -> String {
    match refusals.first() {
        Some(refusal) => refusal.to_string(),
        None if status == StatusCode::UNAUTHORIZED => {
            "unauthorized: authentication required".to_owned()
        }
        None if status == StatusCode::FORBIDDEN => {
            "denied: requested access to the resource is denied".to_owned()
        }
        None if status == StatusCode::TOO_MANY_REQUESTS => {
            "toomanyrequests: too many requests".to_owned()
        }
        None => format!("received unexpected HTTP status: {status}"),
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Refused { status, .. } => match status.as_u16() {
                401 => Kind::Unauthorized,
                403 => Kind::Forbidden,
                404 => Kind::NotFound,
                429 | 503 => Kind::Unavailable,
                _ => Kind::System,
            },
            Self::NoCredentials => Kind::Unauthorized,
            Self::Denied(_) => Kind::Forbidden,
            Self::Url(_) => Kind::InvalidParameter,
            Self::Lookup { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Certificate(_)
            | Self::Proxy { .. }
            | Self::Broken { .. }
            | Self::Slow { .. }
            | Self::NoRegistry(_)
            | Self::Token(_)
            | Self::Redirects(_)
            | Self::Answer { .. }
            | Self::TooLarge { .. }
            | Self::Digest { .. }
            | Self::Size { .. }
            | Self::Read { .. } => Kind::System,
        }
    }
}
