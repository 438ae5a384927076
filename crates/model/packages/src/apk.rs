//! Alpine's packages: `/lib/apk/db/installed`.

use crate::{
    inventory::{Package, Source},
    stanza::stanzas,
};

const KEYS: [&str; 5] = ["P", "V", "A", "L", "o"];

/// Reads the packages; all that are listed are installed.
pub(crate) fn packages(text: &str, of: &str) -> Vec<Package> {
    let read = |stanza: crate::stanza::Stanza<'_>| {
        let source = |name| Source {
            name,
            version: None,
        };
        Some(Package {
            kind: "apk",
            name: stanza.get("P")?,
            version: stanza.get("V")?,
            architecture: stanza.get("A"),
            source: stanza.get("o").map(source),
            license: stanza.get("L"),
            database: of.to_owned(),
        })
    };
    stanzas(text, &KEYS).filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_with_origin_and_licence() {
        let text = "C:Q1x=\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\no:musl\nF:lib\nR:libc.so\n\nP:busybox\nV:1.36.1-r2\nA:x86_64\n\n";
        let all = packages(text, "installed");
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].license.as_deref(), Some("MIT"));
        assert_eq!(all[1].version, "1.36.1-r2");
    }
}
