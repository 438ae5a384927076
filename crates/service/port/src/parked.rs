//! Ports between two runs of a container: closed to clients, and still nobody else's.
//!
//! A restart that let go of its ports would be a race for them: any program of the host's network, a container with
//! `--net=host` among them, could take one meanwhile, get its clients, and keep the container from coming back (attack
//! `host_net_port_hijack`).

use std::{net::SocketAddr, os::fd::OwnedFd, sync::Arc};

use hakone_base::Protocol;
use rustix::{
    io::Errno,
    net::{
        RecvFlags, Shutdown, SocketType, listen, recv, shutdown,
        sockopt::{set_socket_reuseaddr, socket_reuseaddr, socket_type},
    },
};

use crate::{proxy::bound_to, reserve::BACKLOG};

/// Datagrams that are dropped at most: who sends faster than that is heard by the next run.
const MOST: usize = 1 << 16;

/// The sockets that a container left, for its next run.
#[derive(Debug, Default)]
pub struct Parked(Vec<Arc<OwnedFd>>);

impl Parked {
    /// Refuses clients from here on. What cannot be kept from others is let go.
    #[must_use]
    pub fn new(sockets: Vec<Arc<OwnedFd>>) -> Self {
        let kept = sockets.into_iter().filter(|socket| close(socket).is_ok());
        Self(kept.collect())
    }

    /// Gives the socket that is bound to this address, open again.
    #[must_use]
    pub fn take(&mut self, address: SocketAddr, protocol: Protocol) -> Option<Arc<OwnedFd>> {
        let is_it = |socket: &Arc<OwnedFd>| bound_to(socket) == Some((address, protocol));
        let place = self.0.iter().position(is_it)?;
        let socket = self.0.swap_remove(place);
        open(&socket, protocol).is_ok().then_some(socket)
    }
}

/// Ends the listening: the address stays bound, and without `SO_REUSEADDR` nobody else gets it, whatever they set.
pub(crate) fn close(socket: &OwnedFd) -> Result<(), Errno> {
    if socket_reuseaddr(socket)? {
        set_socket_reuseaddr(socket, false)?;
    }
    match socket_type(socket)? {
        // Nothing listens, and it would be shut for good.
        SocketType::DGRAM => Ok(()),
        _ => shutdown(socket, Shutdown::Both),
    }
}

fn open(socket: &OwnedFd, protocol: Protocol) -> Result<(), Errno> {
    match protocol {
        Protocol::Tcp => {
            listen(socket, BACKLOG)?;
            // Only now: until it listens, whoever sets it too would get the address.
            set_socket_reuseaddr(socket, true)
        }
        Protocol::Sctp => listen(socket, BACKLOG),
        Protocol::Udp => forget_datagrams(socket),
    }
}

/// Drops what was sent while nobody was there: it was for the run before.
fn forget_datagrams(socket: &OwnedFd) -> Result<(), Errno> {
    for _ in 0..MOST {
        match recv(socket, &mut [0; 1], RecvFlags::DONTWAIT) {
            // Refused is an answer to what the run before sent.
            Ok(_) | Err(Errno::INTR | Errno::CONNREFUSED) => {}
            Err(Errno::AGAIN) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io::ErrorKind,
        net::{TcpListener, TcpStream, UdpSocket},
    };

    use super::*;

    fn bound(address: SocketAddr) -> Result<TcpListener, std::io::Error> {
        // The standard library sets SO_REUSEADDR, as whoever wants the port would.
        TcpListener::bind(address)
    }

    #[test]
    fn a_parked_port_is_closed_and_nobody_elses_until_it_is_taken_again() {
        // Bound by its number, as published ports are: only then it stays bound without listening.
        let free = bound("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let listener = bound(address).unwrap();
        let mut parked = Parked::new(vec![Arc::new(listener.into())]);
        assert_eq!(bound(address).unwrap_err().kind(), ErrorKind::AddrInUse);
        let every = SocketAddr::new("0.0.0.0".parse().unwrap(), address.port());
        assert_eq!(bound(every).unwrap_err().kind(), ErrorKind::AddrInUse);
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert!(parked.take(address, Protocol::Udp).is_none());
        let socket = parked.take(address, Protocol::Tcp).unwrap();
        TcpStream::connect(address).unwrap();
        drop(socket);
        bound(address).unwrap();
    }

    #[test]
    fn datagrams_of_the_time_between_are_forgotten() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut parked = Parked::new(vec![Arc::new(socket.into())]);
        assert!(UdpSocket::bind(address).is_err());
        client.send_to(b"early", address).unwrap();
        let socket = parked.take(address, Protocol::Udp).unwrap();
        client.send_to(b"late", address).unwrap();
        let mut word = [0; 8];
        let (count, _) = recv(&*socket, &mut word, RecvFlags::empty()).unwrap();
        assert_eq!(&word[..count], b"late");
    }
}
