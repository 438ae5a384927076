//! Why a tree could not be read or written.

use rustix::io::Errno;

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused.
    #[error("{doing} {path}: {}", words(*.errno))]
    Kernel {
        /// What was done.
        doing: &'static str,
        /// To what.
        path: String,
        /// What it said.
        errno: Errno,
    },
    /// A tree that is deeper than any real one.
    #[error("{0}: too many folders within folders")]
    Depth(String),
    /// A folder was to become a file, or the other way round.
    #[error("cannot copy to non-directory: {0}")]
    NotFolder(String),
    /// What is neither file, folder, link nor pipe.
    #[error("{0}: is neither a file nor a folder")]
    Special(String),
    /// A root could not be opened.
    #[error(transparent)]
    Mount(#[from] hakone_mount::Error),
    /// A pattern that is none.
    #[error("syntax error in pattern")]
    Pattern,
}

impl Error {
    pub(crate) fn kernel(doing: &'static str, path: &[u8]) -> impl Fn(Errno) -> Self {
        let path = String::from_utf8_lossy(path).into_owned();
        move |errno| Self::Kernel {
            doing,
            path: path.clone(),
            errno,
        }
    }

    /// Reports whether something is just not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        let errno = match self {
            Self::Kernel { errno, .. } => Some(*errno),
            Self::Mount(error) => error.errno(),
            Self::Depth(_) | Self::NotFolder(_) | Self::Special(_) | Self::Pattern => None,
        };
        matches!(errno, Some(Errno::NOENT | Errno::NOTDIR))
    }
}

fn words(errno: Errno) -> String {
    match errno {
        Errno::NOENT => "file does not exist".to_owned(),
        Errno::NOTDIR => "not a directory".to_owned(),
        Errno::LOOP => "too many links".to_owned(),
        Errno::NOSPC => "no space left on device".to_owned(),
        other => std::io::Error::from(other).to_string(),
    }
}

/// Gives what the kernel said in a failure of the standard library.
pub(crate) fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
