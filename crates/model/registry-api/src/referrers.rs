//! What is about a manifest: the referrers listing, and the tag under which clients kept it where a registry had none.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{ContentDigest, Tag};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A manifest that is about another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrer {
    /// What it is.
    pub media_type: String,
    /// Its name.
    pub digest: ContentDigest,
    /// Its bytes.
    pub size: u64,
    /// What kind of artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Gives the body of a referrers answer.
#[must_use]
pub fn listing(referrers: &[Referrer]) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": referrers})
}

/// Gives the tag that clients keep referrers under where there is no listing: the digest with a dash for the colon.
#[must_use]
pub fn fallback_tag(subject: &ContentDigest) -> Option<Tag> {
    let text = subject.as_str().replace(':', "-");
    text.get(..128.min(text.len()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;

    #[test]
    fn the_fallback_tag_is_the_digest_as_far_as_a_tag_reaches() {
        let short = fallback_tag(&ContentDigest::of(b"")).unwrap();
        assert!(short.as_str().starts_with("sha256-e3b0c442"));
        let long = fallback_tag(&ContentDigest::with(Algorithm::Sha512, b"")).unwrap();
        assert_eq!(long.as_str().len(), 128);
    }

    #[test]
    fn a_listing_of_nothing_is_an_index_of_nothing() {
        let expected = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[]}}"#);
        assert_eq!(listing(&[]).to_string(), expected);
    }
}
