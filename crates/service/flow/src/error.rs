//! Why there is no flow log.

use std::io;

use hakone_base::{Fault, Kind};

/// Why the flow log could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody asked for it.
    #[error(
        "the flow log is off: start the daemon with --flow-log memory, or a file, syslog or journald"
    )]
    Off,
    /// Its lines have nowhere to go.
    #[error("could not open the flow log: {0}")]
    Sink(#[source] io::Error),
    /// The kernel tells nothing.
    #[error("the kernel does not tell of flows: {0}")]
    Kernel(#[from] hakone_nft::Error),
    /// No thread could be started.
    #[error("could not start the flow log: {0}")]
    Thread(#[source] io::Error),
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Off => Kind::Unavailable,
            Self::Sink(_) | Self::Kernel(_) | Self::Thread(_) => Kind::System,
        }
    }
}
