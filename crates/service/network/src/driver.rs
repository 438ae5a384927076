//! Drivers: what a network is on the host.
//!
//! Twins with the same functions in the same order: `check` refuses what the driver cannot do, `ensure` makes what a
//! network needs on the host (twice is as once), `remove` takes it away.

mod bridge;
mod ipvlan;
mod macvlan;
mod nothing;

use std::os::fd::BorrowedFd;

use hakone_netlink::Socket;

use crate::{Config, DriverKind, Error, NetworkSpec, host::Host, record::Network, remote};

pub(crate) use bridge::{Attachment, await_carriers, default_routes, inner, parameters, port_of};
pub(crate) use ipvlan::take_out;
pub(crate) use macvlan::{outer, relays};

/// A driver.
pub(crate) trait Driver {
    /// Refuses a request that this driver cannot meet.
    fn check(&self, spec: &NetworkSpec) -> Result<(), Error>;
    /// Makes what the network needs on the host.
    fn ensure(&self, _: &Network, _: &mut Host, _: &Config) -> Result<(), Error> {
        Ok(())
    }
    /// Takes away what `ensure` made.
    fn remove(&self, _: &Network, _: &mut Host) -> Result<(), Error> {
        Ok(())
    }
}

/// Gives the driver of a kind.
pub(crate) fn of(kind: DriverKind) -> &'static dyn Driver {
    match kind {
        DriverKind::Bridge => &bridge::Bridge,
        DriverKind::Macvlan => &macvlan::Macvlan,
        DriverKind::Ipvlan => &ipvlan::Ipvlan,
        DriverKind::Host => &nothing::HostNetwork,
        DriverKind::Null => &nothing::Null,
        DriverKind::Plugin => &nothing::Plugin,
    }
}

/// Plugs an endpoint in, closed until [`open_ports`].
pub(crate) fn attach(
    attachment: &Attachment<'_>,
    host: &mut Host,
    netns: BorrowedFd<'_>,
    inside: &mut Socket,
) -> Result<(), Error> {
    match attachment.network.spec.driver {
        DriverKind::Bridge => bridge::attach(attachment, host, netns, inside),
        DriverKind::Macvlan => macvlan::attach(attachment, host, netns, inside),
        DriverKind::Ipvlan => ipvlan::attach(attachment, host, netns, inside),
        DriverKind::Plugin => remote::attach(attachment, host, netns, inside),
        DriverKind::Host | DriverKind::Null => Ok(()),
    }
}

/// Lets the endpoints' frames through; their rules are loaded by now.
pub(crate) fn open_ports(attachments: &[Attachment<'_>], host: &mut Host) -> Result<(), Error> {
    for attachment in attachments {
        match attachment.network.spec.driver {
            DriverKind::Macvlan => macvlan::open_port(attachment, host)?,
            DriverKind::Bridge
            | DriverKind::Ipvlan
            | DriverKind::Host
            | DriverKind::Null
            | DriverKind::Plugin => {}
        }
    }
    bridge::open_ports(attachments, host)
}

/// Forgets an endpoint; `unplug` takes its interfaces away too, which otherwise go with the sandbox.
pub(crate) fn detach(
    attachment: &Attachment<'_>,
    host: &mut Host,
    unplug: bool,
) -> Result<(), Error> {
    match attachment.network.spec.driver {
        DriverKind::Bridge => bridge::detach(attachment, host, unplug),
        DriverKind::Macvlan => macvlan::detach(attachment, host, unplug),
        DriverKind::Ipvlan | DriverKind::Host | DriverKind::Null | DriverKind::Plugin => Ok(()),
    }
}
