//! Why a resolver could not be set up.

use std::io;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No socket could be had.
    #[error("could not set up the embedded resolver")]
    Socket(#[from] io::Error),
}
