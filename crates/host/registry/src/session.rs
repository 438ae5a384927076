//! A conversation with one registry: how it is spoken to, who the user is there, and where it may send us.
//!
//! Credentials are for the registry's own origin alone: no answer can make them go elsewhere, except to a token server of
//! the registry's own domain. Redirects are followed for what is fetched, a bounded number of times, each judged anew.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hakone_base::Secret;
use hakone_registry_model::{
    Bearer, Challenge, Credentials, Endpoint, Errand, Guard, Scheme, Security, Token, TokenRequest,
    Url,
};
use hyper::{
    Method, StatusCode,
    header::{LOCATION, WWW_AUTHENTICATE},
};
use tokio::sync::Mutex;

use crate::{
    Client, Error,
    client::Shared,
    exchange::{Request, Response, Stream, Terms},
};

/// Bytes of a token server's answer.
const TOKEN: u64 = 1 << 20;
/// Redirects in a row.
const REDIRECTS: usize = 5;
/// A token is changed for a new one so long before its end.
const MARGIN: Duration = Duration::from_secs(10);

/// What the conversation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading a repository.
    Pull,
    /// Writing to it too.
    Push,
}

/// A conversation; it may be shared by many requests at once.
#[derive(Debug)]
pub struct Session {
    pub(crate) shared: Arc<Shared>,
    security: Security,
    base: Url,
    guard: Guard,
    credentials: Credentials,
    scopes: Vec<String>,
    proof: Mutex<Proof>,
}

/// How we prove who we are.
#[derive(Debug)]
enum Proof {
    /// Nobody asked.
    None,
    /// By name and password.
    Basic,
    /// By tokens from a server, perhaps with one in hand.
    Bearer(Bearer, Option<Held>),
}

#[derive(Clone, Debug)]
struct Held {
    authorization: Secret<String>,
    until: Instant,
}

impl Client {
    /// Begins a conversation about repositories: finds out how the registry is spoken to and what it asks for.
    ///
    /// # Errors
    /// When no registry answers.
    pub async fn open(
        &self,
        endpoint: &Endpoint,
        credentials: Credentials,
        scopes: &[(&str, Access)],
    ) -> Result<Session, Error> {
        let credentials = match endpoint.mirror {
            true => Credentials::None,
            false => credentials,
        };
        let response = self.reach(endpoint, "/v2/").await?;
        let base = response.url.with_path("/v2/")?;
        let guard = Guard {
            registry: base.clone(),
            at: response.at,
            allowed: self.0.settings.allowed.clone(),
        };
        let proof = proof(&response);
        let scope = |(repository, access): &(&str, Access)| match access {
            Access::Pull => format!("repository:{repository}:pull"),
            Access::Push => format!("repository:{repository}:pull,push"),
        };
        match response.status.as_u16() {
            200..=299 | 401 => Ok(Session {
                shared: Arc::clone(&self.0),
                security: endpoint.security,
                base,
                guard,
                credentials,
                scopes: scopes.iter().map(scope).collect(),
                proof: Mutex::new(proof),
            }),
            404 => Err(Error::NoRegistry(base.authority())),
            _ => Err(response.refused().await),
        }
    }

    /// Asks for a path without saying who we are, over TLS and, where that need not be, in the clear.
    pub(crate) async fn reach(&self, endpoint: &Endpoint, path: &str) -> Result<Response, Error> {
        let schemes: &[Scheme] = match (endpoint.security, endpoint.url.scheme()) {
            (_, Scheme::Http) => &[Scheme::Http],
            (Security::Verified, Scheme::Https) => &[Scheme::Https],
            (Security::Insecure, Scheme::Https) => &[Scheme::Https, Scheme::Http],
        };
        let terms = Terms {
            security: endpoint.security,
            errand: Errand::Named,
            guard: None,
            authorization: None,
        };
        let mut failure = None;
        for scheme in schemes {
            let url = endpoint.url.with_scheme(*scheme).with_path(path)?;
            match self.0.exchange(&Request::get(url), None, terms).await {
                Ok(response) => return Ok(response),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| Error::NoRegistry(endpoint.url.authority())))
    }
}

/// Chooses among what the registry offers.
fn proof(response: &Response) -> Proof {
    let headers = response.headers.get_all(WWW_AUTHENTICATE).iter();
    let texts = headers.filter_map(|value| value.to_str().ok());
    let offered: Vec<Challenge> = texts.flat_map(Challenge::parse).collect();
    let bearer = offered.iter().find_map(|challenge| match challenge {
        Challenge::Bearer(bearer) => Some(bearer.clone()),
        Challenge::Basic => None,
    });
    match (bearer, offered.contains(&Challenge::Basic)) {
        (Some(bearer), _) => Proof::Bearer(bearer, None),
        (None, true) => Proof::Basic,
        (None, false) => Proof::None,
    }
}

impl Session {
    /// Gives the registry's own address.
    #[must_use]
    pub const fn base(&self) -> &Url {
        &self.base
    }

    /// Checks the user's credentials; gives what a token server wants to see instead of the password from now on.
    ///
    /// # Errors
    /// When they are refused.
    pub async fn login(&self) -> Result<Option<Secret<String>>, Error> {
        let bearer = match &*self.proof.lock().await {
            Proof::Bearer(bearer, _) => Some(bearer.clone()),
            Proof::None | Proof::Basic => None,
        };
        let token = match bearer {
            Some(bearer) => Some(self.fetch(&bearer, &[], true).await?),
            None => None,
        };
        let request = Request::get(self.base.clone());
        let response = match &token {
            Some(token) => self.attempt(&request, None, Some(bearer_of(token))).await?,
            None => self.send(request).await?,
        };
        response.success().await?;
        Ok(token.and_then(|token| token.refresh))
    }

