//! The kernel's table of mounts (`/proc/self/mountinfo`): which mount a path is on, and whom that one tells of others.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// Where it is mounted.
    pub path: PathBuf,
    /// Which file system it shows, as the kernel numbers them.
    device: String,
    /// Which folder of it.
    root: PathBuf,
    /// Whether mounts below it are told to its peers, and theirs to it.
    pub is_shared: bool,
    /// Whether mounts below its master are told to it.
    pub is_slave: bool,
}

impl MountPoint {
    /// Finds the mount that a path is on in a table: the longest of the mount points above it, of equals the uppermost.
    ///
    /// The path is compared as it is: absolute, without links.
    #[must_use]
    pub fn of(table: &str, path: &Path) -> Option<Self> {
        let above = table
            .lines()
            .filter_map(parse)
            .filter(|point| path.starts_with(&point.path));
        // Of equals the last, which was mounted over the others.
        above.max_by_key(|point| point.path.components().count())
    }

    /// Gives the other paths of a folder on which a mount of its own stands: where a bind mount came from, above all.
    #[must_use]
    pub fn origins(table: &str, path: &Path) -> Vec<PathBuf> {
        let Some(own) = Self::of(table, path).filter(|own| own.path == path) else {
            return Vec::new();
        };
        let others = table.lines().filter_map(parse).filter(|one| *one != own);
        let same = others.filter(|one| one.device == own.device);
        let origin = |one: Self| Some(one.path.join(own.root.strip_prefix(&one.root).ok()?));
        // An empty rest leaves a trailing slash, which paths do not compare.
        same.filter_map(origin).collect()
    }
}

/// Parses `36 35 98:0 /root /point options shared:1 master:2 - type source options`.
fn parse(line: &str) -> Option<MountPoint> {
    let (mount, _) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(2);
    let device = fields.next()?.to_owned();
    let root = unescape(fields.next()?);
    let path = unescape(fields.next()?);
    let tags: Vec<&str> = fields.skip(1).collect();
    let tagged = |tag: &str| tags.iter().any(|found| found.starts_with(tag));
    Some(MountPoint {
        path,
        device,
        root,
        is_shared: tagged("shared:"),
        is_slave: tagged("master:"),
    })
}

/// Undoes the kernel's `\040` for bytes that would break the table.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let code = after
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(byte) => bytes.push(byte),
            None => bytes.push(b'\\'),
        }
        rest = match code {
            Some(_) => after.get(3..).unwrap_or_default(),
            None => after,
        };
    }
    bytes.extend_from_slice(rest.as_bytes());
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
21 20 0:5 / /srv rw master:3 propagate_from:1 - tmpfs t rw
22 20 0:6 / /srv/a\\040b rw - tmpfs t rw
23 21 0:7 / /srv rw shared:9 master:4 - tmpfs over rw
";

    fn of(path: &str) -> (String, bool, bool) {
        let point = MountPoint::of(TABLE, Path::new(path)).unwrap();
        (
            point.path.display().to_string(),
            point.is_shared,
            point.is_slave,
        )
    }

    #[test]
    fn a_path_is_on_the_nearest_mount_above_it() {
        assert_eq!(of("/etc"), ("/".into(), true, false));
        assert_eq!(of("/srv/a b/c"), ("/srv/a b".into(), false, false));
        assert_eq!(of("/srvs"), ("/".into(), true, false));
    }

    #[test]
    fn a_bind_mount_comes_from_wherever_its_file_system_is_seen() {
        const BOUND: &str = "\
20 1 8:1 /@ / rw - ext4 /dev/sda1 rw
21 20 0:5 / /run rw - tmpfs t rw
22 20 8:1 /@/etc/ssh /data/ssh rw - ext4 /dev/sda1 rw
23 20 0:5 /lock /data/lock rw - tmpfs t rw
24 20 0:9 / /data/own rw - tmpfs t rw
25 20 8:1 /home /data/home rw - ext4 /dev/sda1 rw
";
        for (path, origins) in [
            ("/data/ssh", &["/etc/ssh"][..]),
            ("/data/lock", &["/run/lock"]),
            ("/run", &[]),
            ("/data/own", &[]),
            ("/data/home", &[]),
            ("/data", &[]),
        ] {
            let found = MountPoint::origins(BOUND, Path::new(path));
            let wanted: Vec<PathBuf> = origins.iter().map(PathBuf::from).collect();
            assert_eq!(found, wanted, "{path}");
        }
    }

    #[test]
    fn of_two_mounts_at_one_place_the_upper_counts() {
        assert_eq!(of("/srv"), ("/srv".into(), true, true));
    }
}
