//! Drivers: what a network is on the host.
//!
//! Three twins with the same functions in the same order: `check` refuses what the driver cannot do, `ensure` makes what a
//! network needs on the host (twice is as once), `remove` takes it away.

mod bridge;
mod host;
mod null;

use crate::{Config, DriverKind, Error, NetworkSpec, host::Host, record::Network};

pub(crate) use bridge::{Attachment, attach, default_routes, detach, open_ports};

/// A driver.
pub(crate) trait Driver {
    /// Refuses a request that this driver cannot meet.
    fn check(&self, spec: &NetworkSpec) -> Result<(), Error>;
    /// Makes what the network needs on the host.
    fn ensure(&self, network: &Network, host: &mut Host, config: &Config) -> Result<(), Error>;
    /// Takes away what `ensure` made.
    fn remove(&self, network: &Network, host: &mut Host) -> Result<(), Error>;
}

/// Gives the driver of a kind.
pub(crate) fn of(kind: DriverKind) -> &'static dyn Driver {
    match kind {
        DriverKind::Bridge => &bridge::Bridge,
        DriverKind::Host => &host::HostNetwork,
        DriverKind::Null => &null::Null,
    }
}
