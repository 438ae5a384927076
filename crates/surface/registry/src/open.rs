//! Makes a running registry of its configuration: the store, who may do what, who is told, who stands behind.

use std::{path::PathBuf, sync::Arc, time::Duration};

use hakone_base::Secret;
use hakone_registry::{
    Client, Credentials, Options as ClientOptions, Rule as Host, Settings as ClientSettings,
};
use hakone_registry_service::{
    Endpoint, Gate, Journal, Log, Notices, Options, Pace, Rate, Registry, RepositoryPolicy,
    Upstream,
    api::{Right, Rule, Rules, Untagged, Who},
    auth::{Authority, Mode, Passwords, Signer},
};

use crate::{
    dispatch::Server,
    settings::{Auth, AuthMode, Cache, Listener, Settings, SettingsError},
};

/// Wrong passwords of one address: so many at once, then one in so many seconds. Those that are being checked count as wrong ones.
const FAILURES: Rate = Rate {
    each_second: 0.2,
    burst: 40.0,
};

/// How long what nobody asks a cache for stays when not told.
const CACHE_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Why a registry cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its configuration is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Its store or its secrets cannot be used.
    #[error(transparent)]
    Registry(#[from] hakone_registry_service::Error),
    /// A certificate cannot be used.
    #[error("could not use {0}")]
    Certificate(#[from] hakone_tls::Error),
    /// An address cannot be listened on.
    #[error("could not listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the kernel said.
        source: std::io::Error,
    },
}

/// Where a registry keeps its things.
#[derive(Clone, Debug)]
pub struct Place {
    /// The content.
    pub blobs: PathBuf,
    /// Its own records.
    pub state: PathBuf,
}

/// A registry that can be served.
#[derive(Clone, Debug)]
pub struct Running {
    /// The registry.
    pub registry: Registry,
    pub(crate) server: Arc<Server>,
    pub(crate) settings: Arc<Settings>,
}

/// Opens a registry. Blocks while it reads its records; needs a runtime.
///
/// # Errors
/// When anything of it cannot be used.
pub fn open(
    settings: Settings,
    place: &Place,
    gate: Option<Arc<dyn Gate>>,
) -> Result<Running, Error> {
    settings.check()?;
    let client = client(settings.cache.as_ref());
    let mut journals: Vec<Arc<dyn Journal>> = vec![Arc::new(Log)];
    let listeners = settings
        .listeners
        .iter()
        .map(listener)
        .collect::<Result<Vec<_>, _>>()?;
    journals.push(Arc::new(Notices::start(
        &client,
        listeners,
        &settings.instance,
    )));
    let registry = Registry::open(options(&settings, place), journals, gate)?;
    if let Some(cache) = &settings.cache {
        registry.join_upstream(upstream(cache, client)?);
    }
    let service = settings
        .auth
        .service
        .clone()
        .unwrap_or_else(|| "hakone-registry".to_owned());
    let limits = &settings.limits;
    let pace = (limits.rate > 0.0).then(|| {
        Pace::new(Rate {
            each_second: limits.rate,
            burst: limits.burst.max(1.0),
        })
    });
    let server = Server {
        registry: registry.clone(),
        authority: authority(&settings, place, &service)?,
        url: settings
            .url
            .clone()
            .map(|url| url.trim_end_matches('/').to_owned()),
        service,
        pace,
        failures: Pace::new(FAILURES),
        window: limits.window,
    };
    Ok(Running {
        registry,
        server: Arc::new(server),
        settings: Arc::new(settings),
    })
}

fn options(settings: &Settings, place: &Place) -> Options {
    let policies = settings.repositories.iter().map(|one| RepositoryPolicy {
        pattern: one.pattern.clone(),
        immutable: one.immutable,
        quota: one.quota,
    });
    Options {
        blobs: place.blobs.clone(),
        policies: policies.collect(),
        quota: settings.limits.quota,
        blob_limit: settings.limits.blob,
        uploads: settings.limits.uploads,
        upload_life: settings.collect.uploads,
        grace: settings.collect.grace,
        cache_life: life(settings.cache.as_ref()),
        untagged: if settings.collect.untagged {
            Untagged::Remove
        } else {
            Untagged::Keep
        },
        delete: settings.delete,
        instance: settings.instance.clone(),
        state: place.state.clone(),
    }
}

