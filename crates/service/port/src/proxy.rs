//! Serves the connections to published ports that the kernel does not lead: those over loopback, and IPv6 to a container
//! that has IPv4 alone, and all of ports that obey the host's INPUT rules. Everything else is translated on the way and keeps its source.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    sync::Arc,
};

use hakone_base::Protocol;
use hakone_network_model::SandboxReport;
use socket2::{Socket, Type};
use tokio::{runtime::Handle, task::AbortHandle};

use crate::{source::Source, tcp, udp};

/// A reserved socket and where its connections lead.
#[derive(Debug)]
pub struct Listener {
    socket: Arc<OwnedFd>,
    protocol: Protocol,
    target: SocketAddr,
    source: Source,
    admits: Admits,
}

/// Says whether policies let a client's connection in: the host's own rules see the proxy alone.
#[derive(Clone)]
pub struct Admits(pub Arc<dyn Fn(IpAddr, SocketAddr, Protocol) -> bool + Send + Sync>);

impl std::fmt::Debug for Admits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Admits")
    }
}

/// Where connections lead, under which address, and whose may.
#[derive(Clone, Debug)]
pub(crate) struct Road {
    pub(crate) target: SocketAddr,
    source: Source,
    admits: Admits,
    protocol: Protocol,
}

impl Road {
    /// Makes a socket towards the container for a client that may come in.
    pub(crate) fn socket(&self, client: SocketAddr, kind: Type) -> io::Result<Socket> {
        let Admits(admits) = &self.admits;
        match admits(client.ip().to_canonical(), self.target, self.protocol) {
            true => self.source.socket(client, self.target, kind),
            false => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
}

impl Listener {
    /// Finds out what a held socket is for; `None` when no published port of the sandbox is its.
    #[must_use]
    pub fn of(
        socket: &Arc<OwnedFd>,
        report: &SandboxReport,
        (source, admits): (Source, Admits),
    ) -> Option<Self> {
        let (address, protocol) = bound_to(socket)?;
        let published = report.published.iter().find(|published| {
            published.host_address == address.ip()
                && published.host_port.get() == address.port()
                && published.target.protocol == protocol
        })?;
        let inside = container_address(report, address.ip())?;
        Some(Self {
            socket: Arc::clone(socket),
            protocol,
            target: SocketAddr::new(inside, published.target.port.get()),
            source,
            admits,
        })
    }
}

impl Listener {
    /// Gives where its connections lead.
    #[must_use]
    pub const fn target(&self) -> SocketAddr {
        self.target
    }

    /// Refuses connections from here on; the port stays taken.
    pub fn close(&self) {
        crate::parked::close(&self.socket).ok();
    }
}

/// Starts serving; the handle ends it. SCTP has no loopback service.
///
/// # Errors
/// When the process is out of descriptors.
pub fn serve(listener: &Listener, runtime: &Handle) -> io::Result<Option<AbortHandle>> {
    let _entered = runtime.enter();
    let socket = listener.socket.try_clone()?;
    let road = Road {
        target: listener.target,
        source: listener.source.clone(),
        admits: listener.admits.clone(),
        protocol: listener.protocol,
    };
    let task = match listener.protocol {
        Protocol::Tcp => {
            let listening = tokio::net::TcpListener::from_std(socket.into())?;
            runtime.spawn(tcp::serve(listening, road))
        }
        Protocol::Udp => {
            let bound = tokio::net::UdpSocket::from_std(socket.into())?;
            runtime.spawn(udp::serve(bound, road))
        }
        Protocol::Sctp => return Ok(None),
    };
    Ok(Some(task.abort_handle()))
}

/// Gives the address and protocol a held socket is bound to: after a restart it says itself what it reserves.
#[must_use]
pub fn bound_to(socket: &OwnedFd) -> Option<(SocketAddr, Protocol)> {
    let socket = socket2::SockRef::from(socket);
    let protocol = match socket.protocol().ok()?? {
        socket2::Protocol::TCP => Protocol::Tcp,
        socket2::Protocol::UDP => Protocol::Udp,
        socket2::Protocol::SCTP => Protocol::Sctp,
        _ => return None,
    };
    Some((socket.local_addr().ok()?.as_socket()?, protocol))
}

/// Gives the container's address of the same family, or the other one.
fn container_address(report: &SandboxReport, like: IpAddr) -> Option<IpAddr> {
    let endpoint = report.way_out()?;
    let same = endpoint
        .addresses()
        .find(|address| address.is_ipv6() == like.is_ipv6());
    same.or_else(|| endpoint.addresses().next())
}
