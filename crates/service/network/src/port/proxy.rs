//! Serves the connections to published ports that the kernel does not lead: those over loopback, and IPv6 to a container
//! that has IPv4 alone, and all of ports that obey the host's INPUT rules. Everything else is translated on the way and keeps its source.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    sync::Arc,
};

use hakone_base::Protocol;
use tokio::{runtime::Handle, task::AbortHandle};

use super::{bound_to, source::Source, tcp, udp};
use crate::SandboxReport;

/// A reserved socket and where its connections lead.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Arc<OwnedFd>,
    protocol: Protocol,
    target: SocketAddr,
    source: Source,
}

impl Listener {
    /// Finds out what a held socket is for; `None` when no published port of the sandbox is its.
    pub(crate) fn of(
        socket: &Arc<OwnedFd>,
        report: &SandboxReport,
        source: Source,
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
        })
    }
}

impl Listener {
    /// Gives where its connections lead.
    pub(crate) const fn target(&self) -> SocketAddr {
        self.target
    }

    /// Refuses connections from here on; the port stays taken.
    pub(crate) fn close(&self) {
        rustix::net::shutdown(&*self.socket, rustix::net::Shutdown::Both).ok();
    }
}

/// Starts serving; the handle ends it. SCTP has no loopback service.
pub(crate) fn serve(listener: &Listener, runtime: &Handle) -> io::Result<Option<AbortHandle>> {
    let _entered = runtime.enter();
    let socket = listener.socket.try_clone()?;
    let task = match listener.protocol {
        Protocol::Tcp => {
            let listening = tokio::net::TcpListener::from_std(socket.into())?;
            runtime.spawn(tcp::serve(
                listening,
                listener.target,
                listener.source.clone(),
            ))
        }
        Protocol::Udp => {
            let bound = tokio::net::UdpSocket::from_std(socket.into())?;
            runtime.spawn(udp::serve(bound, listener.target, listener.source.clone()))
        }
        Protocol::Sctp => return Ok(None),
    };
    Ok(Some(task.abort_handle()))
}

/// Gives the container's address of the same family, or the other one.
fn container_address(report: &SandboxReport, like: IpAddr) -> Option<IpAddr> {
    let endpoint = report.way_out()?;
    let same = endpoint
        .addresses()
        .find(|address| address.is_ipv6() == like.is_ipv6());
    same.or_else(|| endpoint.addresses().next())
}
