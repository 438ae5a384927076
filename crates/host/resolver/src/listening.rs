//! The resolver's sockets inside a sandbox.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use crate::Error;

/// Where containers look for their resolver, as in Docker.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// The port they ask; nothing is bound to it, for the container may want it for itself.
pub const PORT: u16 = 53;

/// Sockets bound inside a namespace at [`ADDRESS`], each to a free port; rules of the namespace lead there what is asked at [`PORT`].
#[derive(Debug)]
pub struct Listening {
    pub(crate) udp: UdpSocket,
    pub(crate) tcp: TcpListener,
    /// The port that is asked by UDP.
    pub udp_port: u16,
    /// The port that is asked by TCP.
    pub tcp_port: u16,
}

impl Listening {
    /// Binds in the calling thread's namespace; after a restart the new sockets take the place of the old.
    ///
    /// # Errors
    /// When the namespace has no room for a socket.
    pub fn open() -> Result<Self, Error> {
        let udp = UdpSocket::bind((ADDRESS, 0))?;
        let tcp = TcpListener::bind((ADDRESS, 0))?;
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        Ok(Self {
            udp_port: udp.local_addr()?.port(),
            tcp_port: tcp.local_addr()?.port(),
            udp,
            tcp,
        })
    }
}
