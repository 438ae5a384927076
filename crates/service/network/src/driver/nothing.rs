//! The drivers that make nothing on the host: `host` is it, `null` is a loopback alone, and plugins make what their networks need, asked
//! by `remote` without the host's lock.

use super::Driver;
use crate::{Error, NetworkSpec};

/// The host's own namespace.
pub(super) struct HostNetwork;

/// A namespace with a loopback.
pub(super) struct Null;

/// Whatever a plugin makes.
pub(super) struct Plugin;

impl Driver for HostNetwork {
    /// There is one host, so there is one such network, and we made it.
    fn check(&self, _: &NetworkSpec) -> Result<(), Error> {
        Err(Error::OnlyOne("host"))
    }
}

impl Driver for Null {
    /// One network without anything is enough, and we made it; patterns of networks are something else.
    fn check(&self, spec: &NetworkSpec) -> Result<(), Error> {
        match spec.config_only {
            true => Ok(()),
            false => Err(Error::OnlyOne("null")),
        }
    }
}

impl Driver for Plugin {
    fn check(&self, _: &NetworkSpec) -> Result<(), Error> {
        Ok(())
    }
}
