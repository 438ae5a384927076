//! Decides where an answer of a registry may send the client (attacks `reg_redirect_ssrf`, `reg_redirect_metadata`,
//! `reg_realm_ssrf`).
//!
//! The user names the registry, so it may be anywhere. What the registry names must be public, unless the registry itself
//! stands in the same place, or the administrator named the target. The check is made for the very address that is then
//! connected to: a name that resolves twice to two addresses gains nothing.

use std::net::IpAddr;

use crate::{Place, Rule, Scheme, Url};

/// Why somebody is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// The user named it.
    Named,
    /// The registry sent us there.
    Redirect,
    /// The registry says that it gives tokens.
    Token,
}

/// A registry and what it may name.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Where the user sent us.
    pub registry: Url,
    /// The address that the registry was reached at; none behind a proxy.
    pub at: Option<IpAddr>,
    /// What the administrator allows.
    pub allowed: Vec<Rule>,
}

/// Why a target is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It lies where the registry has no business.
    #[error("refusing to follow {registry} to {target}: {address} is {} (allow it with --registry-allow)", words(*.place))]
    Place {
        /// Who sent us.
        registry: String,
        /// Where.
        target: String,
        /// Its address.
        address: IpAddr,
        /// What is wrong with that.
        place: Place,
    },
    /// What came over TLS would go on in the clear.
    #[error("refusing to follow {registry} from https to {target} in the clear")]
    Downgrade {
        /// Who sent us.
        registry: String,
        /// Where.
        target: String,
    },
    /// A password would go to a stranger.
    #[error(
        "refusing to send credentials for {registry} to {target}: it is of another domain (allow it with --registry-allow)"
    )]
    Stranger {
        /// Whose credentials.
        registry: String,
        /// Who asked for them.
        target: String,
    },
}

const fn words(place: Place) -> &'static str {
    match place {
        Place::Public => "a public address",
        Place::Private => "a private address",
        Place::Loopback => "a loopback address of this host",
        Place::LinkLocal => "a link-local address",
        Place::Nowhere => "no address of a host",
    }
}

impl Guard {
    /// Decides by the address alone what TLS and names cannot tell; before any connection.
    ///
    /// # Errors
    /// When the way leads from TLS into the clear.
    pub fn may_follow(&self, target: &Url, errand: Errand) -> Result<(), Denied> {
        let plain = self.registry.scheme() == Scheme::Https && target.scheme() == Scheme::Http;
        match errand {
            Errand::Redirect | Errand::Token if plain && !self.is_allowed(target, None) => {
                Err(Denied::Downgrade {
                    registry: self.registry.authority(),
                    target: target.authority(),
                })
            }
            Errand::Named | Errand::Redirect | Errand::Token => Ok(()),
        }
    }

    /// Decides about the address that is about to be connected to.
    ///
    /// # Errors
    /// When it lies where the registry may not send us.
    pub fn may_connect(&self, target: &Url, address: IpAddr, errand: Errand) -> Result<(), Denied> {
        let place = Place::of(address);
        let home = self.at.map(Place::of);
        let reachable = match (errand, place) {
            (Errand::Named, _) | (_, Place::Public) => true,
            // A neighbour in the private network that the registry is in too.
            (_, Place::Private) => home == Some(Place::Private),
            // A registry on this host has its token server here, under its own name.
            (Errand::Token, Place::Loopback) => {
                home == Some(place) && target.host() == self.registry.host()
            }
            (_, Place::Loopback | Place::LinkLocal | Place::Nowhere) => false,
        };
        let same = target.same_origin(&self.registry) && self.at.is_none_or(|at| at == address);
        match reachable || same || self.is_allowed(target, Some(address)) {
            true => Ok(()),
            false => Err(Denied::Place {
                registry: self.registry.authority(),
                target: target.authority(),
                address,
                place,
            }),
        }
    }

    /// Decides whether a token server gets the user's password or refresh token.
    ///
    /// # Errors
    /// When it is not of the registry's own domain.
    pub fn may_have_credentials(&self, realm: &Url) -> Result<(), Denied> {
        let own = own_domain(self.registry.host(), realm.host());
        match own || self.is_allowed(realm, None) {
            true => Ok(()),
            false => Err(Denied::Stranger {
                registry: self.registry.authority(),
                target: realm.authority(),
            }),
        }
    }

    fn is_allowed(&self, target: &Url, address: Option<IpAddr>) -> bool {
        self.allowed.iter().any(|rule| rule.fits(target, address))
    }
}

/// Reports whether two hosts are the same, one below the other, or both below one domain of their own.
fn own_domain(registry: &str, realm: &str) -> bool {
    let below = |host: &str, domain: &str| {
        host == domain
            || host
                .strip_suffix(domain)
                .is_some_and(|rest| rest.ends_with('.'))
    };
    let address = |host: &str| host.parse::<IpAddr>().is_ok();
    if registry == realm {
        return true;
    }
    if address(registry) || address(realm) {
        return false;
    }
    let parent = registry.split_once('.').map_or("", |(_, parent)| parent);
    is_registrable(registry) && below(realm, registry)
        || is_registrable(parent) && below(realm, parent)
}

