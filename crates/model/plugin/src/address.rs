//! Where a plugin answers: a socket, or what its `.spec` or `.json` file says.

use std::{net::SocketAddr, path::PathBuf};

use serde::Deserialize;

/// An address that we speak to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// A port of this host's loopback.
    Loopback(SocketAddr),
}

/// Why an address is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No form that plugins have.
    #[error("{0:?} is no address of a plugin")]
    Form(String),
    /// In the clear to elsewhere, or TLS.
    #[error("{0:?}: plugins are spoken to over unix sockets and the loopback only")]
    Elsewhere(String),
    /// The `.json` file does not parse.
    #[error("invalid plugin file: {0}")]
    Json(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct File {
    addr: String,
}

impl Address {
    /// Parses a `.spec` file: an address and nothing else.
    ///
    /// # Errors
    /// When it is none, or leads to another machine.
    pub fn parse_spec(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let form = || AddressError::Form(text.chars().take(200).collect());
        match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("tcp" | "http", place)) => {
                let place = place
                    .trim_end_matches('/')
                    .replace("localhost:", "127.0.0.1:");
                let address: SocketAddr = place.parse().ok().ok_or_else(form)?;
                match address.ip().is_loopback() {
                    true => Ok(Self::Loopback(address)),
                    false => Err(AddressError::Elsewhere(text.to_owned())),
                }
            }
            Some(("https", _)) => Err(AddressError::Elsewhere(text.to_owned())),
            _ => Err(form()),
        }
    }

    /// Parses a `.json` file.
    ///
    /// # Errors
    /// When it does not parse, or its address is refused.
    pub fn parse_json(text: &str) -> Result<Self, AddressError> {
        let file: File =
            serde_json::from_str(text).map_err(|error| AddressError::Json(error.to_string()))?;
        Self::parse_spec(&file.addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stay_on_this_host() {
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
        for odd in [
            "",
            "unix://x",
            "tcp://10.0.0.1:1",
            "https://localhost:1",
            "x",
            "tcp://localhost",
        ] {
            assert!(Address::parse_spec(odd).is_err(), "{odd}");
        }
    }
}
