//! Reserves the host's side of published ports before anything else is made.
//!
//! A real socket is bound for each, so that no host service loses its port to us and none takes ours
//! (attack `publish_over_host_service`); the same sockets serve loopback later.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};

use hakone_base::{EndpointId, ExposedPort, Port, Protocol, PublishedPort};
use hakone_network_model::PortBinding;
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use crate::{Error, Parked};

/// Connections that may wait while the daemon is busy or away.
pub(crate) const BACKLOG: i32 = 1024;
/// The ports given to bindings without one, as Docker's.
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32768..=60999;

/// What ports are reserved for, and what is known of those taken.
pub struct Reservation<'a> {
    /// The container's name, for messages.
    pub name: &'a str,
    /// The container's endpoint, for messages.
    pub endpoint: &'a EndpointId,
    /// The host addresses of bindings that name none.
    pub addresses: &'a [IpAddr],
    /// Reports whether another sandbox of ours has a port.
    pub is_ours: &'a dyn Fn(IpAddr, u16, Protocol) -> bool,
    /// What the container's run before left.
    pub parked: &'a Mutex<Parked>,
}

impl fmt::Debug for Reservation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Reservation");
        shown.field("name", &self.name);
        shown.field("endpoint", &self.endpoint);
        shown.field("addresses", &self.addresses);
        shown.finish_non_exhaustive()
    }
}

/// A port that nobody else can take any more.
#[derive(Debug)]
pub struct Reserved {
    /// The port.
    pub port: PublishedPort,
    /// `None` where the kernel lacks the protocol's sockets; its packets can be led all the same.
    pub socket: Option<Arc<OwnedFd>>,
}

/// Gives the addresses that mean every address of the host.
#[must_use]
pub fn every_address() -> [IpAddr; 2] {
    [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]
}

/// Reserves one binding on each of its addresses, all with the same number.
///
/// # Errors
/// When another container of ours or another program has the port, all of them, or the host has no such address.
pub fn reserve(
    binding: &PortBinding,
    reservation: &Reservation<'_>,
) -> Result<Vec<Reserved>, Error> {
    let explicit: Vec<IpAddr> = binding.host_address.into_iter().collect();
    let addresses = match explicit.as_slice() {
        [] => reservation.addresses,
        given => given,
    };
    let mut refused = None;
    for number in candidates(binding) {
        match bind_all(addresses, number, binding.target, reservation) {
            Ok(reserved) => return Ok(reserved),
            Err(error) if is_busy(&error) => refused = refused.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    let exhausted = || Error::Exhausted {
        name: reservation.name.to_owned(),
        endpoint: reservation.endpoint.clone(),
        address: addresses
            .first()
            .copied()
            .unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
    };
    match &binding.host_ports {
        Some(_) => Err(refused.unwrap_or_else(exhausted)),
        None => Err(exhausted()),
    }
}

fn candidates(binding: &PortBinding) -> Box<dyn Iterator<Item = Port> + '_> {
    let range = match &binding.host_ports {
        Some(ports) => ports.start().get()..=ports.end().get(),
        None => EPHEMERAL,
    };
    Box::new(range.filter_map(Port::new))
}

fn bind_all(
    addresses: &[IpAddr],
    number: Port,
    target: ExposedPort,
    reservation: &Reservation<'_>,
) -> Result<Vec<Reserved>, Error> {
    let mut reserved = Vec::with_capacity(addresses.len());
    for address in addresses {
        let port = PublishedPort {
            host_address: *address,
            host_port: number,
            target,
        };
        match bind(port, reservation) {
            Ok(socket) => reserved.push(Reserved { port, socket }),
            // A host without IPv6 publishes on IPv4 alone, unless an IPv6 address was asked for.
            Err(error) if addresses.len() > 1 && address.is_ipv6() && !is_busy(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(reserved)
}

fn bind(port: PublishedPort, reservation: &Reservation<'_>) -> Result<Option<Arc<OwnedFd>>, Error> {
    let (protocol, number) = (port.target.protocol, port.host_port.get());
    let address = SocketAddr::new(port.host_address, number);
    let source = match (reservation.is_ours)(port.host_address, number, protocol) {
        true => match listen(SocketAddr::new(port.host_address, 0), protocol) {
            // Not an address of this host: nobody has the port, nor could.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => error,
            Ok(_) | Err(_) => return Err(allocated(address, reservation)),
        },
        false => match parked(address, protocol, reservation) {
            Some(socket) => return Ok(Some(socket)),
            None => match listen(address, protocol) {
                Ok(socket) => return Ok(Some(Arc::new(socket.into()))),
                Err(error) => error,
            },
        },
    };
    match (
        protocol,
        source.raw_os_error().map(Errno::from_raw_os_error),
    ) {
        (Protocol::Sctp, Some(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT)) => Ok(None),
        _ => Err(Error::Bind {
            name: reservation.name.to_owned(),
            endpoint: reservation.endpoint.clone(),
            address,
            protocol,
            source,
        }),
    }
}

fn parked(
    address: SocketAddr,
    protocol: Protocol,
    reservation: &Reservation<'_>,
) -> Option<Arc<OwnedFd>> {
    let parked = reservation.parked.lock();
    parked
        .unwrap_or_else(PoisonError::into_inner)
        .take(address, protocol)
}

fn listen(address: SocketAddr, protocol: Protocol) -> io::Result<Socket> {
    let (kind, number) = match protocol {
        Protocol::Tcp => (Type::STREAM, socket2::Protocol::TCP),
        Protocol::Udp => (Type::DGRAM, socket2::Protocol::UDP),
        Protocol::Sctp => (Type::STREAM, socket2::Protocol::SCTP),
    };
    let socket = Socket::new(
        Domain::for_address(address),
        kind.nonblocking(),
        Some(number),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if protocol == Protocol::Tcp {
        // Proxied connections in TIME_WAIT must not keep a container from starting again.
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    if protocol != Protocol::Udp {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

fn allocated(address: SocketAddr, reservation: &Reservation<'_>) -> Error {
    Error::Allocated {
        name: reservation.name.to_owned(),
        endpoint: reservation.endpoint.clone(),
        address,
    }
}

/// Tells whether another number might do.
fn is_busy(error: &Error) -> bool {
    match error {
        Error::Allocated { .. } => true,
        Error::Bind { source, .. } => source.kind() == io::ErrorKind::AddrInUse,
        _ => false,
    }
}

#[cfg(test)]
#[path = "../tests/unit/reserve.rs"]
mod tests;
