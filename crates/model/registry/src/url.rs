//! The addresses of registries: `http` and `https`, a host, a port, a path with its query.
//!
//! Narrower than what browsers take: no user in front of the host, no control characters, no fragment. What two parsers
//! could read as two hosts is refused.

use std::{fmt, net::IpAddr, str::FromStr};

/// Longest address taken; stores with signed links come to some 2 KiB.
const LONGEST: usize = 16 * 1024;

/// How a host is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// An absolute address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Url {
    scheme: Scheme,
    host: Box<str>,
    port: u16,
    path: Box<str>,
}

/// Why a text is no address that a registry may name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid registry address {text:?}: {reason}")]
pub struct UrlError {
    text: String,
    reason: &'static str,
}

impl Scheme {
    /// Gives the word before `://`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Url {
    /// Makes an address of a scheme, a `host[:port]` and a path.
    ///
    /// # Errors
    /// When host, port or path cannot be.
    pub fn new(scheme: Scheme, authority: &str, path: &str) -> Result<Self, UrlError> {
        let text = || format!("{}://{authority}{path}", scheme.as_str());
        let refuse = |reason| UrlError {
            text: text().chars().take(200).collect(),
            reason,
        };
        let (host, port) = split_port(authority).ok_or_else(|| refuse("its port is no port"))?;
        if !is_host(host) {
            return Err(refuse("its host is no host"));
        }
        if !path.starts_with('/') || !path.bytes().all(|b| (0x21..=0x7e).contains(&b)) {
            return Err(refuse("its path has characters that no path has"));
        }
        if path.len() > LONGEST {
            return Err(refuse("it is too long"));
        }
        Ok(Self {
            scheme,
            host: host.to_ascii_lowercase().into(),
            port: port.unwrap_or(scheme.port()),
            path: path.into(),
        })
    }

    /// Reads what an answer says relative to this address: an address, or a path on the same host.
    ///
    /// # Errors
    /// When it is neither.
    pub fn join(&self, location: &str) -> Result<Self, UrlError> {
        if location.contains("://") {
            return location.parse();
        }
        let location = location.split('#').next().unwrap_or_default();
        let path = match location.strip_prefix("//") {
            Some(rest) => return format!("{}://{rest}", self.scheme.as_str()).parse(),
            None if location.starts_with('/') => location.to_owned(),
            None => {
                let above = self.path.split('?').next().unwrap_or("/");
                let above = above.rsplit_once('/').map_or("", |(above, _)| above);
                format!("{above}/{location}")
            }
        };
        Self::new(self.scheme, &self.authority(), &path)
    }

    /// Gives another path on the same host.
    ///
    /// # Errors
    /// When it is no path.
    pub fn with_path(&self, path: &str) -> Result<Self, UrlError> {
        Self::new(self.scheme, &self.authority(), path)
    }

    /// Gives the same address with one more parameter in its query.
    #[must_use]
    pub fn with_parameter(&self, key: &str, value: &str) -> Self {
        let sign = if self.path.contains('?') { '&' } else { '?' };
        let pair = form_urlencoded::Serializer::new(String::new())
            .append_pair(key, value)
            .finish();
        Self {
            path: format!("{}{sign}{pair}", self.path).into(),
            ..self.clone()
        }
    }

    /// Gives the same address under another scheme.
    #[must_use]
    pub fn with_scheme(&self, scheme: Scheme) -> Self {
        let standard = self.port == self.scheme.port();
        Self {
            scheme,
            port: if standard { scheme.port() } else { self.port },
            ..self.clone()
        }
    }

    /// Gives the scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Gives the host, an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(&self.host)
    }

    /// Gives the port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Gives path and query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Gives the host's address where the host is one.
    #[must_use]
    pub fn literal(&self) -> Option<IpAddr> {
        self.host().parse().ok()
    }

    /// Gives host and port, the port left out where it is the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.port == self.scheme.port() {
            true => self.host.to_string(),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Reports whether both speak to the same host in the same way.
    #[must_use]
    pub fn same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.host == other.host && self.port == other.port
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason| UrlError {
            text: text.chars().take(200).collect(),
            reason,
        };
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            _ => return Err(refuse("http or https is expected")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        match path.as_bytes().first() {
            None => Self::new(scheme, authority, "/"),
            Some(b'?') => Self::new(scheme, authority, &format!("/{path}")),
            Some(_) => Self::new(scheme, authority, path),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme.as_str();
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

/// Splits `host[:port]`; nothing when the port is none.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            let port = digits.then(|| port.parse().ok()).flatten()?;
            (port != 0).then_some((host, Some(port)))
        }
        _ => Some((authority, None)),
    }
}

fn is_host(host: &str) -> bool {
    if let Some(v6) = host.strip_prefix('[') {
        let v6 = v6.strip_suffix(']').unwrap_or_default();
        return v6.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    // `127.1` and `2130706433` are addresses to the C library and names to us: nobody means them honestly.
    let address = !numeric || host.parse::<std::net::Ipv4Addr>().is_ok();
    host.len() <= 253 && host.split('.').all(label) && address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_printed_is_what_was_parsed() {
        for text in [
            "https://registry-1.docker.io/v2/",
            "http://127.0.0.1:5000/v2/app/manifests/1?x=1",
            "https://[fd99::1]:5000/",
        ] {
            assert_eq!(url(text).to_string(), text);
        }
        assert_eq!(
            url("https://EXAMPLE.com:443?a=1").to_string(),
            "https://example.com/?a=1"
        );
    }

    #[test]
    fn an_answer_may_name_a_path_or_an_address() {
        let base = url("http://h:5000/v2/app/blobs/uploads/1?_state=a");
        for (location, meant) in [
            ("/v2/app/x", "http://h:5000/v2/app/x"),
            ("2?y=1", "http://h:5000/v2/app/blobs/uploads/2?y=1"),
            ("https://cdn.example/b", "https://cdn.example/b"),
            ("//cdn.example/b", "http://cdn.example/b"),
        ] {
            assert_eq!(base.join(location).unwrap().to_string(), meant);
        }
    }

    #[test]
    fn what_could_be_read_as_two_hosts_is_refused() {
        for bad in [
            "file:///etc/passwd",
            "https://registry.example@169.254.169.254/",
            "https://a b/",
            "https://h\\@evil/",
            "https://h:99999/",
            "https://h:0/",
            "https://127.1/",
            "https://2130706433/",
            "https:///x",
            "https://[::1/",
            "https://h/a\r\nHost: x",
        ] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }

    #[test]
    fn parameters_are_escaped() {
        let plain = url("https://h/x").with_parameter("digest", "sha256:0");
        assert_eq!(plain.path(), "/x?digest=sha256%3A0");
        assert_eq!(
            plain.with_parameter("a", "b").path(),
            "/x?digest=sha256%3A0&a=b"
        );
    }
}