/// Nothing for ever.
fn life(cache: Option<&Cache>) -> Option<Duration> {
    let life = cache?.life.unwrap_or(CACHE_LIFE);
    (!life.is_zero()).then_some(life)
}

fn authority(settings: &Settings, place: &Place, service: &str) -> Result<Authority, Error> {
    let auth = &settings.auth;
    let passwords = match (&auth.htpasswd, auth.mode) {
        (Some(path), AuthMode::Basic | AuthMode::Token) => Some(Arc::new(Passwords::load(path)?)),
        _ => None,
    };
    let mode = match auth.mode {
        AuthMode::Open => Mode::Open,
        AuthMode::Basic => Mode::Basic,
        AuthMode::Token => Mode::Token(Box::new(signer(auth, place, service)?)),
    };
    Ok(Authority {
        mode,
        passwords,
        rules: rules(settings),
    })
}

fn signer(auth: &Auth, place: &Place, service: &str) -> Result<Signer, Error> {
    let key = auth
        .key
        .clone()
        .unwrap_or_else(|| place.state.join("token-key.pem"));
    let life = auth.token_life.map_or(300, |life| life.as_secs()).max(60);
    std::fs::create_dir_all(&place.state).ok();
    Ok(Signer::load(&key, (service, service), life)?)
}

/// Without rules, whoever may come in may do everything: users where there are some, anybody on the loopback else.
fn rules(settings: &Settings) -> Rules {
    if !settings.rules.is_empty() {
        return Rules::new(settings.rules.clone());
    }
    let who = match settings.auth.mode {
        AuthMode::Open => Who::Anyone,
        AuthMode::Basic | AuthMode::Token => Who::Users,
    };
    Rules::new(vec![Rule {
        who: vec![who],
        repositories: "**".parse().into_iter().collect(),
        rights: vec![Right::Pull, Right::Push, Right::Delete],
    }])
}

fn client(cache: Option<&Cache>) -> Client {
    let insecure = cache
        .filter(|cache| cache.insecure)
        .and_then(|cache| cache.remote.parse::<Host>().ok());
    Client::new(ClientOptions {
        settings: ClientSettings {
            insecure: insecure.into_iter().collect(),
            ..ClientSettings::default()
        },
        certificates: cache
            .and_then(|cache| cache.certificates.clone())
            .into_iter()
            .collect(),
        agent: concat!("hakone-registry/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..ClientOptions::default()
    })
}

fn upstream(cache: &Cache, client: Client) -> Result<Upstream, Error> {
    let credentials = match (&cache.user, &cache.password_file) {
        (Some(user), Some(path)) => {
            let read = std::fs::read_to_string(path).map_err(|source| SettingsError::File {
                path: path.clone(),
                source,
            })?;
            let password = Secret::new(read.trim_end_matches(['\r', '\n']).to_owned());
            Credentials::Password {
                user: user.clone(),
                password,
            }
        }
        (None, None) => Credentials::None,
        _ => {
            let why = "cache.user and cache.password-file belong together".to_owned();
            return Err(SettingsError::Wrong(why).into());
        }
    };
    Ok(Upstream {
        client,
        remote: cache.remote.clone(),
        credentials,
        namespaces: cache.namespaces.clone(),
    })
}

fn listener(settings: &Listener) -> Result<Endpoint, SettingsError> {
    let url = settings.url.parse();
    Ok(Endpoint {
        name: settings.name.clone(),
        url: url.map_err(|error| {
            SettingsError::Wrong(format!("listener {}: {error}", settings.name))
        })?,
        headers: settings.headers.clone().into_iter().collect(),
        timeout: settings.timeout.unwrap_or(Duration::from_secs(5)),
        attempts: settings.attempts.unwrap_or(8),
        backoff: settings.backoff.unwrap_or(Duration::from_secs(1)),
        ignored_actions: settings.ignore_actions.clone(),
        ignored_media_types: settings.ignore_media_types.clone(),
    })
}
