//! What is installed: the distribution, its packages, and what could not be read.

use crate::{
    apk,
    databases::{Databases, Role, role},
    dpkg, release,
};

/// What is installed in a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The distribution.
    pub system: System,
    /// The packages, by database and then in its order.
    pub packages: Vec<Package>,
    /// Databases that are there and were not read: of kinds that are not known here, or too large.
    pub unread: Vec<String>,
}

/// A distribution, as it says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct System {
    /// `debian`.
    pub id: Option<String>,
    /// `12`.
    pub version: Option<String>,
    /// What people call it.
    pub name: Option<String>,
}

/// One package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// `deb` or `apk`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its version, as its distribution writes it.
    pub version: String,
    /// For which machines.
    pub architecture: Option<String>,
    /// What it was built from: advisories of distributions name sources.
    pub source: Option<Source>,
    /// Its licence, as the package says.
    pub license: Option<String>,
    /// The file that names it, relative to the root of the tree.
    pub database: String,
}

/// The source of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its version, when it is not the package's.
    pub version: Option<String>,
}

impl Inventory {
    /// Reads the databases of a tree.
    #[must_use]
    pub fn read(databases: &Databases) -> Self {
        let mut all = Self {
            unread: databases.left_out.clone(),
            ..Self::default()
        };
        for (path, content) in &databases.files {
            let text = String::from_utf8_lossy(content);
            match role(path) {
                Some(Role::Dpkg) => all.packages.extend(dpkg::packages(&text, path)),
                Some(Role::Apk) => all.packages.extend(apk::packages(&text, path)),
                // The one in `etc` comes first and counts.
                Some(Role::Release) if all.system == System::default() => {
                    all.system = release::system(&text);
                }
                Some(Role::Release) | None => {}
                Some(Role::Unread) => all.unread.push(path.clone()),
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_of_debian_gives_its_packages() {
        let mut databases = Databases::default();
        databases.add("etc/os-release", b"ID=debian\n".to_vec());
        databases.add("var/lib/dpkg/status", b"Package: a\nVersion: 1\n".to_vec());
        databases.add("var/lib/rpm/Packages", vec![1, 2]);
        let all = Inventory::read(&databases);
        assert_eq!(all.system.id.as_deref(), Some("debian"));
        assert_eq!(all.packages.len(), 1);
        assert_eq!(
            all.unread,
            ["var/lib/rpm/Packages"],
            "told, not passed over"
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_no_packages() {
        let mut databases = Databases::default();
        databases.add(
            "lib/apk/db/installed",
            (0..=255).cycle().take(5000).collect(),
        );
        assert!(Inventory::read(&databases).packages.is_empty());
    }
}
