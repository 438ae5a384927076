//! The driver `null`: a namespace with a loopback only, so there is nothing to make.

use super::Driver;
use crate::{Config, Error, NetworkSpec, host::Host, record::Network};

/// The driver.
pub(super) struct Null;

impl Driver for Null {
    /// One network without anything is enough, and we made it.
    fn check(&self, _: &NetworkSpec) -> Result<(), Error> {
        Err(Error::OnlyOne("null"))
    }

    fn ensure(&self, _: &Network, _: &mut Host, _: &Config) -> Result<(), Error> {
        Ok(())
    }

    fn remove(&self, _: &Network, _: &mut Host) -> Result<(), Error> {
        Ok(())
    }
}