    /// Gives the address of a path under `/v2/`.
    pub(crate) fn at(&self, path: &str) -> Result<Url, Error> {
        Ok(self.base.with_path(&format!("/v2/{path}"))?)
    }

    /// Sends a request that may be repeated; follows redirects of what is fetched.
    pub(crate) async fn send(&self, request: Request) -> Result<Response, Error> {
        let follows = matches!(request.method, Method::GET | Method::HEAD);
        let mut request = request;
        for _ in 0..=REDIRECTS {
            let response = self.authorized(&request).await?;
            let next = response
                .headers
                .get(LOCATION)
                .filter(|_| follows && response.status.is_redirection());
            let Some(next) = next else {
                return Ok(response);
            };
            let next = next.to_str().unwrap_or_default();
            request.url = response.url.join(next)?;
        }
        Err(Error::Redirects(self.base.authority()))
    }

    /// Sends a body that can be sent once.
    pub(crate) async fn stream(
        &self,
        request: &Request,
        stream: Stream,
    ) -> Result<Response, Error> {
        let authorization = self.authorization(&request.url).await?;
        self.attempt(request, Some(stream), authorization).await
    }

    /// Sends once, and once more with a new token when the first was refused.
    async fn authorized(&self, request: &Request) -> Result<Response, Error> {
        let authorization = self.authorization(&request.url).await?;
        let shown = authorization.is_some();
        let response = self.attempt(request, None, authorization).await?;
        let ours = request.url.same_origin(&self.base);
        if response.status != StatusCode::UNAUTHORIZED || !ours {
            return Ok(response);
        }
        let renewed = self.renew(proof(&response)).await;
        match renewed || !shown {
            true => {
                let authorization = self.authorization(&request.url).await?;
                match authorization.is_some() {
                    true => self.attempt(request, None, authorization).await,
                    false => Ok(response),
                }
            }
            false => Ok(response),
        }
    }

    async fn attempt(
        &self,
        request: &Request,
        stream: Option<Stream>,
        authorization: Option<Secret<String>>,
    ) -> Result<Response, Error> {
        let terms = Terms {
            security: self.security_of(&request.url),
            errand: Errand::Redirect,
            guard: Some(&self.guard),
            authorization: authorization.as_ref(),
        };
        self.shared.exchange(request, stream, terms).await
    }

    /// Only the registry itself was declared insecure, not those that it names.
    fn security_of(&self, target: &Url) -> Security {
        match target.host() == self.base.host() {
            true => self.security,
            false => Security::Verified,
        }
    }

    /// Takes a new challenge; reports whether another try makes sense.
    async fn renew(&self, challenge: Proof) -> bool {
        let mut proof = self.proof.lock().await;
        match (&mut *proof, challenge) {
            (Proof::Bearer(_, held), Proof::Bearer(bearer, _)) => {
                let had = held.is_some();
                *proof = Proof::Bearer(bearer, None);
                had
            }
            (Proof::None, challenge @ (Proof::Basic | Proof::Bearer(..))) => {
                *proof = challenge;
                true
            }
            _ => false,
        }
    }

    /// Gives what is shown to a host: nothing to anybody but the registry.
    async fn authorization(&self, target: &Url) -> Result<Option<Secret<String>>, Error> {
        if !target.same_origin(&self.base) {
            return Ok(None);
        }
        if let Credentials::Token(token) = &self.credentials {
            return Ok(Some(Secret::new(format!("Bearer {}", token.expose()))));
        }
        // Held while a token is fetched: many requests begin at once, one token serves them all.
        let mut proof = self.proof.lock().await;
        let bearer = match &*proof {
            Proof::None => return Ok(None),
            Proof::Basic => {
                return self
                    .credentials
                    .basic()
                    .map(Some)
                    .ok_or(Error::NoCredentials);
            }
            Proof::Bearer(_, Some(held)) if Instant::now() < held.until => {
                return Ok(Some(held.authorization.clone()));
            }
            Proof::Bearer(bearer, _) => bearer.clone(),
        };
        let token = self.fetch(&bearer, &self.scopes, false).await?;
        let life = Duration::from_secs(token.lives);
        let held = Held {
            authorization: bearer_of(&token),
            until: Instant::now() + life.saturating_sub(MARGIN),
        };
        *proof = Proof::Bearer(bearer, Some(held.clone()));
        Ok(Some(held.authorization))
    }

    /// Asks the token server that the registry named.
    async fn fetch(&self, bearer: &Bearer, scopes: &[String], login: bool) -> Result<Token, Error> {
        let asked: Vec<String> = match (scopes.is_empty(), &bearer.scope) {
            (true, Some(scope)) if !login => vec![scope.clone()],
            _ => scopes.to_vec(),
        };
        let question = TokenRequest::new(bearer, &self.base, &self.credentials, (&asked, login))?;
        if question.carries_credentials() {
            self.guard.may_have_credentials(&question.url)?;
        }
        let mut request = Request::get(question.url.clone());
        if let Some(form) = &question.form {
            request.method = Method::POST;
            let form = Bytes::from(form.expose().clone());
            request = request.content("application/x-www-form-urlencoded", form);
        }
        let basic = self.credentials.basic().filter(|_| question.with_password);
        let terms = Terms {
            security: self.security_of(&question.url),
            errand: Errand::Token,
            guard: Some(&self.guard),
            authorization: basic.as_ref(),
        };
        let response = self.shared.exchange(&request, None, terms).await?;
        let body = response.success().await?.collect("token", TOKEN).await?;
        Ok(Token::parse(&body)?)
    }
}

fn bearer_of(token: &Token) -> Secret<String> {
    Secret::new(format!("Bearer {}", token.token.expose()))
}
