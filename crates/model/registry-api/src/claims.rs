//! What a token says, and whether it is to be believed. The signature is the service's to check; time comes as an argument.

use serde::{Deserialize, Serialize};

use crate::{RepositoryName, Rights};

/// Seconds that two clocks may differ in what is not yet valid; nothing is valid a second longer than it says.
const SKEW: u64 = 60;

/// Whom a token is for: one or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// What a token says, in the words of Docker's token server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who made it.
    pub iss: String,
    /// For which user; empty for anybody.
    pub sub: String,
    /// For which service.
    pub aud: Audience,
    /// Until when, in seconds.
    pub exp: u64,
    /// From when.
    pub nbf: u64,
    /// Since when.
    pub iat: u64,
    /// Its own name.
    pub jti: String,
    /// What it gives.
    #[serde(default)]
    pub access: Vec<Grant>,
    /// In what stands for a password: what the password was, as a fingerprint. A changed password ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What a token gives to one repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// `repository`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What may be done.
    pub actions: Vec<String>,
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Signed by nobody we know, or no token at all.
    #[error("the token is not signed by this registry")]
    Signature,
    /// For another service.
    #[error("the token is for another service")]
    Audience,
    /// From another token server.
    #[error("the token is from another issuer")]
    Issuer,
    /// Too late.
    #[error("the token has expired")]
    Expired,
    /// Too early.
    #[error("the token is not valid yet")]
    Early,
    /// Its user is gone or has another password.
    #[error("the token is no longer valid")]
    Revoked,
}

impl Claims {
    /// Judges all but the signature.
    ///
    /// # Errors
    /// What is wrong.
    pub fn judge(&self, issuer: &str, audience: &str, now: u64) -> Result<(), Rejected> {
        let meant = match &self.aud {
            Audience::One(one) => one == audience,
            Audience::Many(many) => many.iter().any(|one| one == audience),
        };
        match () {
            () if self.iss != issuer => Err(Rejected::Issuer),
            () if !meant => Err(Rejected::Audience),
            () if self.exp <= now => Err(Rejected::Expired),
            () if self.nbf > now.saturating_add(SKEW) => Err(Rejected::Early),
            () => Ok(()),
        }
    }

    /// Tells what it gives to a repository.
    #[must_use]
    pub fn rights(&self, name: &RepositoryName) -> Rights {
        let grants = self.access.iter();
        let fitting =
            grants.filter(|grant| grant.kind == "repository" && grant.name == name.as_str());
        fitting.fold(Rights::default(), |rights, grant| {
            rights.or(Rights::of_words(grant.actions.iter().map(String::as_str)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Right;

    fn claims() -> Claims {
        Claims {
            iss: "us".into(),
            sub: "bob".into(),
            aud: Audience::One("reg".into()),
            exp: 1000,
            nbf: 500,
            iat: 500,
            jti: "1".into(),
            access: vec![Grant {
                kind: "repository".into(),
                name: "a".into(),
                actions: vec!["pull".into()],
            }],
            key: None,
        }
    }

    #[test]
    fn a_token_is_for_one_service_from_one_issuer_in_its_time() {
        assert_eq!(claims().judge("us", "reg", 600), Ok(()));
        assert_eq!(claims().judge("them", "reg", 600), Err(Rejected::Issuer));
        assert_eq!(claims().judge("us", "other", 600), Err(Rejected::Audience));
        assert_eq!(claims().judge("us", "reg", 1000), Err(Rejected::Expired));
        assert_eq!(claims().judge("us", "reg", 439), Err(Rejected::Early));
        let many = Claims {
            aud: Audience::Many(vec!["x".into(), "reg".into()]),
            ..claims()
        };
        assert_eq!(many.judge("us", "reg", 600), Ok(()));
    }

    #[test]
    fn it_gives_what_it_says_of_that_repository_alone() {
        let rights = |name: &str| claims().rights(&name.parse().unwrap());
        assert!(rights("a").has(Right::Pull) && !rights("a").has(Right::Push));
        assert_eq!(rights("b"), Rights::default());
        let mut other = claims();
        other.access[0].kind = "registry".into();
        assert_eq!(other.rights(&"a".parse().unwrap()), Rights::default());
    }
}
