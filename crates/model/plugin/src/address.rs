//! Where a plugin answers: a socket, or what its `.spec` or `.json` file says.
//!
//! A plugin is as powerful as the daemon, so what leaves this host goes behind TLS, to whom the file's authority or the host's vouch
//! for. That nobody is to be vouched for is a word of its own in the file (`InsecureSkipVerify`), never what is left out.

use std::{net::SocketAddr, path::PathBuf};

use serde::Deserialize;

/// The port of `https` where none is named.
const HTTPS: u16 = 443;

/// An address that we speak to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// A port of this host's loopback.
    Loopback(SocketAddr),
    /// A port anywhere, behind TLS.
    Tls(TlsAddress),
}

/// A port behind TLS, and how it shows who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsAddress {
    /// The name or address that its certificate is for.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whose certificates count.
    pub tls: Tls,
}

/// Whom we believe to be the plugin, and who we say that we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The file of its authorities; `None` takes the host's.
    pub authority: Option<PathBuf>,
    /// The files of our certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Anybody is believed: whoever is on the way can be the plugin.
    pub insecure: bool,
}

/// Why an address is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No form that plugins have.
    #[error("{0:?} is no address of a plugin")]
    Form(String),
    /// In the clear to elsewhere.
    #[error(
        "{0:?}: plugins are spoken to in the clear over unix sockets and the loopback only; https, or a TLSConfig, leads elsewhere"
    )]
    Elsewhere(String),
    /// The `.json` file does not parse.
    #[error("invalid plugin file: {0}")]
    Json(String),
    /// A file of its `TLSConfig` could mean any.
    #[error("invalid plugin file: {0:?} is no absolute path")]
    Relative(PathBuf),
    /// A certificate without its key, or the other way round.
    #[error("invalid plugin file: CertFile and KeyFile go together")]
    Half,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct File {
    addr: String,
    #[serde(rename = "TLSConfig")]
    tls: Option<TlsConfig>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct TlsConfig {
    insecure_skip_verify: bool,
    #[serde(rename = "CAFile")]
    authority: PathBuf,
    #[serde(rename = "CertFile")]
    certificate: PathBuf,
    #[serde(rename = "KeyFile")]
    key: PathBuf,
}

impl Address {
    /// Parses a `.spec` file: an address and nothing else.
    ///
    /// # Errors
    /// When it is none, or leads to another machine in the clear.
    pub fn parse_spec(text: &str) -> Result<Self, AddressError> {
        Self::parse(text, None)
    }

    /// Parses a `.json` file. With a `TLSConfig` a port is spoken to behind TLS whatever the scheme.
    ///
    /// # Errors
    /// When it does not parse, or its address is refused.
    pub fn parse_json(text: &str) -> Result<Self, AddressError> {
        let file: File =
            serde_json::from_str(text).map_err(|error| AddressError::Json(error.to_string()))?;
        let tls = file.tls.map(Tls::try_from).transpose()?;
        Self::parse(&file.addr, tls)
    }

    fn parse(text: &str, tls: Option<Tls>) -> Result<Self, AddressError> {
        let text = text.trim();
        let form = || AddressError::Form(text.chars().take(200).collect());
        let (scheme, rest) = text.split_once("://").ok_or_else(form)?;
        // The way behind the port means nothing: each question has its own.
        let place = rest.split('/').next().unwrap_or_default();
        let secure = |default, tls| match place_of(place, default) {
            Some((host, port)) => Ok(Self::Tls(TlsAddress { host, port, tls })),
            None => Err(form()),
        };
        match (scheme, tls) {
            ("unix", _) if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            ("https", tls) => secure(Some(HTTPS), tls.unwrap_or_default()),
            ("tcp" | "http", Some(tls)) => secure(None, tls),
            ("tcp" | "http", None) => clear(place, text).ok_or_else(form)?,
            _ => Err(form()),
        }
    }
}

/// Takes a port in the clear, on the loopback alone; `None` when it is no port.
fn clear(place: &str, text: &str) -> Option<Result<Address, AddressError>> {
    let elsewhere = || AddressError::Elsewhere(text.chars().take(200).collect());
    let place = place.replace("localhost:", "127.0.0.1:");
    let Ok(address) = place.parse::<SocketAddr>() else {
        return place_of(&place, None).map(|_| Err(elsewhere()));
    };
    Some(match address.ip().is_loopback() {
        true => Ok(Address::Loopback(address)),
        false => Err(elsewhere()),
    })
}

/// Splits host and port; an IPv6 address stands in brackets, and comes out of them.
fn place_of(place: &str, default: Option<u16>) -> Option<(String, u16)> {
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (place, None),
    };
    let port = match port {
        Some(text) => text.parse().ok()?,
        None => default?,
    };
    let inside = host.strip_prefix('[').and_then(|one| one.strip_suffix(']'));
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let fits = match inside {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.len() <= 253 && host.chars().all(is_name),
    };
    (fits && port != 0).then(|| (inside.unwrap_or(host).to_owned(), port))
}

