//! The driver of plugins: they make what their networks need, asked by `remote` without the host's lock.

use super::Driver;
use crate::{Config, Error, NetworkSpec, host::Host, record::Network};

/// The driver.
pub(super) struct Plugin;

impl Driver for Plugin {
    fn check(&self, _: &NetworkSpec) -> Result<(), Error> {
        Ok(())
    }

    fn ensure(&self, _: &Network, _: &mut Host, _: &Config) -> Result<(), Error> {
        Ok(())
    }

    fn remove(&self, _: &Network, _: &mut Host) -> Result<(), Error> {
        Ok(())
    }
}
