//! Owner, mode, time and extended attributes of a member, as its headers tell them.

use std::io::{self, Read};

use rustix::fs::{Gid, Timespec, Timestamps, UTIME_OMIT, Uid};
use tar::Entry;

/// What a member's headers say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Time of the last change, whole seconds.
    pub seconds: i64,
    /// And the part of a second.
    pub nanos: i64,
    /// Extended attributes, undecided.
    pub xattrs: Vec<(String, Vec<u8>)>,
}

/// Why a member's headers could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// They say what cannot be.
    #[error("{0}")]
    Refused(&'static str),
    /// They are broken.
    #[error(transparent)]
    Broken(#[from] io::Error),
}

impl Attributes {
    /// Reads them.
    ///
    /// # Errors
    /// When an owner is no id, or the headers are broken.
    pub fn read<R: Read>(entry: &mut Entry<'_, R>) -> Result<Self, Unreadable> {
        let header = entry.header();
        // An empty number is zero to every tar reader but ours.
        let id = |id: io::Result<u64>| {
            let refuse = Unreadable::Refused("its owner is no id");
            u32::try_from(id.unwrap_or(0)).ok().ok_or(refuse)
        };
        let mut attributes = Self {
            mode: header.mode().unwrap_or(0) & 0o7777,
            uid: id(header.uid())?,
            gid: id(header.gid())?,
            seconds: i64::try_from(header.mtime().unwrap_or(0)).unwrap_or(0),
            nanos: 0,
            xattrs: Vec::new(),
        };
        let Some(extensions) = entry.pax_extensions()? else {
            return Ok(attributes);
        };
        for extension in extensions {
            let extension = extension?;
            if let Ok(key) = extension.key() {
                attributes.extend(key, extension.value_bytes())?;
            }
        }
        Ok(attributes)
    }

    /// Gives owner and group as the kernel takes them.
    #[must_use]
    pub fn owner(&self) -> (Option<Uid>, Option<Gid>) {
        (Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))
    }

    /// Gives the time of the last change as the kernel takes it; that of the last access stays.
    #[must_use]
    pub const fn times(&self) -> Timestamps {
        Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
            last_modification: Timespec {
                tv_sec: self.seconds,
                tv_nsec: self.nanos,
            },
        }
    }

    fn extend(&mut self, key: &str, value: &[u8]) -> Result<(), Unreadable> {
        let text = || std::str::from_utf8(value).unwrap_or_default();
        if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
            self.xattrs.push((name.to_owned(), value.to_vec()));
            return Ok(());
        }
        match key {
            "mtime" => {
                (self.seconds, self.nanos) = time(text()).unwrap_or((self.seconds, self.nanos));
            }
            "uid" => self.uid = text().parse().unwrap_or(self.uid),
            "gid" => self.gid = text().parse().unwrap_or(self.gid),
            _ if key.starts_with("GNU.sparse.") => {
                return Err(Unreadable::Refused(
                    "sparse files in the pax form are not supported",
                ));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Reads `seconds[.fraction]`, both of which may lie before 1970.
fn time(text: &str) -> Option<(i64, i64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction.chars().take(9).collect();
    let nanos: i64 = format!("{digits:0<9}").parse().ok()?;
    Some(match (whole.starts_with('-'), nanos) {
        (true, 1..) => (seconds - 1, 1_000_000_000 - nanos),
        _ => (seconds, nanos),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_count_backwards() {
        assert_eq!(time("1.5"), Some((1, 500_000_000)));
        assert_eq!(time("-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time("soon"), None);
    }
}
