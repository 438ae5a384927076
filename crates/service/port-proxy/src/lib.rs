//! Serves published ports where the kernel does not lead connections to the container by itself.
//!
//! The network service reserves each port by a real socket and says who may come in; connections that arrive there are carried to the
//! container, under the client's address where that can be shown. Nothing here knows networks or rules.

mod own;
mod proxy;
mod source;
mod tcp;
mod udp;

pub use own::{OwnAddresses, is_own};
pub use proxy::{Admits, Listener, bound_to, serve};
pub use source::Source;
