//! Statements as in-toto has them: what is said, and of which bytes.

use hakone_base::Digest;
use serde_json::{Value, json};

/// The media type of a printed statement.
pub(crate) const IN_TOTO: &str = "application/vnd.in-toto+json";

/// What is said of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Of what sort it is: an address.
    pub sort: &'static str,
    /// What is said.
    pub predicate: Value,
    /// The file that holds it, where results are files.
    pub file: &'static str,
}

/// Bytes that something is said of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// What they are called: a path, or the package URL of an image.
    pub name: String,
    /// Their digest.
    pub digest: Digest,
}

impl Statement {
    /// Prints it about these subjects.
    #[must_use]
    pub fn print(&self, subjects: &[Subject]) -> Vec<u8> {
        let subject =
            |one: &Subject| json!({"name": one.name, "digest": {"sha256": one.digest.hex()}});
        let subjects: Vec<Value> = subjects.iter().map(subject).collect();
        let whole = json!({
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": self.sort,
            "subject": subjects,
            "predicate": self.predicate,
        });
        whole.to_string().into_bytes()
    }
}

/// Names an image for a statement: `pkg:docker/app@1?platform=linux%2Famd64`.
#[must_use]
pub fn image_url(name: &hakone_base::ImageRef, platform: &str) -> String {
    let path = match name.domain() {
        "docker.io" => name.path().trim_start_matches("library/").to_owned(),
        domain => format!("{domain}/{}", name.path()),
    };
    let tag = name.tag().unwrap_or("latest");
    let platform = platform.replace('/', "%2F");
    format!("pkg:docker/{path}@{tag}?platform={platform}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_names_its_subjects_by_digest() {
        let statement = Statement {
            sort: "https://x",
            predicate: json!({"a": 1}),
            file: "x.json",
        };
        let subject = Subject {
            name: "f".into(),
            digest: Digest::of(b"f"),
        };
        let json: Value = serde_json::from_slice(&statement.print(&[subject])).unwrap();
        assert_eq!(
            json["subject"][0]["digest"]["sha256"],
            Digest::of(b"f").hex()
        );
        assert_eq!(json["predicate"]["a"], 1);
    }

    #[test]
    fn images_have_one_name_for_statements() {
        let url = |text: &str| image_url(&text.parse().unwrap(), "linux/amd64");
        assert_eq!(url("app:1"), "pkg:docker/app@1?platform=linux%2Famd64");
        assert_eq!(
            url("r.io/a/b"),
            "pkg:docker/r.io/a/b@latest?platform=linux%2Famd64"
        );
    }
}
