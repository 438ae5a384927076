//! Ports of transport protocols: exposed (image side) and published (host side).

use std::{fmt, net::IpAddr, num::NonZeroU16, str::FromStr};

use serde::{Deserialize, Serialize};

/// A port number from 1 to 65535.
pub type Port = NonZeroU16;

/// A transport protocol that can be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Gives the lowercase name of the wire format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// Gives the number in the IP header (IANA protocol numbers).
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl FromStr for Protocol {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(PortError::Protocol(text.to_owned())),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is not a port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Not a number from 1 to 65535.
    #[error("invalid port specification: {0:?}")]
    Number(String),
    /// A protocol we cannot publish.
    #[error("invalid proto: {0}")]
    Protocol(String),
}

/// A port of a container as images and create requests name it, `80/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExposedPort {
    /// The port inside the container.
    pub port: Port,
    /// Its protocol.
    pub protocol: Protocol,
}

impl FromStr for ExposedPort {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let port = number
            .parse()
            .ok()
            .ok_or_else(|| PortError::Number(text.to_owned()))?;
        Ok(Self {
            port,
            protocol: protocol.parse()?,
        })
    }
}

impl fmt::Display for ExposedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.port, self.protocol)
    }
}

impl TryFrom<String> for ExposedPort {
    type Error = PortError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ExposedPort> for String {
    fn from(port: ExposedPort) -> Self {
        port.to_string()
    }
}

/// A port of the host that leads to a container: decided, with its number known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The host address it answers on; unspecified means every address of that family.
    pub host_address: IpAddr,
    /// The host's port.
    pub host_port: Port,
    /// Where it leads inside the container.
    pub target: ExposedPort,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exposed_port_defaults_to_tcp() {
        let port: ExposedPort = "80".parse().unwrap();
        assert_eq!(port.to_string(), "80/tcp");
        assert_eq!(
            "53/UDP".parse::<ExposedPort>().unwrap().protocol,
            Protocol::Udp
        );
        assert!("0/tcp".parse::<ExposedPort>().is_err());
        assert!("80/icmp".parse::<ExposedPort>().is_err());
    }
}
