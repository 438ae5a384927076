//! Where a log server is: `udp://host:port`, `tcp://`, `tcp+tls://`, `unix:///path`, `unixgram:///path`.

use std::path::PathBuf;

/// How to reach a log server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogAddress {
    /// Datagrams over the network.
    Udp(Host),
    /// A stream over the network.
    Tcp(Host),
    /// An encrypted stream.
    Tls(Host, Box<LogTls>),
    /// A stream socket of this host.
    Unix(PathBuf),
    /// A datagram socket of this host, the first of these that is there.
    Unixgram(Vec<PathBuf>),
}

/// A host and port, not looked up yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Name or address.
    pub name: String,
    /// Port.
    pub port: u16,
}

/// How an encrypted stream is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogTls {
    /// PEM file of those who may sign the server; the host's own when absent.
    pub ca: Option<PathBuf>,
    /// PEM file of our certificate.
    pub certificate: Option<PathBuf>,
    /// PEM file of our key.
    pub key: Option<PathBuf>,
    /// Whether any certificate will do.
    pub skip_verify: bool,
}

impl LogAddress {
    /// Parses an address; what has no scheme is `default_scheme`, what has no port `port`, if there is such.
    pub(super) fn parse(text: &str, default_scheme: &str, port: Option<u16>) -> Option<Self> {
        let (scheme, rest) = text.split_once("://").unwrap_or((default_scheme, text));
        let path = || Some(PathBuf::from(rest)).filter(|path| path.is_absolute());
        match scheme {
            "udp" => Host::parse(rest, port).map(Self::Udp),
            "tcp" => Host::parse(rest, port).map(Self::Tcp),
            "tcp+tls" | "tls" => {
                Host::parse(rest, port).map(|host| Self::Tls(host, Box::default()))
            }
            "unix" => path().map(Self::Unix),
            "unixgram" => path().map(|path| Self::Unixgram(vec![path])),
            _ => None,
        }
    }
}

impl Host {
    fn parse(text: &str, default: Option<u16>) -> Option<Self> {
        let text = text.trim_end_matches('/');
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (name, rest) = rest.split_once(']')?;
                (name, rest.strip_prefix(':'))
            }
            None => match text.rsplit_once(':') {
                // Colons without brackets are an IPv6 address alone.
                Some((name, _)) if name.contains(':') => (text, None),
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok()?,
            None => default?,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        (!name.is_empty() && name.chars().all(plain)).then(|| Self {
            name: name.to_owned(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_dockers() {
        let host = |name: &str, port| Host {
            name: name.into(),
            port,
        };
        let parse = |text| LogAddress::parse(text, "tcp", Some(514));
        assert_eq!(parse("udp://a"), Some(LogAddress::Udp(host("a", 514))));
        assert_eq!(parse("[::1]:9"), Some(LogAddress::Tcp(host("::1", 9))));
        assert_eq!(
            parse("fe80::1"),
            Some(LogAddress::Tcp(host("fe80::1", 514)))
        );
        let unix = LogAddress::Unix("/dev/log".into());
        assert_eq!(parse("unix:///dev/log"), Some(unix));
        for wrong in [
            "unix://x",
            "ftp://a:1",
            "udp://a:b",
            "tcp://",
            "udp://a b:1",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(LogAddress::parse("udp://a", "udp", None), None);
    }
}
