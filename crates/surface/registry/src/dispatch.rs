//! One request: who asks, what for, may they, and the answer.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use hakone_registry_service::{
    Caller, Error, Key, Pace, Registry,
    api::{Call, Code, Method, Refusal, RepositoryName, Right, Rights, Scope, Subject, Verb},
    auth::{Authority, Identity, Mode, Stranger},
};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{
        AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderMap, RETRY_AFTER, TRANSFER_ENCODING, USER_AGENT,
        WWW_AUTHENTICATE,
    },
};
use serde_json::json;
use tracing::info;

use crate::{
    blobs, lists, manifests,
    reply::{self, Body, Reply},
    tokens, uploads,
};

/// Characters of what a client calls itself.
const AGENT: usize = 200;

/// All that answering needs.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) registry: Registry,
    pub(crate) authority: Authority,
    /// How clients reach us, when that is not what they say themselves.
    pub(crate) url: Option<String>,
    pub(crate) service: String,
    pub(crate) pace: Option<Pace>,
    /// Wrong passwords of one address.
    pub(crate) failures: Pace,
    /// How long a client may bring or take nothing.
    pub(crate) window: Duration,
}

/// A request, understood as far as all kinds of them have it in common.
pub(crate) struct Asked {
    pub(crate) caller: Caller,
    pub(crate) identity: Identity,
    pub(crate) headers: HeaderMap,
    pub(crate) namespace: Option<String>,
    pub(crate) body: Incoming,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Over TLS.
    pub(crate) secure: bool,
}

/// Answers, and logs that.
pub(crate) async fn answer(
    server: Arc<Server>,
    request: Request<Incoming>,
    peer: Peer,
) -> Response<Body> {
    let began = Instant::now();
    let head = request.method() == hyper::Method::HEAD;
    let (method, path) = (request.method().clone(), request.uri().to_string());
    let agent = text(request.headers(), &USER_AGENT);
    let (user, answered) = route(&server, request, peer).await;
    let mut response = answered.unwrap_or_else(reply::failed);
    response = reply::header(response, "docker-distribution-api-version", "registry/2.0");
    response = reply::header(response, "x-content-type-options", "nosniff");
    info!(
        target: "registry.access",
        peer = %peer.address,
        user,
        method = %method,
        path,
        status = response.status().as_u16(),
        bytes = text(response.headers(), &CONTENT_LENGTH),
        milliseconds = began.elapsed().as_millis(),
        agent,
        "request"
    );
    if head {
        *response.body_mut() = reply::empty(StatusCode::OK).into_body();
    }
    response
}

async fn route(server: &Arc<Server>, request: Request<Incoming>, peer: Peer) -> (String, Reply) {
    let nobody = || Subject::Anonymous.to_string();
    let headers = request.headers();
    // Two lengths of one body: whoever stands between us may have read the other one.
    if headers.contains_key(CONTENT_LENGTH) && headers.contains_key(TRANSFER_ENCODING) {
        let refusal =
            Refusal::new(Code::SizeInvalid).because("both Content-Length and Transfer-Encoding");
        return (
            nobody(),
            Ok(reply::header(
                reply::refused(&refusal),
                "connection",
                "close",
            )),
        );
    }
    let call = match understand(&request) {
        Ok(call) => call,
        Err(refusal) => return (nobody(), Err(refusal.into())),
    };
    if call == Call::Token {
        return (nobody(), tokens::token(server, request, peer).await);
    }
    let shown = headers
        .get(AUTHORIZATION)
        .map(|value| value.to_str().unwrap_or_default().to_owned());
    let identity = match server.identify(shown.as_deref(), peer).await {
        Ok(identity) => identity,
        Err(response) => return (nobody(), Ok(*response)),
    };
    let user = identity.subject.to_string();
    if let Err(wait) = server.keeps_pace(&identity.subject, peer.address) {
        return (user, Ok(slow_down(wait)));
    }
    let asked = Asked::new(identity, request, peer);
    (user, server.clone().serve(call, asked, peer).await)
}

