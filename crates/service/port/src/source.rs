//! Under which address the container sees a client that a proxy serves.

use std::net::{IpAddr, SocketAddr};

use hakone_base::Subnet;
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::own::is_own;

/// The address that a proxy speaks to the container under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The host's.
    Host,
    /// The client's own; not for clients on the container's link, which would be answered directly.
    Client {
        /// The subnets of the container's network.
        link: Vec<Subnet>,
        /// Whether its members may talk to each other, so also by a published port.
        icc: bool,
    },
}

impl Source {
    /// Makes a socket towards a container, bound to the client's address where that can be.
    ///
    /// A client from elsewhere whose address cannot be shown is refused: the container would take it for the host (attack
    /// `source_hidden_v6`). So is a member of a network without icc: no way leads to its neighbours, not this one either.
    pub(crate) fn socket(
        &self,
        client: SocketAddr,
        target: SocketAddr,
        kind: Type,
    ) -> std::io::Result<Socket> {
        let client = SocketAddr::new(client.ip().to_canonical(), client.port());
        let socket = Socket::new(Domain::for_address(target), kind.nonblocking(), None)?;
        if self.shows(client.ip(), target.ip()) {
            bind(&socket, client)?;
        } else if !self.is_welcome_member(client.ip()) && !is_own(client.ip()) {
            return Err(std::io::ErrorKind::PermissionDenied.into());
        }
        Ok(socket)
    }

    fn is_welcome_member(&self, client: IpAddr) -> bool {
        matches!(self, Self::Client { icc: true, .. }) && self.is_near(client)
    }

    fn shows(&self, client: IpAddr, target: IpAddr) -> bool {
        let ours = matches!(self, Self::Client { .. }) && !self.is_near(client);
        ours && client.is_ipv4() == target.is_ipv4() && !client.is_loopback()
    }

    fn is_near(&self, client: IpAddr) -> bool {
        match self {
            Self::Host => false,
            Self::Client { link, .. } => link.iter().any(|subnet| subnet.contains(client)),
        }
    }
}

/// Takes the client's port too, or any where a socket of the host has it.
fn bind(socket: &Socket, client: SocketAddr) -> std::io::Result<()> {
    match client {
        SocketAddr::V4(_) => socket.set_ip_transparent_v4(true)?,
        SocketAddr::V6(_) => socket.set_ip_transparent_v6(true)?,
    }
    match socket.bind(&SockAddr::from(client)) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::ADDRINUSE) => {
            socket.bind(&SockAddr::from(SocketAddr::new(client.ip(), 0)))
        }
        bound => bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_shown_unless_it_is_the_host_or_on_the_containers_link() {
        let link = vec!["172.18.0.0/16".parse().unwrap()];
        let (client, host) = (Source::Client { link, icc: true }, Source::Host);
        let shows = |source: &Source, client: &str, target: &str| {
            source.shows(client.parse().unwrap(), target.parse().unwrap())
        };
        assert!(shows(&client, "198.51.100.7", "172.18.0.2"));
        assert!(!shows(&client, "172.18.0.3", "172.18.0.2"));
        assert!(!shows(&client, "127.0.0.1", "172.18.0.2"));
        assert!(!shows(&client, "2001:db8::7", "172.18.0.2"));
        assert!(!shows(&host, "198.51.100.7", "172.18.0.2"));
    }
    #[test]
    fn without_icc_the_proxy_is_no_way_between_members() {
        let served = |icc, client: &str| {
            let link = vec!["172.18.0.0/16".parse().unwrap()];
            let source = Source::Client { link, icc };
            let client = SocketAddr::new(client.parse().unwrap(), 4000);
            let target = "172.18.0.2:80".parse().unwrap();
            source.socket(client, target, Type::STREAM).is_ok()
        };
        assert!(served(true, "172.18.0.3") && served(false, "127.0.0.1"));
        assert!(!served(false, "172.18.0.3"));
    }
}
