//! What a path in a container names, as the header `X-Docker-Container-Path-Stat` tells it.

use hakone_base::Timestamp;
use serde::Serialize;

/// The header's JSON, before it is encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathStat {
    /// The last name of the path.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Kind and permissions as Go's `fs.FileMode` numbers them.
    pub mode: u32,
    /// The last change, RFC 3339.
    pub mtime: String,
    /// Where a link leads in the end.
    #[serde(rename = "linkTarget")]
    pub link_target: String,
}

impl PathStat {
    /// Prints the time of a last change as Go does.
    #[must_use]
    pub fn time(seconds: i64, nanos: i64) -> String {
        let at = seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        Timestamp::from_nanos(at).to_string()
    }
}

/// Gives Go's `fs.FileMode` for the kernel's `st_mode`.
#[must_use]
pub const fn go_mode(mode: u32) -> u32 {
    let kind = match mode & 0o170_000 {
        0o040_000 => 1 << 31,
        0o120_000 => 1 << 27,
        0o010_000 => 1 << 25,
        0o140_000 => 1 << 24,
        0o060_000 => 1 << 26,
        0o020_000 => (1 << 26) | (1 << 21),
        _ => 0,
    };
    let setuid = if mode & 0o4000 == 0 { 0 } else { 1 << 23 };
    let setgid = if mode & 0o2000 == 0 { 0 } else { 1 << 22 };
    let sticky = if mode & 0o1000 == 0 { 0 } else { 1 << 20 };
    kind | setuid | setgid | sticky | (mode & 0o777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_those_that_dockerd_sends() {
        assert_eq!(go_mode(0o040_755), 2_147_484_141);
        assert_eq!(go_mode(0o120_777), 134_218_239);
        assert_eq!(go_mode(0o010_644), 33_554_852);
        assert_eq!(go_mode(0o020_644), 69_206_436);
        assert_eq!(go_mode(0o104_755), 8_389_101);
        assert_eq!(go_mode(0o100_644), 420);
    }
}