fn understand(request: &Request<Incoming>) -> Result<Call, Refusal> {
    let method = match *request.method() {
        hyper::Method::GET | hyper::Method::HEAD => Method::Get,
        hyper::Method::POST => Method::Post,
        hyper::Method::PATCH => Method::Patch,
        hyper::Method::PUT => Method::Put,
        hyper::Method::DELETE => Method::Delete,
        _ => return Err(Code::Unsupported.into()),
    };
    Call::parse(
        method,
        request.uri().path(),
        request.uri().query().unwrap_or_default(),
    )
}

/// Answers that the client comes too often.
pub(crate) fn slow_down(wait: Duration) -> Response<Body> {
    let seconds = wait.as_secs_f64().ceil().max(1.0);
    reply::header(
        reply::refused(&Code::TooManyRequests.into()),
        RETRY_AFTER,
        &format!("{seconds:.0}"),
    )
}

pub(crate) fn text(headers: &HeaderMap, name: &hyper::header::HeaderName) -> String {
    let text = headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    text.chars().take(AGENT).collect()
}

impl Asked {
    fn new(identity: Identity, request: Request<Incoming>, peer: Peer) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let namespace = Call::namespace(query);
        let method = request.method().to_string();
        let (parts, body) = request.into_parts();
        let caller = Caller {
            subject: identity.subject.clone(),
            peer: peer.address.to_string(),
            agent: text(&parts.headers, &USER_AGENT),
            host: text(&parts.headers, &HOST),
            method,
        };
        Self {
            caller,
            identity,
            headers: parts.headers,
            namespace,
            body,
        }
    }

    pub(crate) fn header(&self, name: &hyper::header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// An attempt to show who one is.
#[must_use]
pub(crate) struct Attempt<'a> {
    failures: &'a Pace,
    key: Option<Key>,
}

impl Attempt<'_> {
    pub(crate) fn succeeded(self) {
        if let Some(key) = &self.key {
            self.failures.give_back(key);
        }
    }
}

impl Server {
    /// Finds out who asks; whoever has shown too much that was wrong has to wait, and is not heard until then.
    async fn identify(
        &self,
        shown: Option<&str>,
        peer: Peer,
    ) -> Result<Identity, Box<Response<Body>>> {
        let attempt = self.attempt(shown.is_some(), peer);
        let attempt = attempt.map_err(|wait| Box::new(slow_down(wait)))?;
        match self.authority.identify(shown).await {
            Ok(identity) => {
                attempt.succeeded();
                Ok(identity)
            }
            Err(stranger) => Err(Box::new(self.stranger(stranger, peer))),
        }
    }

