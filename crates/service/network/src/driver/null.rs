//! The driver `null`: a namespace with a loopback only, so there is nothing to make.

use super::Driver;
use crate::{Config, Error, NetworkSpec, host::Host, record::Network};

/// The driver.
pub(super) struct Null;

impl Driver for Null {
    /// One network without anything is enough, and we made it; patterns of networks are something else.
    fn check(&self, spec: &NetworkSpec) -> Result<(), Error> {
        match spec.config_only {
            true => Ok(()),
            false => Err(Error::OnlyOne("null")),
        }
    }

    fn ensure(&self, _: &Network, _: &mut Host, _: &Config) -> Result<(), Error> {
        Ok(())
    }

    fn remove(&self, _: &Network, _: &mut Host) -> Result<(), Error> {
        Ok(())
    }
}
