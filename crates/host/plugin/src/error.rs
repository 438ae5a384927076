//! What can go wrong with a plugin.

use hakone_plugin_model::AddressError;

/// Why a plugin did not answer, or said no.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing of that name answers, in Docker's words.
    #[error("plugin {0:?} not found")]
    NotFound(String),
    /// Its file names no address.
    #[error("plugin {name:?}: {source}")]
    Address {
        /// The plugin.
        name: String,
        /// What is wrong.
        source: AddressError,
    },
    /// It does not do what it is asked to.
    #[error("plugin {name:?} does not implement {wanted:?}")]
    Lacks {
        /// The plugin.
        name: String,
        /// The missing ability.
        wanted: &'static str,
    },
    /// It took too long.
    #[error("plugin {name:?}: {method}: no answer within {seconds} seconds")]
    Late {
        /// The plugin.
        name: String,
        /// The question.
        method: String,
        /// The deadline.
        seconds: u64,
    },
    /// The connection broke, or the answer is none.
    #[error("plugin {name:?}: {method}: {reason}")]
    Broken {
        /// The plugin.
        name: String,
        /// The question.
        method: String,
        /// What is wrong.
        reason: String,
    },
    /// It says why it failed.
    #[error("{method}: {reason}")]
    Refused {
        /// The question.
        method: String,
        /// Its words.
        reason: String,
    },
}
