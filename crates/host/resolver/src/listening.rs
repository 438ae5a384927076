//! The resolver's sockets inside a sandbox.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use hakone_netlink::{Redirect, redirect};

use crate::Error;

/// Where containers look for their resolver, as in Docker.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// The port they ask; nothing is bound to it, for the container may want it for itself.
const PORT: u16 = 53;

/// Sockets bound inside a namespace and reached at port 53.
#[derive(Debug)]
pub struct Listening {
    pub(crate) udp: UdpSocket,
    pub(crate) tcp: TcpListener,
}

impl Listening {
    /// Binds in the calling thread's namespace; after a restart the new sockets take the place of the old.
    ///
    /// # Errors
    /// When the namespace has no room for a socket or takes no rules.
    pub fn open() -> Result<Self, Error> {
        let udp = UdpSocket::bind((ADDRESS, 0))?;
        let tcp = TcpListener::bind((ADDRESS, 0))?;
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        redirect(Redirect {
            address: ADDRESS,
            asked: PORT,
            tcp: tcp.local_addr()?.port(),
            udp: udp.local_addr()?.port(),
        })?;
        Ok(Self { udp, tcp })
    }
}