impl TryFrom<TlsConfig> for Tls {
    type Error = AddressError;

    fn try_from(config: TlsConfig) -> Result<Self, AddressError> {
        let identity = match (file(config.certificate)?, file(config.key)?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(AddressError::Half),
        };
        Ok(Self {
            authority: file(config.authority)?,
            identity,
            insecure: config.insecure_skip_verify,
        })
    }
}

/// Takes a file's path; an empty one is none.
fn file(path: PathBuf) -> Result<Option<PathBuf>, AddressError> {
    match (path.as_os_str().is_empty(), path.is_absolute()) {
        (true, _) => Ok(None),
        (false, true) => Ok(Some(path)),
        (false, false) => Err(AddressError::Relative(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_the_clear_stay_on_this_host() {
        let unix = Address::Unix("/run/x.sock".into());
        assert_eq!(Address::parse_spec("unix:///run/x.sock\n").unwrap(), unix);
        assert_eq!(
            Address::parse_json(r#"{"Name":"x","Addr":"unix:///run/x.sock"}"#).unwrap(),
            unix
        );
        assert!(matches!(
            Address::parse_spec("tcp://localhost:8080"),
            Ok(Address::Loopback(_))
        ));
        for far in ["tcp://10.0.0.1:1", "http://plugins.example:1/x"] {
            let refused = Address::parse_spec(far);
            assert!(matches!(refused, Err(AddressError::Elsewhere(_))), "{far}");
        }
        for odd in [
            "",
            "unix://x",
            "x",
            "tcp://localhost",
            "tcp://:1",
            "tcp://a:0",
            "tcp://a:99999",
            "tcp://a b:1",
            "https://",
            "https://[::g]:1",
            "https://user@host:1",
            "npipe://x",
        ] {
            let refused = Address::parse_spec(odd);
            assert!(matches!(refused, Err(AddressError::Form(_))), "{odd}");
        }
    }

    fn secure(host: &str, port: u16, tls: Tls) -> Address {
        let host = host.to_owned();
        Address::Tls(TlsAddress { host, port, tls })
    }

    #[test]
    fn behind_tls_they_may_be_anywhere() {
        let plain = Tls::default;
        for (text, host, port) in [
            (
                "https://plugins.example/docker/plugin",
                "plugins.example",
                443,
            ),
            ("https://10.0.0.1:8443", "10.0.0.1", 8443),
            ("https://[fd00::1]:8443/", "fd00::1", 8443),
        ] {
            let wanted = secure(host, port, plain());
            assert_eq!(Address::parse_spec(text).unwrap(), wanted, "{text}");
        }
        let text = r#"{"Addr":"tcp://plugins:1","TLSConfig":{"CAFile":"/ca","CertFile":"/c","KeyFile":"/k"}}"#;
        let tls = Tls {
            authority: Some("/ca".into()),
            identity: Some(("/c".into(), "/k".into())),
            insecure: false,
        };
        assert_eq!(
            Address::parse_json(text).unwrap(),
            secure("plugins", 1, tls)
        );
    }

    #[test]
    fn nobody_is_believed_without_a_word() {
        let parse = |tls: &str| {
            Address::parse_json(&format!(r#"{{"Addr":"https://a:1","TLSConfig":{tls}}}"#))
        };
        assert_eq!(parse("{}").unwrap(), secure("a", 1, Tls::default()));
        let insecure = Tls {
            insecure: true,
            ..Tls::default()
        };
        let said = parse(r#"{"InsecureSkipVerify":true}"#).unwrap();
        assert_eq!(said, secure("a", 1, insecure));
        assert_eq!(parse(r#"{"CertFile":"/c"}"#), Err(AddressError::Half));
        assert_eq!(
            parse(r#"{"CAFile":"ca.pem"}"#),
            Err(AddressError::Relative("ca.pem".into()))
        );
    }
}
