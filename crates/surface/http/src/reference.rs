//! Prints the endpoint table as `docs/reference/api.md`; `cargo xtask bless` renews the file, a test compares it.

use std::fmt::Write as _;

use hakone_base::ApiVersion;

use crate::routes::{ENDPOINTS, State};

/// Gives the Markdown text of the API reference.
#[must_use]
pub fn markdown() -> String {
    let mut text = format!(
        "# Engine API: what Hakone serves\n\nVersions {} to {}, negotiated. Printed from the routing table of the daemon (`cargo xtask bless`).\nWhat is not served answers 501 `{{\"message\": …}}`; what stands in no row answers 404.\n\n| method | path | state |\n|---|---|---|\n",
        ApiVersion::OLDEST,
        ApiVersion::NEWEST
    );
    for endpoint in ENDPOINTS {
        let state = match endpoint.state {
            State::Served(_) => "served".to_owned(),
            State::Later(subject) => format!("501: {subject}"),
        };
        let path = endpoint.path.replace("*}", "}");
        writeln!(text, "| {} | `{path}` | {state} |", endpoint.method).ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_the_snapshot_of_the_table() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../docs/reference/api.md"
        );
        let text = markdown();
        if std::env::var_os("HAKONE_BLESS").is_some() {
            let durability = hakone_store::Durability::Process;
            hakone_store::write_atomic(path.as_ref(), text.as_bytes(), durability).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(kept, text, "cargo xtask bless renews it");
    }
}
