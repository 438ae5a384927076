//! Why rules could not be loaded.

use hakone_base::{Fault, Kind};
use rustix::io::Errno;

use crate::Object;

/// Why rules could not be loaded. The rules that stood before still stand.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket could not be opened or used.
    #[error("could not talk to the kernel's nf_tables: {0}")]
    Socket(#[source] Errno),
    /// The kernel was built without them, or their module cannot be loaded.
    #[error(
        "this kernel has no nf_tables (module nf_tables): networks need them, or --iptables=false"
    )]
    Missing,
    /// The kernel refused an object, and with it the whole transaction.
    #[error("the kernel refused {object}: {source}")]
    Refused {
        /// What was refused first.
        object: Object,
        /// Why.
        source: Errno,
    },
    /// Another program changed rules each time we tried.
    #[error("other programs change the host's rules all the time")]
    Contended,
    /// The kernel's answer is not what its documentation says.
    #[error("unexpected answer of the kernel's nf_tables")]
    Reply,
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Socket(_)
            | Self::Missing
            | Self::Refused { .. }
            | Self::Contended
            | Self::Reply => Kind::System,
        }
    }
}
