//! The one shape of every error reply.

use serde::{Deserialize, Serialize};

/// `{"message":"…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What the user reads.
    pub message: String,
}
