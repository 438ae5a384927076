//! What holds whatever the databases of a tree hold.

#[cfg(test)]
mod tests {
    use hakone_packages::{Databases, Document, Inventory};
    use proptest::prelude::*;

    proptest! {
        /// Whatever a database holds, there is a document, and it lists each package found once.
        #[test]
        fn any_bytes_give_a_document(content in "[PVAL:Packge\\n a-z0-9\u{fffd}]{0,400}") {
            let mut databases = Databases::default();
            databases.add("lib/apk/db/installed", content.clone().into_bytes());
            databases.add("var/lib/dpkg/status", content.into_bytes());
            let inventory = Inventory::read(&databases);
            let document = Document { name: "x", namespace: "urn:x", tool: "t", created: "2026-01-01T00:00:00Z" };
            let json = document.print(&inventory);
            prop_assert_eq!(json["packages"].as_array().unwrap().len(), inventory.packages.len() + 1);
        }
    }
}
