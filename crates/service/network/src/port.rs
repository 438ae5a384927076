//! Published ports: reserved by real sockets, served from loopback by a proxy, from elsewhere by the kernel.

mod reserve;

pub(crate) use hakone_port_proxy::{Admits, Listener, Source, serve};
pub(crate) use reserve::{Reservation, every_address, reserve};
