//! Which requests go through a proxy: `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, read as curl and Docker read them.

use std::{fmt, net::IpAddr, str::FromStr};

use hakone_base::Secret;
use ipnet::IpNet;

use crate::{Place, Scheme, Url, UrlError};

/// The proxies of the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For what goes in the clear.
    pub http: Option<Proxy>,
    /// For what goes over TLS.
    pub https: Option<Proxy>,
    /// Who is spoken to directly.
    pub bypass: Vec<Bypass>,
}

/// Someone who is spoken to directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// Everyone.
    All,
    /// Addresses.
    Net(IpNet),
    /// A domain and, unless it started with a dot, the host of that name; perhaps one port of it.
    Domain {
        /// Without the dot.
        name: String,
        /// Whether only hosts below it are meant.
        below: bool,
        /// The one port that is meant.
        port: Option<u16>,
    },
}

/// A proxy that is spoken to in the clear; what is inside of a tunnel has its own TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where it is.
    pub url: Url,
    /// What it wants to know us by: the value of `Proxy-Authorization`.
    pub authorization: Option<Secret<String>>,
}

impl FromStr for Proxy {
    type Err = UrlError;

    /// Reads `[http://][user:password@]host[:port]`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("http://").unwrap_or(text);
        if rest.contains("://") {
            // Another scheme: as a host it is none, and refused as such.
            format!("http://{rest}").parse::<Url>()?;
        }
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        let url: Url = format!("http://{host}").parse()?;
        let coded = |user: &str| {
            let plain: Vec<u8> = percent_encoding::percent_decode_str(user).collect();
            Secret::new(format!("Basic {}", data_encoding::BASE64.encode(&plain)))
        };
        Ok(Self {
            url,
            authorization: user.map(coded),
        })
    }
}

impl Proxy {
    /// Tells where it is; of a name and password, that there is one.
    #[must_use]
    pub fn shown(&self) -> String {
        let user = self.authorization.as_ref().map_or("", |_| "xxxxx:xxxxx@");
        format!("http://{user}{}", self.url.authority())
    }
}

impl fmt::Display for Bypass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Net(net) if net.prefix_len() == net.max_prefix_len() => net.addr().fmt(f),
            Self::Net(net) => net.fmt(f),
            Self::Domain { name, below, port } => {
                let dot = if *below { "." } else { "" };
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                write!(f, "{dot}{name}{port}")
            }
        }
    }
}

impl Bypass {
    /// Reads a list as `NO_PROXY` has it.
    #[must_use]
    pub fn list(text: &str) -> Vec<Self> {
        let words = text
            .split([',', ' '])
            .map(str::trim)
            .filter(|word| !word.is_empty());
        words.map(Self::parse).collect()
    }

    fn parse(word: &str) -> Self {
        if word == "*" {
            return Self::All;
        }
        let address = word.parse::<IpAddr>().map(IpNet::from);
        if let Ok(net) = word.parse::<IpNet>().or(address) {
            return Self::Net(net);
        }
        let (host, port) = match word.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (word, None),
        };
        let host = host.strip_prefix('*').unwrap_or(host).to_ascii_lowercase();
        let name = host.strip_prefix('.').unwrap_or(&host);
        Self::Domain {
            name: name.to_owned(),
            below: name.len() < host.len(),
            port,
        }
    }

    fn fits(&self, target: &Url) -> bool {
        match self {
            Self::All => true,
            Self::Net(net) => target
                .literal()
                .is_some_and(|address| net.contains(&address)),
            Self::Domain { name, below, port } => {
                let host = target.host();
                let inside = host
                    .strip_suffix(name.as_str())
                    .is_some_and(|rest| rest.ends_with('.'));
                port.is_none_or(|port| port == target.port()) && (inside || !below && host == name)
            }
        }
    }
}

impl Proxies {
    /// Finds the proxy for a target; this host is always spoken to directly.
    #[must_use]
    pub fn route(&self, target: &Url) -> Option<&Proxy> {
        let here = target.literal().map(Place::of) == Some(Place::Loopback)
            || target.host() == "localhost";
        if here || self.bypass.iter().any(|bypass| bypass.fits(target)) {
            return None;
        }
        match target.scheme() {
            Scheme::Http => self.http.as_ref(),
            Scheme::Https => self.https.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(none: &str, target: &str) -> bool {
        let proxies = Proxies {
            http: None,
            https: Some("http://proxy:3128".parse().unwrap()),
            bypass: Bypass::list(none),
        };
        proxies.route(&target.parse().unwrap()).is_some()
    }

    #[test]
    fn only_what_goes_over_tls_takes_the_proxy_for_tls() {
        assert!(routed("", "https://registry.example/"));
        assert!(!routed("", "http://registry.example/"));
    }

    #[test]
    fn this_host_is_never_behind_a_proxy() {
        for target in [
            "https://localhost:5000/",
            "https://127.0.0.1:5000/",
            "https://[::1]/",
        ] {
            assert!(!routed("", target), "{target}");
        }
    }

    #[test]
    fn a_proxy_may_want_a_password() {
        let proxy: Proxy = "http://bob:p%40ss@proxy:3128".parse().unwrap();
        assert_eq!(proxy.url.to_string(), "http://proxy:3128/");
        assert_eq!(proxy.authorization.unwrap().expose(), "Basic Ym9iOnBAc3M=");
        assert!("https://proxy:3128".parse::<Proxy>().is_err());
        assert!("ftp://bob:secret@proxy".parse::<Proxy>().is_err());
        assert!(
            "proxy:3128"
                .parse::<Proxy>()
                .unwrap()
                .authorization
                .is_none()
        );
    }

    #[test]
    fn what_is_shown_holds_no_password_and_reads_as_it_was_written() {
        let shown = |text: &str| text.parse::<Proxy>().unwrap().shown();
        assert_eq!(
            shown("http://bob:s3cret@proxy:3128"),
            "http://xxxxx:xxxxx@proxy:3128"
        );
        assert_eq!(shown("proxy:3128"), "http://proxy:3128");
        let list = "*,10.0.0.0/8,10.1.2.3,.corp.test,h:5000,example.com";
        let printed: Vec<String> = Bypass::list(list).iter().map(ToString::to_string).collect();
        assert_eq!(printed.join(","), list);
    }

    #[test]
    fn exceptions_are_names_domains_ports_and_nets() {
        let list = "example.com, .corp.test,10.0.0.0/8,h:5000,*.cdn.test";
        for direct in [
            "example.com",
            "a.example.com",
            "x.corp.test",
            "10.9.9.9",
            "h:5000",
            "a.cdn.test",
        ] {
            assert!(!routed(list, &format!("https://{direct}/")), "{direct}");
        }
        for via in ["corp.test", "badexample.com", "11.0.0.1", "h:5001"] {
            assert!(routed(list, &format!("https://{via}/")), "{via}");
        }
        assert!(!routed("*", "https://any.example/"));
    }
}