    /// Counts an attempt to show who one is as a wrong one, until it has succeeded: many at once are no way around the limit.
    pub(crate) fn attempt(&self, shown: bool, peer: Peer) -> Result<Attempt<'_>, Duration> {
        let key = shown.then(|| Key::address(peer.address));
        if let Some(key) = &key {
            self.failures.take(key.clone(), Instant::now())?;
        }
        Ok(Attempt {
            failures: &self.failures,
            key,
        })
    }

    fn stranger(&self, stranger: Stranger, peer: Peer) -> Response<Body> {
        let refusal = Refusal::new(Code::Unauthorized).because(stranger.to_string());
        self.challenge(&refusal, None, (peer, "localhost"))
    }

    fn keeps_pace(&self, subject: &Subject, address: IpAddr) -> Result<(), Duration> {
        let Some(pace) = &self.pace else {
            return Ok(());
        };
        let key = match subject {
            Subject::User(name) => Key::User(name.clone()),
            Subject::Anonymous => Key::address(address),
        };
        pace.take(key, Instant::now())
    }

    /// Asks for a password or a token.
    fn challenge(
        &self,
        refusal: &Refusal,
        scope: Option<&Scope>,
        (peer, host): (Peer, &str),
    ) -> Response<Body> {
        let asked = match &self.authority.mode {
            Mode::Open => return reply::refused(refusal),
            Mode::Basic => format!("Basic realm=\"{}\"", self.service),
            Mode::Token(_) => {
                let scheme = if peer.secure { "https" } else { "http" };
                let plain = |c: char| {
                    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']' | '_')
                };
                let host = if host.chars().all(plain) {
                    host
                } else {
                    "localhost"
                };
                let base = self
                    .url
                    .clone()
                    .unwrap_or_else(|| format!("{scheme}://{host}"));
                let scope = scope
                    .map(|scope| format!(",scope=\"{scope}\""))
                    .unwrap_or_default();
                format!(
                    "Bearer realm=\"{base}/token\",service=\"{}\"{scope}",
                    self.service
                )
            }
        };
        reply::header(reply::refused(refusal), WWW_AUTHENTICATE, &asked)
    }

    /// Judges whether the caller may, and says how they could if not.
    fn admit(
        &self,
        asked: &Asked,
        (name, right): (&RepositoryName, Right),
        peer: Peer,
    ) -> Result<(), Box<Response<Body>>> {
        if self.authority.rights(&asked.identity, name).has(right) {
            return Ok(());
        }
        let detail =
            json!([{"Type": "repository", "Name": name.as_str(), "Action": right.as_str()}]);
        let given = self.authority.rules.rights(&asked.identity.subject, name);
        // A name without the right is refused; nobody, or a token for too little, may come again with more.
        if asked.identity.subject != Subject::Anonymous && !given.has(right) {
            return Err(Box::new(reply::refused(
                &Refusal::new(Code::Denied).about(detail),
            )));
        }
        let wanted: Rights = [Right::Pull, right].into_iter().collect();
        let scope = Scope {
            repository: name.clone(),
            rights: wanted,
        };
        let refusal = Refusal::new(match self.authority.mode {
            Mode::Open => Code::Denied,
            Mode::Basic | Mode::Token(_) => Code::Unauthorized,
        });
        let from = (peer, asked.caller.host.as_str());
        Err(Box::new(self.challenge(
            &refusal.about(detail),
            Some(&scope),
            from,
        )))
    }

    async fn serve(self: Arc<Self>, call: Call, asked: Asked, peer: Peer) -> Reply {
        if let Some((name, right)) = call.needs() {
            let held = match self.registry.is_cache() {
                true if right != Right::Pull => return Err(Code::Unsupported.into()),
                true => &self
                    .registry
                    .cached_name(name, asked.namespace.as_deref())?,
                false => name,
            };
            if let Err(response) = self.admit(&asked, (held, right), peer) {
                return Ok(*response);
            }
        } else if !self.authority.base_is_open(&asked.identity) {
            let from = (peer, asked.caller.host.as_str());
            return Ok(self.challenge(&Code::Unauthorized.into(), None, from));
        }
        self.act(call, asked).await
    }

    async fn act(&self, call: Call, asked: Asked) -> Reply {
        match call {
            Call::Base => Ok(reply::json(&json!({}))),
            Call::Token => Err(Code::NoRoute.into()),
            Call::Catalog(page) => lists::catalog(self, &asked, &page),
            Call::Search(term, page) => lists::search(self, &asked, (&term, &page)),
            Call::Tags(name, page) => lists::tags(self, (&name, &page)),
            Call::Referrers(name, digest, kind, page) => {
                lists::referrers(self, (&name, &digest), (kind.as_deref(), &page)).await
            }
            Call::Manifest(Verb::Get, name, reference) => {
                manifests::get(self, &asked, (&name, &reference)).await
            }
            Call::Manifest(Verb::Put, name, reference) => {
                manifests::put(self, asked, (&name, &reference)).await
            }
            Call::Manifest(Verb::Delete, name, reference) => {
                self.registry
                    .delete_manifest(&asked.caller, &name, &reference)
                    .await?;
                Ok(reply::empty(StatusCode::ACCEPTED))
            }
            Call::Blob(Verb::Get, name, digest) => blobs::get(self, &asked, (&name, &digest)).await,
            Call::Blob(Verb::Delete, name, digest) => {
                self.registry
                    .delete_blob(&asked.caller, &name, &digest)
                    .await?;
                Ok(reply::empty(StatusCode::ACCEPTED))
            }
            Call::Begin(name, start) => uploads::begin(self, asked, (&name, start)).await,
            Call::Upload(Verb::Get, name, id) => uploads::tell(self, (&name, &id)),
            Call::Upload(Verb::Delete, name, id) => uploads::cancel(self, (&name, &id)).await,
            Call::Append(name, id) => uploads::append(self, asked, (&name, &id)).await,
            Call::Finish(name, id, digest) => {
                uploads::finish(self, asked, (&name, &id, &digest)).await
            }
            Call::Blob(Verb::Put, ..) | Call::Upload(Verb::Put, ..) => {
                Err(Error::from(Code::Unsupported))
            }
        }
    }
}
