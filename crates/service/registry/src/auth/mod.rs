//! Who somebody is, and what they may do: rules decide; passwords and tokens only say who asks.

mod passwords;
mod tokens;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use hakone_base::Secret;
use hakone_registry_api::{Claims, Grant, Rejected, RepositoryName, Rights, Rules, Scope, Subject};
use serde_json::{Value, json};

pub use passwords::Passwords;
pub use tokens::Signer;

use crate::service::now;

/// Scopes that one token may be asked for.
const SCOPES: usize = 32;

/// How people show who they are.
#[derive(Debug)]
pub enum Mode {
    /// Not at all.
    Open,
    /// By name and password, each time.
    Basic,
    /// By tokens of our own token service.
    Token(Box<Signer>),
}

/// Decides who may do what.
#[derive(Debug)]
pub struct Authority {
    /// How.
    pub mode: Mode,
    /// The users.
    pub passwords: Option<Arc<Passwords>>,
    /// What they may.
    pub rules: Rules,
}

/// Somebody, as far as we know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who.
    pub subject: Subject,
    claims: Option<Claims>,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// The name or the password is wrong.
    #[error("authentication required")]
    Password,
    /// The token is none of ours, or no longer.
    #[error(transparent)]
    Token(#[from] Rejected),
}

/// What a token is asked for.
#[derive(Clone, Debug, Default)]
pub struct TokenAsk {
    /// Who asks, by password.
    pub basic: Option<(String, Secret<String>)>,
    /// Or by what an earlier answer gave instead of it.
    pub refresh: Option<Secret<String>>,
    /// For what.
    pub scopes: Vec<String>,
    /// For which service, if told.
    pub service: Option<String>,
    /// Whether something is wanted that stands for the password from now on.
    pub offline: bool,
}

impl Identity {
    /// Gives nobody.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self {
            subject: Subject::Anonymous,
            claims: None,
        }
    }
}

impl Authority {
    /// Finds out who asks; whoever shows nothing is anonymous, whoever shows something wrong is refused.
    ///
    /// # Errors
    /// When what was shown is wrong.
    pub async fn identify(&self, authorization: Option<&str>) -> Result<Identity, Stranger> {
        let Some((scheme, value)) = authorization.and_then(|text| text.trim().split_once(' '))
        else {
            return match authorization {
                Some(_) => Err(Stranger::Password),
                None => Ok(Identity::anonymous()),
            };
        };
        match &self.mode {
            Mode::Open => Ok(Identity::anonymous()),
            Mode::Basic if scheme.eq_ignore_ascii_case("basic") => {
                let (name, password) = basic(value).ok_or(Stranger::Password)?;
                let subject = self.check(name, password).await?;
                Ok(Identity {
                    subject,
                    claims: None,
                })
            }
            Mode::Token(signer) if scheme.eq_ignore_ascii_case("bearer") => {
                let claims = signer.verify(value.trim(), seconds())?;
                let subject = self.still_there(&claims.sub)?;
                Ok(Identity {
                    subject,
                    claims: Some(claims),
                })
            }
            Mode::Basic | Mode::Token(_) => Err(Stranger::Password),
        }
    }

    async fn check(&self, name: String, password: Secret<String>) -> Result<Subject, Stranger> {
        let passwords = self.passwords.as_ref().ok_or(Stranger::Password)?;
        match passwords.check(&name, password).await {
            true => Ok(Subject::User(name)),
            false => Err(Stranger::Password),
        }
    }

    /// A token of a user who is gone gives nothing, however long it still runs.
    fn still_there(&self, name: &str) -> Result<Subject, Stranger> {
        if name.is_empty() {
            return Ok(Subject::Anonymous);
        }
        let known = self
            .passwords
            .as_ref()
            .and_then(|users| users.fingerprint(name));
        known
            .map(|_| Subject::User(name.to_owned()))
            .ok_or(Stranger::Token(Rejected::Revoked))
    }

