//! `AuthZPlugin.AuthZReq` and `AuthZRes`: what an authorization plugin is asked, and its answer.
//!
//! The keys are Docker's, absent ones included: plugins in the field decode exactly these. Bodies go as base64, as Go prints bytes.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize, Serializer};

/// The question; the response's part is filled in the second round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Question {
    /// The common name of the client's certificate.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `TLS`, or nothing.
    #[serde(rename = "UserAuthNMethod", skip_serializing_if = "String::is_empty")]
    pub user_method: String,
    /// `POST`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request_method: String,
    /// Path and query as they came, with the version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request_uri: String,
    /// The body, if it is JSON.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "base64")]
    pub request_body: Vec<u8>,
    /// Headers but those with passwords.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub request_headers: BTreeMap<String, String>,
    /// The client's certificates, PEM in base64.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "base64_list")]
    pub request_peer_certificates: Vec<Vec<u8>>,
    /// The status of the reply.
    #[serde(skip_serializing_if = "is_zero")]
    pub response_status_code: u16,
    /// The reply's body, if it is JSON of a known size.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "base64")]
    pub response_body: Vec<u8>,
    /// The reply's headers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub response_headers: BTreeMap<String, String>,
}

/// The answer. What does not say `Allow` denies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Answer {
    /// Whether it may go on.
    pub allow: bool,
    /// Why not, for the user.
    pub msg: String,
    /// What went wrong in the plugin.
    pub err: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
const fn is_zero(number: &u16) -> bool {
    *number == 0
}

fn base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

fn base64_list<S: Serializer>(list: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter().map(|bytes| BASE64_STANDARD.encode(bytes)))
}

/// Writes a header's name as Go does: `content-type` is `Content-Type`. `None` for headers that carry a password.
#[must_use]
pub fn header_name(name: &str) -> Option<String> {
    if matches!(
        name,
        "x-registry-auth" | "x-registry-config" | "authorization"
    ) {
        return None;
    }
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_ascii_uppercase() + rest
    });
    Some(words.collect::<Vec<_>>().join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_has_dockers_keys() {
        let question = Question {
            request_method: "POST".into(),
            request_uri: "/v1.50/containers/create".into(),
            request_body: b"{}".to_vec(),
            ..Question::default()
        };
        assert_eq!(
            serde_json::to_string(&question).unwrap(),
            r#"{"RequestMethod":"POST","RequestUri":"/v1.50/containers/create","RequestBody":"e30="}"#
        );
        let tls = Question {
            user: "ada".into(),
            user_method: "TLS".into(),
            response_status_code: 200,
            ..Question::default()
        };
        assert_eq!(
            serde_json::to_string(&tls).unwrap(),
            r#"{"User":"ada","UserAuthNMethod":"TLS","ResponseStatusCode":200}"#
        );
    }

    #[test]
    fn an_answer_that_says_nothing_denies() {
        assert!(!serde_json::from_str::<Answer>("{}").unwrap().allow);
        assert!(
            serde_json::from_str::<Answer>(r#"{"Allow":true,"Later":1}"#)
                .unwrap()
                .allow
        );
    }

    #[test]
    fn passwords_stay_here() {
        assert_eq!(header_name("content-type").unwrap(), "Content-Type");
        assert!(header_name("x-registry-auth").is_none());
    }
}
