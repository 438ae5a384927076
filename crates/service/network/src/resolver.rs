//! The embedded resolver: a container asks 127.0.0.11, the daemon answers from what it knows or asks on its behalf.
//!
//! The sockets are bound inside the container's namespace, so that nobody else can ask or answer there; what is not a
//! container's name is asked from the host's namespace (attack `dns_spoof`). [`hakone_dns`] decides every question.

mod batch;
mod listening;
mod scope;
mod serve;
mod settings;
mod upstream;

pub(crate) use listening::Listening;
pub(crate) use scope::Directory;
pub(crate) use serve::serve;
pub(crate) use settings::{default_settings, link_local_resolvers, settings, stub};
