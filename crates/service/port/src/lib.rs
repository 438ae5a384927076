//! The host's side of published ports: reserved by real sockets, and served where the kernel does not lead connections to the
//! container by itself.
//!
//! The network service says for whom a port is and who may come in; connections that arrive at its socket are carried to the
//! container, under the client's address where that can be shown. Nothing here knows networks or rules.

mod error;
mod own;
mod parked;
mod proxy;
mod reserve;
mod source;
mod tcp;
mod udp;

pub use error::Error;
pub use own::{OwnAddresses, is_own};
pub use parked::Parked;
pub use proxy::{Admits, Listener, bound_to, serve};
pub use reserve::{Reservation, Reserved, every_address, reserve};
pub use source::Source;
