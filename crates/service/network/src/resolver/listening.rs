//! The resolver's sockets inside a sandbox.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use hakone_netlink::{Redirect, redirect};

use crate::Error;

/// Where containers look for their resolver, as in Docker.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// The port they ask; nothing is bound to it, for the container may want it for itself.
const PORT: u16 = 53;

/// Sockets bound inside a namespace and reached at port 53.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(super) udp: UdpSocket,
    pub(super) tcp: TcpListener,
}

impl Listening {
    /// Binds in the calling thread's namespace; after a restart the new sockets take the place of the old.
    pub(crate) fn open() -> Result<Self, Error> {
        let udp = UdpSocket::bind((ADDRESS, 0)).map_err(Error::Resolver)?;
        let tcp = TcpListener::bind((ADDRESS, 0)).map_err(Error::Resolver)?;
        udp.set_nonblocking(true).map_err(Error::Resolver)?;
        tcp.set_nonblocking(true).map_err(Error::Resolver)?;
        redirect(Redirect {
            address: ADDRESS,
            asked: PORT,
            tcp: tcp.local_addr().map_err(Error::Resolver)?.port(),
            udp: udp.local_addr().map_err(Error::Resolver)?.port(),
        })?;
        Ok(Self { udp, tcp })
    }
}
