//! Why the host's side of a published port cannot be had, in Docker's words.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use hakone_base::{EndpointId, Protocol};

/// Why a port cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A published port is ours already.
    #[error(
        "driver failed programming external connectivity on endpoint {name} ({endpoint}): Bind for {address} failed: port is already allocated"
    )]
    Allocated {
        /// The container's name.
        name: String,
        /// The endpoint.
        endpoint: EndpointId,
        /// The host's side.
        address: SocketAddr,
    },
    /// A published port could not be bound.
    #[error(
        "driver failed programming external connectivity on endpoint {name} ({endpoint}): Error starting userland proxy: listen {protocol}{} {address}: bind: {}", if address.is_ipv4() { 4 } else { 6 }, reason(source)
    )]
    Bind {
        /// The container's name.
        name: String,
        /// The endpoint.
        endpoint: EndpointId,
        /// The host's side.
        address: SocketAddr,
        /// The protocol.
        protocol: Protocol,
        /// What the kernel said.
        source: io::Error,
    },
    /// No ephemeral port is free.
    #[error(
        "driver failed programming external connectivity on endpoint {name} ({endpoint}): all ports are allocated on {address}"
    )]
    Exhausted {
        /// The container's name.
        name: String,
        /// The endpoint.
        endpoint: EndpointId,
        /// The host's address.
        address: IpAddr,
    },
}

/// Words the common refusals as Docker does, which scripts look for.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "address already in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "cannot assign requested address".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}
