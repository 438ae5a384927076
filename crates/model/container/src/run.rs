//! The facts of a container's last run.

use hakone_base::Timestamp;
use serde::{Deserialize, Serialize};

/// The last run: times, process, how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// The first process while it runs, else 0.
    pub pid: i32,
    /// When it was started.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// Its exit code, or 126 and 127 when it could not be started.
    pub exit_code: i64,
    /// Why it could not be started or ended oddly.
    pub error: String,
    /// Whether the kernel killed it for want of memory.
    pub oom: bool,
}
