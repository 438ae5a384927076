//! The embedded resolver: a container asks 127.0.0.11, the daemon answers from what it knows or asks on its behalf.
//!
//! The sockets are bound inside the container's namespace, so that nobody else can ask or answer there; what is not a
//! container's name is asked from the host's namespace (attack `dns_spoof`). [`hakone_dns`] decides every question, and whoever
//! knows the networks says by [`Names`] what one container may know. The network service serves one of these a sandbox.

mod batch;
mod error;
mod listening;
mod serve;
mod server;
mod upstream;
mod view;

pub use error::Error;
pub use listening::{ADDRESS, Listening, PORT};
pub use server::Server;
pub use view::{Directory, Facts, Names, View};
