//! Which files of a tree say what is installed, and the ones that were found.

use std::collections::BTreeMap;

/// Bytes of one database; Debian's whole archive would fit.
pub const LARGEST: usize = 64 << 20;
/// Bytes of all of them, and how many there may be.
const ALL: usize = 128 << 20;
const MOST: usize = 10_000;

const DPKG: &str = "var/lib/dpkg/status";
const DPKG_PARTS: &str = "var/lib/dpkg/status.d/";
const APK: [&str; 2] = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];
const RELEASE: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];
/// Databases of RPM, old and new: known, and not read.
const RPM: [&str; 6] = [
    "var/lib/rpm/rpmdb.sqlite",
    "var/lib/rpm/Packages",
    "var/lib/rpm/Packages.db",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "usr/lib/sysimage/rpm/Packages",
    "usr/lib/sysimage/rpm/Packages.db",
];

/// What a file of a tree is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The file that says which distribution it is.
    Release,
    /// dpkg's list of all packages, or of one.
    Dpkg,
    /// apk's list of all packages.
    Apk,
    /// A list that is not read here.
    Unread,
}

/// Reports whether a file says what is installed; `path` is relative to the root of the tree, without `./`.
#[must_use]
pub fn wanted(path: &str) -> bool {
    role(path).is_some()
}

pub(crate) fn role(path: &str) -> Option<Role> {
    let part = path.strip_prefix(DPKG_PARTS);
    // Beside the description of a package lie the digests of its files.
    let part = part.is_some_and(|name| !name.contains('/') && !name.ends_with(".md5sums"));
    match path {
        DPKG => Some(Role::Dpkg),
        _ if part => Some(Role::Dpkg),
        _ if APK.contains(&path) => Some(Role::Apk),
        _ if RELEASE.contains(&path) => Some(Role::Release),
        _ if RPM.contains(&path) => Some(Role::Unread),
        _ => None,
    }
}

/// The files of one tree that say what is installed.
#[derive(Clone, Debug, Default)]
pub struct Databases {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) left_out: Vec<String>,
    bytes: usize,
}

impl Databases {
    /// Takes a file; one that is too large or too much is remembered as left out.
    pub fn add(&mut self, path: &str, content: Vec<u8>) {
        let bytes = self.bytes.saturating_add(content.len());
        if self.files.len() + self.left_out.len() >= MOST || !wanted(path) {
            return;
        }
        if content.len() > LARGEST || bytes > ALL {
            self.left_out.push(path.to_owned());
            return;
        }
        self.bytes = bytes;
        self.files.insert(path.to_owned(), content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_databases_of_distributions_are_known_and_their_neighbours_are_not() {
        for path in [
            "var/lib/dpkg/status",
            "var/lib/dpkg/status.d/tzdata",
            "lib/apk/db/installed",
            "etc/os-release",
        ] {
            assert!(wanted(path), "{path}");
        }
        for path in [
            "var/lib/dpkg/status-old",
            "var/lib/dpkg/status.d/tzdata.md5sums",
            "home/var/lib/dpkg/status",
            "var/lib/dpkg/status.d/a/b",
        ] {
            assert!(!wanted(path), "{path}");
        }
    }

    #[test]
    fn too_large_a_database_is_left_out_by_name() {
        let mut all = Databases::default();
        all.add("var/lib/dpkg/status", vec![0; LARGEST + 1]);
        assert!(all.files.is_empty());
        assert_eq!(all.left_out, ["var/lib/dpkg/status"]);
    }
}
