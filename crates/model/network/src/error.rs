//! What of a request for a network is refused before anything is asked; the texts are those that docker CLI and SDKs look for.

use hakone_base::{Fault, Kind};

/// Why a request is none for a network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// No such driver.
    #[error("plugin {0:?} not found")]
    Driver(String),
    /// Docker has it and we do not.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A network over many hosts, without other hosts.
    #[error(
        "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again."
    )]
    NotSwarm,
    /// The name of a default network.
    #[error("operation is not permitted on predefined {0} network ")]
    Predefined(String),
    /// A pattern that is asked to be a network, or the other way round.
    #[error("{0}")]
    Pattern(&'static str),
    /// Subnets or addresses make no sense.
    #[error(transparent)]
    Addresses(#[from] hakone_ipam::Error),
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::InvalidParameter,
            Self::Driver(_) => Kind::NotFound,
            Self::Unsupported(_) => Kind::NotImplemented,
            Self::NotSwarm | Self::Predefined(_) | Self::Pattern(_) => Kind::Forbidden,
            Self::Addresses(error) => error.kind(),
        }
    }
}
