//! Debian's packages: `/var/lib/dpkg/status`, and the folder that images without a package manager have in its place.

use crate::{
    inventory::{Package, Source},
    stanza::stanzas,
};

const KEYS: [&str; 5] = ["Package", "Status", "Version", "Architecture", "Source"];

/// Reads the packages that are installed; those removed or only configured are not.
pub(crate) fn packages(text: &str, of: &str) -> Vec<Package> {
    let read = |stanza: crate::stanza::Stanza<'_>| {
        let status = stanza.get("Status");
        if status.is_some_and(|status| !status.ends_with(" installed")) {
            return None;
        }
        let source = stanza.get("Source").map(|text| source(&text));
        Some(Package {
            kind: "deb",
            name: stanza.get("Package")?,
            version: stanza.get("Version")?,
            architecture: stanza.get("Architecture"),
            source,
            license: None,
            database: of.to_owned(),
        })
    };
    stanzas(text, &KEYS).filter_map(read).collect()
}

/// Reads `name` or `name (version)`.
fn source(text: &str) -> Source {
    let (name, version) = text.split_once(" (").unwrap_or((text, ""));
    let version = version.trim_end_matches(')');
    Source {
        name: name.to_owned(),
        version: Some(version.to_owned()).filter(|version| !version.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc\nVersion: 2.36-9\n\
        Description: x\n Package: not-this\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
        Package: perl-base\nStatus: install ok installed\nSource: perl (5.36.0-7)\nVersion: 5.36.0-7+b1\n";

    #[test]
    fn installed_packages_are_read_with_their_sources() {
        let all = packages(STATUS, "status");
        let names: Vec<_> = all.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["libc6", "perl-base"]);
        let source = all[1].source.as_ref().unwrap();
        assert_eq!(
            (source.name.as_str(), source.version.as_deref()),
            ("perl", Some("5.36.0-7"))
        );
    }

    #[test]
    fn a_folder_of_single_packages_has_no_status() {
        assert_eq!(packages("Package: tzdata\nVersion: 2024a\n", "x").len(), 1);
    }
}
