//! Which hosts stand for a registry, and how each may be spoken to: mirrors, insecure registries, what may be named.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;

use crate::{Place, Proxies, Scheme, Url, UrlError};

/// Docker Hub's name in references.
const HUB: &str = "docker.io";
/// Where its registry is.
const HUB_REGISTRY: &str = "registry-1.docker.io";

/// How the administrator wants registries to be spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Asked before Docker Hub, in this order.
    pub mirrors: Vec<Url>,
    /// Spoken to without checking certificates, or in the clear.
    pub insecure: Vec<Rule>,
    /// Where registries may send us although it is not public, and who may have credentials of another domain.
    pub allowed: Vec<Rule>,
    /// Proxies.
    pub proxies: Proxies,
    /// Layers that are fetched at once.
    pub downloads: usize,
    /// Layers that are sent at once.
    pub uploads: usize,
    /// How often in a row without progress a transfer may break off.
    pub attempts: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mirrors: Vec::new(),
            insecure: Vec::new(),
            allowed: Vec::new(),
            proxies: Proxies::default(),
            downloads: 3,
            uploads: 5,
            attempts: 5,
        }
    }
}

/// Hosts that a setting names: `host`, `host:port`, or addresses `10.0.0.0/8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A host, on one port or on all.
    Host(String, Option<u16>),
    /// Addresses.
    Net(IpNet),
}

/// Why a setting names no hosts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither HOST, HOST:PORT nor CIDR")]
pub struct RuleError(String);

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self::Net(net));
        }
        let refuse = |_: UrlError| RuleError(text.to_owned());
        let bare = text
            .trim_start_matches("https://")
            .trim_start_matches("http://");
        let url = Url::new(Scheme::Https, bare.trim_end_matches('/'), "/").map_err(refuse)?;
        let has_port = bare
            .trim_end_matches('/')
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.contains(']'));
        Ok(Self::Host(
            url.host().to_owned(),
            has_port.then(|| url.port()),
        ))
    }
}

impl Rule {
    /// Reports whether a target is meant, by its name or by an address that it has.
    #[must_use]
    pub fn fits(&self, target: &Url, address: Option<IpAddr>) -> bool {
        match self {
            Self::Host(host, port) => {
                host == target.host() && port.is_none_or(|port| port == target.port())
            }
            Self::Net(net) => address
                .or_else(|| target.literal())
                .is_some_and(|address| net.contains(&address)),
        }
    }
}

/// How sure we must be of whom we speak to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS, with a certificate that we trust.
    Verified,
    /// TLS with any certificate; in the clear where there is no TLS.
    Insecure,
}

/// One host that stands for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address, as `https`.
    pub url: Url,
    /// How it is spoken to.
    pub security: Security,
    /// Whether it only stands in for the registry: the user's credentials are not for it.
    pub mirror: bool,
}

impl Settings {
    /// Gives the hosts to ask for a registry, best first.
    ///
    /// # Errors
    /// When the domain is no host.
    pub fn endpoints(&self, domain: &str) -> Result<Vec<Endpoint>, UrlError> {
        let mut found = Vec::new();
        if domain == HUB {
            found.extend(self.mirrors.iter().map(|mirror| self.mirror(mirror)));
        }
        found.push(self.origin(domain)?);
        Ok(found)
    }

    /// Gives the registry itself, where images are pushed to.
    ///
    /// # Errors
    /// When the domain is no host.
    pub fn origin(&self, domain: &str) -> Result<Endpoint, UrlError> {
        let host = if domain == HUB { HUB_REGISTRY } else { domain };
        let url = Url::new(Scheme::Https, host, "/")?;
        let security = self.security(&url);
        Ok(Endpoint {
            url,
            security,
            mirror: false,
        })
    }

    fn mirror(&self, mirror: &Url) -> Endpoint {
        let plain = mirror.scheme() == Scheme::Http;
        let security = match plain {
            true => Security::Insecure,
            false => self.security(mirror),
        };
        Endpoint {
            url: mirror.clone(),
            security,
            mirror: true,
        }
    }

    /// Docker trusts its own host blindly, and what is listed.
    fn security(&self, url: &Url) -> Security {
        let here =
            url.host() == "localhost" || url.literal().map(Place::of) == Some(Place::Loopback);
        match here || self.insecure.iter().any(|rule| rule.fits(url, None)) {
            true => Security::Insecure,
            false => Security::Verified,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            mirrors: vec!["https://mirror.example".parse().unwrap()],
            insecure: vec![
                "old.lan:5000".parse().unwrap(),
                "10.9.0.0/16".parse().unwrap(),
            ],
            ..Settings::default()
        }
    }

    #[test]
    fn mirrors_stand_in_for_the_hub_alone() {
        let hub = settings().endpoints("docker.io").unwrap();
        let hosts: Vec<&str> = hub.iter().map(|one| one.url.host()).collect();
        assert_eq!(hosts, ["mirror.example", "registry-1.docker.io"]);
        assert!(hub[0].mirror && !hub[1].mirror);
        assert_eq!(settings().endpoints("quay.io").unwrap().len(), 1);
    }

    #[test]
    fn only_this_host_and_what_is_listed_is_spoken_to_without_certificates() {
        let security = |domain: &str| settings().origin(domain).unwrap().security;
        for domain in [
            "localhost:5000",
            "127.0.0.1:5000",
            "[::1]:5000",
            "old.lan:5000",
            "10.9.1.2",
        ] {
            assert_eq!(security(domain), Security::Insecure, "{domain}");
        }
        for domain in ["old.lan", "10.8.0.1:5000", "localhost.example", "quay.io"] {
            assert_eq!(security(domain), Security::Verified, "{domain}");
        }
    }

    #[test]
    fn a_rule_is_a_host_a_port_of_it_or_a_net() {
        assert_eq!("h".parse::<Rule>().unwrap(), Rule::Host("h".into(), None));
        assert_eq!(
            "h:443".parse::<Rule>().unwrap(),
            Rule::Host("h".into(), Some(443))
        );
        assert_eq!(
            "[::1]:5".parse::<Rule>().unwrap(),
            Rule::Host("::1".into(), Some(5))
        );
        assert!("a b".parse::<Rule>().is_err());
    }
}