    /// Tells what somebody may do to a repository: what the rules give, and of that no more than their token.
    #[must_use]
    pub fn rights(&self, who: &Identity, name: &RepositoryName) -> Rights {
        let given = self.rules.rights(&who.subject, name);
        match (&self.mode, &who.claims) {
            (Mode::Token(_), Some(claims)) => given.and(claims.rights(name)),
            _ => given,
        }
    }

    /// Tells what the rules give somebody, whatever their token says: for what shows names alone.
    #[must_use]
    pub fn may_see(&self, who: &Identity, name: &RepositoryName) -> bool {
        self.rules
            .rights(&who.subject, name)
            .has(hakone_registry_api::Right::Pull)
    }

    /// Reports whether the base address is for people with a name, or with a token for nobody.
    #[must_use]
    pub fn base_is_open(&self, who: &Identity) -> bool {
        match &self.mode {
            Mode::Open => true,
            Mode::Basic => who.subject != Subject::Anonymous,
            Mode::Token(_) => who.claims.is_some(),
        }
    }

    /// Makes a token that gives what was asked for, as far as the rules do.
    ///
    /// # Errors
    /// When the password or what stands for it is wrong, or the token is wanted for another service.
    pub async fn issue(&self, ask: TokenAsk) -> Result<Value, Stranger> {
        let Mode::Token(signer) = &self.mode else {
            return Err(Stranger::Password);
        };
        if ask
            .service
            .as_ref()
            .is_some_and(|service| service != signer.service())
        {
            return Err(Rejected::Audience.into());
        }
        let subject = match (ask.basic, &ask.refresh) {
            (Some((name, password)), _) => self.check(name, password).await?,
            (None, Some(refresh)) => self.refreshed(signer, refresh)?,
            (None, None) => Subject::Anonymous,
        };
        let access = self.grants(&subject, &ask.scopes);
        let (token, life) = signer.access(subject.name().unwrap_or_default(), access, seconds())?;
        let mut answer = json!({
            "token": token,
            "access_token": token,
            "expires_in": life,
            "issued_at": now().to_string(),
        });
        let refresh = self
            .refresh_token(signer, &subject, ask.offline)?
            .or(ask.refresh.map(|had| had.expose().clone()));
        if let (Some(answer), Some(refresh)) = (answer.as_object_mut(), refresh) {
            answer.insert("refresh_token".to_owned(), json!(refresh));
        }
        Ok(answer)
    }

    fn grants(&self, subject: &Subject, scopes: &[String]) -> Vec<Grant> {
        let asked = scopes
            .iter()
            .flat_map(|scopes| scopes.split(' '))
            .take(SCOPES);
        let grant = |scope: Scope| {
            let given = scope
                .rights
                .and(self.rules.rights(subject, &scope.repository));
            (given != Rights::default()).then(|| Grant {
                kind: "repository".to_owned(),
                name: scope.repository.to_string(),
                actions: given.words(),
            })
        };
        asked.filter_map(Scope::parse).filter_map(grant).collect()
    }

    fn refresh_token(
        &self,
        signer: &Signer,
        subject: &Subject,
        wanted: bool,
    ) -> Result<Option<String>, Stranger> {
        let name = subject.name().filter(|_| wanted);
        let key = name.and_then(|name| self.passwords.as_ref()?.fingerprint(name));
        match (name, key) {
            (Some(name), Some(key)) => Ok(Some(signer.refresh(name, key, seconds())?)),
            _ => Ok(None),
        }
    }

    fn refreshed(&self, signer: &Signer, token: &Secret<String>) -> Result<Subject, Stranger> {
        let claims = signer.verify_refresh(token.expose(), seconds())?;
        let known = self
            .passwords
            .as_ref()
            .and_then(|users| users.fingerprint(&claims.sub));
        match known.is_some() && known == claims.key {
            true => Ok(Subject::User(claims.sub)),
            false => Err(Rejected::Revoked.into()),
        }
    }
}

/// Reads the value of `Authorization: Basic`.
#[must_use]
pub fn basic(value: &str) -> Option<(String, Secret<String>)> {
    let bytes = data_encoding::BASE64.decode(value.trim().as_bytes()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), Secret::new(password.to_owned())))
}

fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map(|since| since.as_secs()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
