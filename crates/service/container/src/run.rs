//! The facts of a container's last run.

use hakone_base::Timestamp;
use serde::{Deserialize, Serialize};

/// The last run: times, process, how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Run {
    /// The first process while it runs, else 0.
    pub(crate) pid: i32,
    /// When it was started.
    pub(crate) started: Timestamp,
    /// When it ended.
    pub(crate) finished: Timestamp,
    /// Its exit code, or 126 and 127 when it could not be started.
    pub(crate) exit_code: i64,
    /// Why it could not be started or ended oddly.
    pub(crate) error: String,
    /// Whether the kernel killed it for want of memory.
    pub(crate) oom: bool,
}
