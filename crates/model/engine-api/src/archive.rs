//! What a path in a container names, as the header `X-Docker-Container-Path-Stat` tells it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hakone_base::Timestamp;
use serde::{Deserialize, Serialize};

/// The longest header that is looked at.
const MAX_HEADER: usize = 64 * 1024;

/// The header's JSON, before it is encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

    /// Prints the header's value: standard base64 with padding.
    #[must_use]
    pub fn to_header(&self) -> String {
        STANDARD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads the header's value; nothing when it is none.
    #[must_use]
    pub fn from_header(text: &str) -> Option<Self> {
        let short = Some(text).filter(|text| text.len() <= MAX_HEADER)?;
        let json = STANDARD.decode(short).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// Reports whether the path names a folder.
    #[must_use]
    pub const fn is_folder(&self) -> bool {
        self.mode & GO_FOLDER != 0
    }

    /// Reports whether the path names a symbolic link.
    #[must_use]
    pub const fn is_link(&self) -> bool {
        self.mode & GO_LINK != 0
    }

    /// Reports whether the path names a device.
    #[must_use]
    pub const fn is_device(&self) -> bool {
        self.mode & GO_DEVICE != 0
    }
}

/// Go's bit of folders.
const GO_FOLDER: u32 = 1 << 31;
/// Go's bit of symbolic links.
const GO_LINK: u32 = 1 << 27;
/// Go's bit of devices.
const GO_DEVICE: u32 = 1 << 26;

/// Gives Go's `fs.FileMode` for the kernel's `st_mode`.
#[must_use]
pub const fn go_mode(mode: u32) -> u32 {
    let kind = match mode & 0o170_000 {
        0o040_000 => GO_FOLDER,
        0o120_000 => GO_LINK,
        0o010_000 => 1 << 25,
        0o140_000 => 1 << 24,
        0o060_000 => GO_DEVICE,
        0o020_000 => GO_DEVICE | (1 << 21),
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
    fn a_header_comes_back_as_it_was_sent() {
        let stat = PathStat {
            name: "sub".into(),
            size: 4096,
            mode: go_mode(0o040_755),
            mtime: PathStat::time(1, 5),
            link_target: String::new(),
        };
        let header = stat.to_header();
        assert!(
            header.ends_with('=') || header.len().is_multiple_of(4),
            "{header}"
        );
        assert_eq!(PathStat::from_header(&header), Some(stat.clone()));
        assert!(stat.is_folder() && !stat.is_link());
        assert_eq!(PathStat::from_header("%%%"), None);
        assert_eq!(PathStat::from_header(&"A".repeat(MAX_HEADER + 1)), None);
    }

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
