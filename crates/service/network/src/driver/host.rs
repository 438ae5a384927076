//! The driver `host`: containers use the host's own namespace, so there is nothing to make.

use super::Driver;
use crate::{Config, Error, NetworkSpec, host::Host, record::Network};

/// The driver.
pub(super) struct HostNetwork;

impl Driver for HostNetwork {
    /// There is one host, so there is one such network, and we made it.
    fn check(&self, _: &NetworkSpec) -> Result<(), Error> {
        Err(Error::OnlyOne("host"))
    }

    fn ensure(&self, _: &Network, _: &mut Host, _: &Config) -> Result<(), Error> {
        Ok(())
    }

    fn remove(&self, _: &Network, _: &mut Host) -> Result<(), Error> {
        Ok(())
    }
}
