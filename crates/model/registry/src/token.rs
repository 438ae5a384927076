//! Tokens: what is asked of a token server, and what its answer is worth (Docker's token specification and its OAuth2 form).

use hakone_base::Secret;
use serde::Deserialize;

use crate::{Bearer, Credentials, Url, UrlError};

/// Seconds that a token lives when the server does not say.
const DEFAULT_LIFE: u64 = 60;
/// Longest that one is used without asking again.
const LONGEST_LIFE: u64 = 3600;
/// What we call ourselves there, as Docker does.
const CLIENT: &str = "docker";

/// One question to a token server.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Where to.
    pub url: Url,
    /// The form of a POST; none for a GET.
    pub form: Option<Secret<String>>,
    /// Whether it goes with name and password.
    pub with_password: bool,
}

/// A token and how long it may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The token.
    pub token: Secret<String>,
    /// Seconds from now.
    pub lives: u64,
    /// What is kept instead of the password, when it was asked for.
    pub refresh: Option<Secret<String>>,
}

/// Why a token server's answer is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Not JSON.
    #[error("the token server's answer is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Neither `token` nor `access_token`.
    #[error("authorization server did not include a token in the response")]
    Missing,
    /// A token that no header can carry.
    #[error("the token server gave a token that cannot be sent")]
    Unsendable,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<i64>,
    #[serde(default)]
    refresh_token: Option<String>,
}

impl TokenRequest {
    /// Asks for a token that allows `scopes`; `login` asks for a refresh token too.
    ///
    /// # Errors
    /// When the registry named no address.
    pub fn new(
        bearer: &Bearer,
        base: &Url,
        credentials: &Credentials,
        (scopes, login): (&[String], bool),
    ) -> Result<Self, UrlError> {
        let realm = base.join(&bearer.realm)?;
        match credentials {
            Credentials::Refresh(secret) => Ok(Self::refresh(realm, bearer, secret, scopes)),
            Credentials::None | Credentials::Password { .. } | Credentials::Token(_) => {
                Ok(Self::get(realm, bearer, credentials, (scopes, login)))
            }
        }
    }

    fn get(
        realm: Url,
        bearer: &Bearer,
        credentials: &Credentials,
        (scopes, login): (&[String], bool),
    ) -> Self {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        if let Credentials::Password { user, .. } = credentials {
            pairs.push(("account", user));
        }
        if login {
            pairs.extend([("client_id", CLIENT), ("offline_token", "true")]);
        }
        pairs.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
        pairs.extend(
            bearer
                .service
                .as_deref()
                .map(|service| ("service", service)),
        );
        let url = pairs
            .iter()
            .fold(realm, |url, (key, value)| url.with_parameter(key, value));
        Self {
            url,
            form: None,
            with_password: matches!(credentials, Credentials::Password { .. }),
        }
    }

    fn refresh(realm: Url, bearer: &Bearer, secret: &Secret<String>, scopes: &[String]) -> Self {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("client_id", CLIENT)
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", secret.expose())
            .append_pair("scope", &scopes.join(" "));
        if let Some(service) = &bearer.service {
            form.append_pair("service", service);
        }
        Self {
            url: realm,
            form: Some(Secret::new(form.finish())),
            with_password: false,
        }
    }

    /// Reports whether something of the user's goes along.
    #[must_use]
    pub const fn carries_credentials(&self) -> bool {
        self.with_password || self.form.is_some()
    }
}

impl Token {
    /// Reads the answer.
    ///
    /// # Errors
    /// When there is no usable token in it.
    pub fn parse(bytes: &[u8]) -> Result<Self, TokenError> {
        let wire: Wire = serde_json::from_slice(bytes)?;
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let token = some(wire.token)
            .or(some(wire.access_token))
            .ok_or(TokenError::Missing)?;
        if !token.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
            return Err(TokenError::Unsendable);
        }
        let lives = wire
            .expires_in
            .and_then(|seconds| u64::try_from(seconds).ok());
        Ok(Self {
            token: Secret::new(token),
            lives: lives.unwrap_or(0).clamp(DEFAULT_LIFE, LONGEST_LIFE),
            refresh: some(wire.refresh_token).map(Secret::new),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer() -> Bearer {
        Bearer {
            realm: "https://auth.example/token".into(),
            service: Some("reg.example".into()),
            scope: None,
        }
    }

    fn request(credentials: &Credentials, login: bool) -> TokenRequest {
        let base = "https://reg.example/v2/".parse().unwrap();
        let scopes = match login {
            true => vec![],
            false => vec!["repository:a:pull".to_owned()],
        };
        TokenRequest::new(&bearer(), &base, credentials, (&scopes, login)).unwrap()
    }

    #[test]
    fn requests_are_those_of_docker() {
        let bob = Credentials::password("bob".into(), "s3".into());
        assert_eq!(
            request(&bob, true).url.path(),
            "/token?account=bob&client_id=docker&offline_token=true&service=reg.example"
        );
        let nobody = request(&Credentials::None, false);
        assert_eq!(
            nobody.url.path(),
            "/token?scope=repository%3Aa%3Apull&service=reg.example"
        );
        assert!(!nobody.carries_credentials());
        let refresh = request(&Credentials::Refresh(Secret::new("R R".into())), false);
        assert_eq!(
            refresh.form.unwrap().expose(),
            "client_id=docker&grant_type=refresh_token&refresh_token=R+R&scope=repository%3Aa%3Apull&service=reg.example"
        );
    }

    #[test]
    fn an_answer_gives_a_token_for_a_while() {
        let token = Token::parse(br#"{"access_token":"T","expires_in":300}"#).unwrap();
        assert_eq!((token.token.expose().as_str(), token.lives), ("T", 300));
        assert_eq!(
            Token::parse(br#"{"token":"T","expires_in":-5}"#)
                .unwrap()
                .lives,
            60
        );
        assert_eq!(
            Token::parse(br#"{"token":"T","expires_in":99999999}"#)
                .unwrap()
                .lives,
            3600
        );
    }

    #[test]
    fn an_answer_without_a_usable_token_is_refused() {
        assert!(matches!(Token::parse(b"{}"), Err(TokenError::Missing)));
        assert!(matches!(Token::parse(b"<html>"), Err(TokenError::Json(_))));
        assert!(matches!(
            Token::parse(b"{\"token\":\"a\\r\\nX: y\"}"),
            Err(TokenError::Unsendable)
        ));
    }
}
