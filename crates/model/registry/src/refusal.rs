//! What a registry says when it refuses: the error body of the distribution specification.

use std::fmt;

use serde_json::Value;

/// Errors of one body that are looked at.
const MOST: usize = 16;
/// Characters of a message that are passed on.
const LONGEST: usize = 500;

/// One error of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `MANIFEST_UNKNOWN` and so on.
    pub code: String,
    /// The registry's words, control characters replaced.
    pub message: String,
}

impl fmt::Display for Refusal {
    /// Docker's form: the code in small letters, the message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.to_ascii_lowercase().replace('_', " ");
        match self.message.as_str() {
            "" => f.write_str(&code),
            message => write!(f, "{code}: {message}"),
        }
    }
}

/// Reads an error body; also the `{"details": …}` of token servers. Nothing when it is neither.
#[must_use]
pub fn refusals(body: &[u8]) -> Vec<Refusal> {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Vec::new();
    };
    let errors = value.get("errors").and_then(Value::as_array);
    let listed = errors
        .into_iter()
        .flatten()
        .take(MOST)
        .map(|error| Refusal {
            code: text(error, "code"),
            message: text(error, "message"),
        });
    let details = text(&value, "details");
    let lone = (!details.is_empty()).then(|| Refusal {
        code: "UNAUTHORIZED".to_owned(),
        message: details,
    });
    listed
        .chain(lone)
        .filter(|refusal| !refusal.code.is_empty())
        .collect()
}

/// A terminal shows it: no control characters, no end.
fn text(value: &Value, key: &str) -> String {
    let text = value.get(key).and_then(Value::as_str).unwrap_or_default();
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(LONGEST).map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_said_as_docker_says_them() {
        let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#;
        assert_eq!(
            refusals(body)[0].to_string(),
            "manifest unknown: manifest unknown"
        );
        let token = br#"{"details":"incorrect username or password"}"#;
        assert_eq!(
            refusals(token)[0].to_string(),
            "unauthorized: incorrect username or password"
        );
    }

    #[test]
    fn a_registry_cannot_write_to_the_users_terminal() {
        let body = br#"{"errors":[{"code":"DENIED","message":"\u001b[2J\u0007pay"}]}"#;
        assert_eq!(refusals(body)[0].message, " [2J pay");
    }

    #[test]
    fn what_is_no_error_body_is_none() {
        for body in [
            &b"<html>"[..],
            b"{}",
            b"[]",
            b"{\"errors\":7}",
            b"{\"errors\":[1]}",
        ] {
            assert!(refusals(body).is_empty());
        }
    }
}
