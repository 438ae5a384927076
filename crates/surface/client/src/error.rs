//! What can go wrong on the client's side, and the code the process ends with.
//!
//! One line for the reader; a hint on how to go on where there is one. Exit codes are docker's: 125 when `run` fails before the
//! container's process, 126 and 127 when that process cannot be executed, 1 for the rest.

use std::io;

use hakone_base::{Fault, Kind};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address of the daemon makes no sense.
    #[error("unable to parse docker host `{0}`")]
    Host(String),
    /// An address that we do not speak, and what to do instead.
    #[error("{0}")]
    Transport(String),
    /// Nobody listens.
    #[error("Cannot connect to the Hakone daemon at {address}. Is the hakone daemon running?")]
    Unreachable {
        /// The address tried.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The certificates for the connection cannot be used.
    #[error("could not read {0}")]
    Certificate(#[from] hakone_tls::Error),
    /// The daemon refused.
    #[error("Error response from daemon: {message}")]
    Daemon {
        /// HTTP's status.
        status: u16,
        /// The daemon's words.
        message: String,
    },
    /// The connection broke, or its bytes are no HTTP.
    #[error("error during connect: {0}")]
    Http(#[from] hyper::Error),
    /// The daemon's reply is not what the API promises.
    #[error("unexpected reply from daemon: {0}")]
    Reply(String),
    /// What was asked cannot be asked so.
    #[error("{0}")]
    Usage(String),
    /// Flags make no sense together.
    #[error(transparent)]
    Flags(#[from] hakone_run_flags::Error),
    /// A template does not parse or does not fit the data.
    #[error("template parsing error: {0}")]
    Template(#[from] hakone_template::Error),
    /// Something of the user's own machine failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A long operation reported failure in its stream of progress.
    #[error("{0}")]
    Progress(String),
    /// A failure, and what the verb knows to go on with.
    #[error("{error}")]
    Advised {
        /// What failed.
        error: Box<Error>,
        /// The line that helps.
        hint: String,
    },
    /// A needed program is missing.
    #[error("the program `{program}` is not installed")]
    Program {
        /// Its name.
        program: &'static str,
        /// The Debian package that brings it.
        package: &'static str,
    },
    /// Standard output is gone; nothing more to say.
    #[error("output closed")]
    Closed,
    /// Everything was said already; only the code remains.
    #[error("exit code {0}")]
    Exit(u8),
}

impl Error {
    /// Names an I/O failure by what was tried.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Builds a complaint about what was asked.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// Adds a line of advice, if there is one.
    #[must_use]
    pub fn advised(self, hint: Option<String>) -> Self {
        match hint {
            Some(hint) => Self::Advised {
                error: Box::new(self),
                hint,
            },
            None => self,
        }
    }

    /// Reports whether the daemon said "not found".
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::Daemon { status: 404, .. })
    }

    /// Gives the line that helps to go on, if there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Some(
                "You may not open its socket: use sudo, or join the group that owns the socket.".into(),
            ),
            Self::Unreachable { .. } => Some(
                "Start it with `hakone daemon`, or name another with --host or HAKONE_HOST.".into(),
            ),
            Self::Program { package, .. } => {
                Some(format!("On Debian and Ubuntu: apt-get install {package}"))
            }
            Self::Advised { hint, .. } => Some(hint.clone()),
            Self::Daemon { status: 501, .. } => {
                Some("This daemon does not offer that; docs/reference/api.md lists what it does.".into())
            }
            _ => None,
        }
    }

    /// Gives the exit code outside `run`.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Exit(code) => *code,
            Self::Closed => 0,
            Self::Advised { error, .. } => error.code(),
            _ => 1,
        }
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Host(_)
            | Self::Transport(_)
            | Self::Usage(_)
            | Self::Flags(_)
            | Self::Template(_) => Kind::InvalidParameter,
            Self::Unreachable { .. } | Self::Http(_) => Kind::Unavailable,
            Self::Daemon { status, .. } => kind_of(*status),
            Self::Advised { error, .. } => error.kind(),
            Self::Program { .. } => Kind::NotFound,
            Self::Certificate(_)
            | Self::Reply(_)
            | Self::Io { .. }
            | Self::Progress(_)
            | Self::Closed
            | Self::Exit(_) => Kind::System,
        }
    }
}

/// The inverse of the daemon's table of statuses.
const fn kind_of(status: u16) -> Kind {
    match status {
        304 => Kind::NotModified,
        400 => Kind::InvalidParameter,
        401 => Kind::Unauthorized,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        409 => Kind::Conflict,
        501 => Kind::NotImplemented,
        503 => Kind::Unavailable,
        _ => Kind::System,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_daemon_says_how_to_start_it() {
        let source = io::Error::from(io::ErrorKind::NotFound);
        let error = Error::Unreachable {
            address: "unix:///x".into(),
            source,
        };
        assert!(error.hint().unwrap().contains("hakone daemon"));
        assert_eq!(error.code(), 1);
    }
}
