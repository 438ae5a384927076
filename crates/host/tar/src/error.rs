//! What can go wrong with a tar stream, in Docker's words.

use std::io;

use hakone_sys::reason;
use rustix::io::Errno;

/// Why a stream was not written or not taken in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream is no archive.
    #[error("{}", broken(.0))]
    Broken(io::Error),
    /// A member is refused for its name.
    #[error("{member:?} is outside of {target:?}")]
    Outside {
        /// The member.
        member: String,
        /// Where it was to go.
        target: String,
    },
    /// A member is refused.
    #[error("{member:?}: {reason}")]
    Member {
        /// The member.
        member: String,
        /// Why.
        reason: String,
    },
    /// A folder stands where a file is to go.
    #[error("cannot overwrite directory {path:?} with non-directory {target:?}")]
    OverwriteFolder {
        /// What stands there.
        path: String,
        /// Where the archive goes.
        target: String,
    },
    /// A file stands where a folder is to go.
    #[error("cannot overwrite non-directory {path:?} with directory {target:?}")]
    OverwriteFile {
        /// What stands there.
        path: String,
        /// Where the archive goes.
        target: String,
    },
    /// The kernel refused.
    #[error("{doing} {path}: {}", reason(*.errno))]
    Kernel {
        /// The call.
        doing: &'static str,
        /// On what.
        path: String,
        /// What it said.
        errno: Errno,
    },
    /// The reader went away.
    #[error(transparent)]
    Output(#[from] io::Error),
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

    /// Reports whether something that was named is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::Kernel {
                errno: Errno::NOENT,
                ..
            }
        )
    }
}

/// What Go's tar reader says of the same.
fn broken(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "unexpected EOF".to_owned(),
        io::ErrorKind::Other | io::ErrorKind::InvalidData => {
            match error.to_string().contains("entire block") {
                true => "unexpected EOF".to_owned(),
                false => "archive/tar: invalid tar header".to_owned(),
            }
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_those_of_go() {
        let error = Error::kernel("lstat", b"/etc/passwd/")(Errno::NOTDIR);
        assert_eq!(error.to_string(), "lstat /etc/passwd/: not a directory");
    }
}
