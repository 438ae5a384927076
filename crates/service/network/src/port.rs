//! Published ports: reserved by real sockets, served from loopback by a proxy, from elsewhere by the kernel.

mod proxy;
mod reserve;
mod source;
mod tcp;
mod udp;

pub(crate) use proxy::{Admits, Listener, serve};
pub(crate) use reserve::{Reservation, bound_to, every_address, reserve};
pub(crate) use source::Source;
