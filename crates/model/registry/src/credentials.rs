//! Who the user is at a registry: what `X-Registry-Auth` and the body of `POST /auth` carry.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use hakone_base::Secret;
use serde::Deserialize;

/// What the user can show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    #[default]
    None,
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Secret<String>,
    },
    /// What a token server gave at login, to be changed for tokens.
    Refresh(Secret<String>),
    /// A token for the registry itself.
    Token(Secret<String>),
}

/// Why a header is refused.
#[derive(Debug, thiserror::Error)]
#[error("invalid X-Registry-Auth header: {0}")]
pub struct CredentialsError(String);

/// The wire form; all fields optional, unknown ones ignored as clients of many ages send it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    username: String,
    password: String,
    auth: String,
    identitytoken: String,
    registrytoken: String,
}

impl Credentials {
    /// Reads the header: base64 of JSON, padded or not, of either alphabet.
    ///
    /// # Errors
    /// When it is not that.
    pub fn from_header(header: &str) -> Result<Self, CredentialsError> {
        let bytes = decode(header)
            .ok_or_else(|| CredentialsError("must be a valid base64url-encoded string".into()))?;
        if bytes.is_empty() {
            return Err(CredentialsError("EOF".to_owned()));
        }
        let value =
            serde_json::from_slice(&bytes).map_err(|error| CredentialsError(error.to_string()))?;
        Ok(Self::from_json(value))
    }

    /// Reads the JSON of the Engine API; fields of another type count as absent.
    #[must_use]
    pub fn from_json(value: serde_json::Value) -> Self {
        let wire: Wire = serde_json::from_value(value).unwrap_or_default();
        let secret = |text: String| Secret::new(text);
        if !wire.registrytoken.is_empty() {
            return Self::Token(secret(wire.registrytoken));
        }
        if !wire.identitytoken.is_empty() {
            return Self::Refresh(secret(wire.identitytoken));
        }
        if !wire.username.is_empty() {
            return Self::password(wire.username, wire.password);
        }
        match decode(&wire.auth).and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(pair) => match pair.split_once(':') {
                Some((user, password)) if !user.is_empty() => {
                    let password = password.trim_end_matches('\0');
                    Self::password(user.to_owned(), password.to_owned())
                }
                _ => Self::None,
            },
            None => Self::None,
        }
    }

    /// Takes a name and a password.
    #[must_use]
    pub const fn password(user: String, password: String) -> Self {
        Self::Password {
            user,
            password: Secret::new(password),
        }
    }

    /// Gives the value of `Authorization: Basic`, if there is a password.
    #[must_use]
    pub fn basic(&self) -> Option<Secret<String>> {
        match self {
            Self::Password { user, password } => {
                let pair = format!("{user}:{}", password.expose());
                let coded = data_encoding::BASE64.encode(pair.as_bytes());
                Some(Secret::new(format!("Basic {coded}")))
            }
            Self::None | Self::Refresh(_) | Self::Token(_) => None,
        }
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim().trim_end_matches('=').as_bytes();
    BASE64URL_NOPAD
        .decode(text)
        .or_else(|_| BASE64_NOPAD.decode(text))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(json: &str) -> Credentials {
        let coded = data_encoding::BASE64URL.encode(json.as_bytes());
        Credentials::from_header(&coded).unwrap()
    }

    #[test]
    fn the_best_of_what_is_there_counts() {
        assert_eq!(header("{}"), Credentials::None);
        let bob = Credentials::password("bob".into(), "s3".into());
        assert_eq!(
            header(r#"{"username":"bob","password":"s3","email":null,"serveraddress":"h"}"#),
            bob
        );
        assert_eq!(header(r#"{"auth":"Ym9iOnMz"}"#), bob);
        assert!(matches!(
            header(r#"{"username":"bob","identitytoken":"R"}"#),
            Credentials::Refresh(_)
        ));
        assert!(matches!(
            header(r#"{"registrytoken":"T"}"#),
            Credentials::Token(_)
        ));
    }

    #[test]
    fn a_header_that_is_none_is_refused_in_dockers_words() {
        let words = |text: &str| Credentials::from_header(text).unwrap_err().to_string();
        assert_eq!(words(""), "invalid X-Registry-Auth header: EOF");
        assert!(words("!").contains("base64url"));
        assert!(
            Credentials::from_header("e30=").is_ok() && Credentials::from_header("e30").is_ok()
        );
    }

    #[test]
    fn a_password_does_not_reach_a_log() {
        let bob = Credentials::password("bob".into(), "hunter2".into());
        assert!(!format!("{bob:?}").contains("hunter2"));
        assert_eq!(bob.basic().unwrap().expose(), "Basic Ym9iOmh1bnRlcjI=");
    }
}
