//! An inventory as an SPDX 2.3 document, the form in which build clients and scanners exchange bills of materials.

use serde_json::{Value, json};

use crate::{
    inventory::{Inventory, Package, System},
    purl::purl,
};

/// The type under which attestations hold such a document.
pub const PREDICATE: &str = "https://spdx.dev/Document";

/// What a document says of itself.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    /// What was looked at.
    pub name: &'a str,
    /// An address that no other document has.
    pub namespace: &'a str,
    /// What made it, `name-version`.
    pub tool: &'a str,
    /// When, as RFC 3339 has it, in whole seconds.
    pub created: &'a str,
}

const ROOT: &str = "SPDXRef-DocumentRoot";

impl Document<'_> {
    /// Prints an inventory.
    #[must_use]
    pub fn print(&self, inventory: &Inventory) -> Value {
        let mut packages = vec![root(self.name, &inventory.system)];
        let listed = inventory.packages.iter().enumerate();
        packages.extend(listed.map(|(at, one)| package(at, one, &inventory.system)));
        let mut links = vec![link("SPDXRef-DOCUMENT", ROOT, "DESCRIBES")];
        let count = inventory.packages.len();
        links.extend((0..count).map(|at| link(ROOT, &id(at), "CONTAINS")));
        let mut document = json!({
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": self.name,
            "documentNamespace": self.namespace,
            "creationInfo": {"creators": [format!("Tool: {}", self.tool)], "created": self.created},
            "packages": packages,
            "relationships": links,
        });
        if let (Some(comment), Some(map)) = (comment(inventory), document.as_object_mut()) {
            map.insert("comment".into(), comment.into());
        }
        document
    }
}

/// Says what is not in the document, so that nobody takes it for complete.
fn comment(inventory: &Inventory) -> Option<String> {
    let unread = inventory.unread.join(", ");
    (!unread.is_empty()).then(|| format!("Package databases that were not read: {unread}"))
}

fn id(at: usize) -> String {
    format!("SPDXRef-Package-{at}")
}

fn link(from: &str, to: &str, kind: &str) -> Value {
    json!({"spdxElementId": from, "relatedSpdxElement": to, "relationshipType": kind})
}

fn root(name: &str, system: &System) -> Value {
    let info = system
        .name
        .clone()
        .unwrap_or_else(|| "no distribution is named".into());
    json!({
        "SPDXID": ROOT, "name": name, "downloadLocation": "NOASSERTION", "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "CONTAINER", "comment": info,
    })
}

fn package(at: usize, package: &Package, system: &System) -> Value {
    let source = package.source.as_ref();
    let source = source.map_or(package.name.as_str(), |source| &source.name);
    let declared = package
        .license
        .as_deref()
        .map(|text| format!("the package says: {text}"));
    json!({
        "SPDXID": id(at), "name": package.name, "versionInfo": package.version,
        "downloadLocation": "NOASSERTION", "filesAnalyzed": false,
        "sourceInfo": format!("built from {source}; found in /{}", package.database),
        // What packages say is free text; SPDX wants an expression of its own, and nobody here asserts one.
        "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION",
        "licenseComments": declared.unwrap_or_default(),
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                          "referenceLocator": purl(package, system)}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Databases;

    #[test]
    fn each_package_is_contained_in_what_is_described() {
        let mut databases = Databases::default();
        databases.add("lib/apk/db/installed", b"P:musl\nV:1\nL:MIT\n\n".to_vec());
        databases.add("var/lib/rpm/Packages", Vec::new());
        let document = Document {
            name: "app",
            namespace: "urn:x",
            tool: "hakone-1",
            created: "2026-01-01T00:00:00Z",
        };
        let json = document.print(&Inventory::read(&databases));
        assert_eq!(json["packages"][1]["name"], "musl");
        assert_eq!(
            json["packages"][1]["externalRefs"][0]["referenceLocator"],
            "pkg:apk/alpine/musl@1"
        );
        assert_eq!(
            json["relationships"][1]["relatedSpdxElement"],
            "SPDXRef-Package-0"
        );
        assert!(
            json["comment"]
                .as_str()
                .unwrap()
                .contains("var/lib/rpm/Packages")
        );
    }
}
