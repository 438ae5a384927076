//! Where the daemon listens: `-H`, then `HAKONE_HOST`, then `DOCKER_HOST`, then our own socket.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::Error;

/// The socket used when nothing else is named.
pub const DEFAULT: &str = "unix:///run/hakone/hakone.sock";

/// A daemon's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A unix socket of this host.
    Unix(PathBuf),
    /// A host and port, spoken to over TLS with certificates on both sides.
    Tcp(String),
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.split_once("://") {
            Some(("unix", "")) => DEFAULT.parse(),
            Some(("unix", path)) => Ok(Self::Unix(path.into())),
            Some(("tcp" | "https", rest)) => Ok(Self::Tcp(with_port(rest))),
            Some((scheme @ ("ssh" | "http" | "npipe" | "fd"), _)) => {
                Err(Error::Transport(format!(
                    "cannot connect over {scheme}: use unix:// or tcp:// with TLS (for ssh, forward the socket: ssh -L /tmp/hakone.sock:/run/hakone/hakone.sock HOST)"
                )))
            }
            None if text.starts_with('/') => Ok(Self::Unix(text.into())),
            _ => Err(Error::Host(text.to_owned())),
        }
    }
}

/// Docker's ports: 2376 is the one with TLS, and only that is spoken.
fn with_port(rest: &str) -> String {
    let rest = rest.trim_end_matches('/');
    let host = if rest.is_empty() { "localhost" } else { rest };
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port {
        host.to_owned()
    } else {
        format!("{host}:2376")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(host) => write!(f, "tcp://{host}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_as_typed() {
        for text in ["unix:///run/x.sock", "tcp://10.0.0.1:2376"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!(
            "tcp://h".parse::<Address>().unwrap(),
            Address::Tcp("h:2376".into())
        );
    }

    #[test]
    fn an_ssh_address_says_what_to_do_instead() {
        let error = "ssh://me@host".parse::<Address>().unwrap_err().to_string();
        assert!(error.contains("ssh -L"), "{error}");
    }
}