/// Reports whether a domain belongs to somebody, as far as its shape tells: `docker.io` does, `io` and `co.uk` do not.
fn is_registrable(domain: &str) -> bool {
    const SECOND: [&str; 12] = [
        "ac", "co", "com", "edu", "gob", "gov", "gv", "net", "ne", "or", "org", "go",
    ];
    match domain.split('.').collect::<Vec<_>>().as_slice() {
        [] | [_] => false,
        [second, country] => !(country.len() == 2 && SECOND.contains(second)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(registry: &str, at: &str) -> Guard {
        Guard {
            registry: registry.parse().unwrap(),
            at: at.parse().ok(),
            allowed: Vec::new(),
        }
    }

    fn connects(guard: &Guard, target: &str, address: &str, errand: Errand) -> bool {
        let target = target.parse().unwrap();
        guard
            .may_connect(&target, address.parse().unwrap(), errand)
            .is_ok()
    }

    #[test]
    fn a_public_registry_leads_to_public_addresses_only() {
        let guard = guard("https://registry.example/", "34.1.2.3");
        assert!(connects(
            &guard,
            "https://cdn.example/b",
            "34.9.9.9",
            Errand::Redirect
        ));
        for inside in [
            "127.0.0.1",
            "::1",
            "169.254.169.254",
            "10.0.0.1",
            "fd99::1",
            "0.0.0.0",
            "::ffff:10.0.0.1",
        ] {
            for errand in [Errand::Redirect, Errand::Token] {
                assert!(
                    !connects(&guard, "https://cdn.example/b", inside, errand),
                    "{inside}"
                );
            }
        }
    }

    #[test]
    fn a_private_registry_leads_to_its_own_kind_and_never_to_the_host() {
        let guard = guard("https://10.0.0.5:5000/", "10.0.0.5");
        assert!(connects(
            &guard,
            "https://10.0.0.6/b",
            "10.0.0.6",
            Errand::Redirect
        ));
        assert!(!connects(
            &guard,
            "https://127.0.0.1/",
            "127.0.0.1",
            Errand::Redirect
        ));
        assert!(!connects(
            &guard,
            "https://169.254.169.254/",
            "169.254.169.254",
            Errand::Token
        ));
    }

    #[test]
    fn a_registry_on_this_host_reaches_itself_and_its_token_server_and_no_other_service() {
        let guard = guard("http://127.0.0.1:5000/", "127.0.0.1");
        assert!(connects(
            &guard,
            "http://127.0.0.1:5000/b",
            "127.0.0.1",
            Errand::Redirect
        ));
        assert!(connects(
            &guard,
            "http://127.0.0.1:5001/token",
            "127.0.0.1",
            Errand::Token
        ));
        assert!(!connects(
            &guard,
            "http://127.0.0.1:6379/",
            "127.0.0.1",
            Errand::Redirect
        ));
        assert!(!connects(
            &guard,
            "http://10.0.0.1/",
            "10.0.0.1",
            Errand::Redirect
        ));
    }

    #[test]
    fn a_name_that_now_resolves_elsewhere_is_not_the_registry_any_more() {
        let guard = guard("https://registry.example/", "34.1.2.3");
        assert!(!connects(
            &guard,
            "https://registry.example/b",
            "127.0.0.1",
            Errand::Redirect
        ));
    }

    #[test]
    fn what_the_administrator_names_may_be_reached() {
        let mut guard = guard("https://registry.example/", "34.1.2.3");
        guard.allowed = vec![
            "10.1.0.0/16".parse().unwrap(),
            "store.lan:9000".parse().unwrap(),
        ];
        assert!(connects(
            &guard,
            "https://a.example/",
            "10.1.2.3",
            Errand::Redirect
        ));
        assert!(connects(
            &guard,
            "https://store.lan:9000/",
            "10.7.0.1",
            Errand::Redirect
        ));
        assert!(!connects(
            &guard,
            "https://store.lan:9001/",
            "10.7.0.1",
            Errand::Redirect
        ));
    }

    #[test]
    fn tls_is_never_left_for_the_clear() {
        let guard = guard("https://registry.example/", "34.1.2.3");
        let plain = "http://registry.example/b".parse().unwrap();
        assert!(guard.may_follow(&plain, Errand::Redirect).is_err());
        assert!(guard.may_follow(&plain, Errand::Token).is_err());
    }

    #[test]
    fn a_password_goes_to_the_registrys_own_domain_only() {
        let asks = |registry: &str, realm: &str| {
            let guard = guard(&format!("https://{registry}/"), "34.1.2.3");
            guard
                .may_have_credentials(&format!("https://{realm}/token").parse().unwrap())
                .is_ok()
        };
        assert!(asks("registry-1.docker.io", "auth.docker.io"));
        assert!(asks("registry.gitlab.com", "gitlab.com"));
        assert!(asks("ghcr.io", "ghcr.io:8443"));
        assert!(asks("quay.io", "auth.quay.io"));
        assert!(!asks("registry.example", "evil.test"));
        assert!(!asks("docker.io", "evil-docker.io"));
        assert!(!asks("ghcr.io", "quay.io"));
        assert!(!asks("shop.co.uk", "evil.co.uk"));
        assert!(!asks("10.0.0.5", "10.0.0.6"));
    }
}
