//! The client: what all conversations with registries share.

use std::{path::PathBuf, sync::Arc, time::Duration};

use hakone_registry_model::{Endpoint, Security, Settings, Url};

use crate::{Error, trust::Trust};

/// How the client is set up.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What the administrator says of registries.
    pub settings: Settings,
    /// Folders with certificates, `HOST[:PORT]/*.crt`, the first that has the host counts.
    pub certificates: Vec<PathBuf>,
    /// How long to wait.
    pub patience: Patience,
    /// What we call ourselves.
    pub agent: String,
}

/// How long a registry may take; each bound is beyond what an honest one needs.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the head of an answer.
    pub head: Duration,
    /// For the head of an answer to a whole upload, which the registry may have to move.
    pub commit: Duration,
    /// Waiting within a body, after which `least` bytes must have come.
    pub window: Duration,
    /// Bytes that must come in a window.
    pub least: u64,
    /// Between two attempts; grows with each.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            head: Duration::from_secs(60),
            commit: Duration::from_secs(600),
            window: Duration::from_secs(30),
            least: 16 * 1024,
            pause: Duration::from_millis(500),
        }
    }
}

/// Speaks to registries; clones share everything.
#[derive(Clone, Debug)]
pub struct Client(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) patience: Patience,
    pub(crate) trust: Trust,
    pub(crate) agent: String,
}

impl Client {
    /// Makes a client; connects to nobody.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self(Arc::new(Shared {
            settings: options.settings,
            patience: options.patience,
            trust: Trust::new(options.certificates),
            agent: options.agent,
        }))
    }

    /// Gives the settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Gives the hosts to ask for a registry, best first.
    ///
    /// # Errors
    /// When the domain is no host.
    pub async fn endpoints(&self, domain: &str) -> Result<Vec<Endpoint>, Error> {
        let mut endpoints = self.0.settings.endpoints(domain)?;
        for endpoint in &mut endpoints {
            endpoint.security = self.security(endpoint).await;
        }
        Ok(endpoints)
    }

    /// Gives the host where a registry takes images.
    ///
    /// # Errors
    /// When the domain is no host.
    pub async fn origin(&self, domain: &str) -> Result<Endpoint, Error> {
        let mut endpoint = self.0.settings.origin(domain)?;
        endpoint.security = self.security(&endpoint).await;
        Ok(endpoint)
    }

    /// A name may be insecure by its address, as in Docker: `--insecure-registry 10.0.0.0/8`.
    async fn security(&self, endpoint: &Endpoint) -> Security {
        let nets = || self.0.settings.insecure.iter();
        let by_net = nets().any(|rule| matches!(rule, hakone_registry_model::Rule::Net(_)));
        if endpoint.security == Security::Insecure || !by_net {
            return endpoint.security;
        }
        let found = crate::name::lookup(endpoint.url.host())
            .await
            .unwrap_or_default();
        let listed = |url: &Url| {
            found
                .iter()
                .any(|address| nets().any(|rule| rule.fits(url, Some(*address))))
        };
        match listed(&endpoint.url) {
            true => Security::Insecure,
            false => Security::Verified,
        }
    }
}
