//! The driver `macvlan`: containers are machines of their own on the link of one of the host's interfaces.
//!
//! Without a parent, and on internal networks, the link leads nowhere. The host is no neighbour of its containers there: the
//! kernel keeps a parent and what is on top of it apart. Rules of ours hold each endpoint to its own addresses.

mod endpoint;
pub(super) mod parent;

use hakone_netlink::delete_link;

use super::Driver;
use crate::{Config, Error, NetworkSpec, host::Host, record::Network};

pub(super) use endpoint::flag;
pub(crate) use endpoint::{attach, detach, open_port, outer, relays};

/// The driver.
pub(super) struct Macvlan;

impl Driver for Macvlan {
    fn check(&self, spec: &NetworkSpec) -> Result<(), Error> {
        match spec.ipv4 || spec.ipv6 {
            true => Ok(()),
            false => Err(Error::Invalid("IPv4 or IPv6 must be enabled".to_owned())),
        }
    }

    fn ensure(&self, network: &Network, host: &mut Host, _: &Config) -> Result<(), Error> {
        parent::ensure(network, host)?;
        Ok(())
    }

    /// The host's own interfaces stay; one that leads nowhere was made for this network.
    fn remove(&self, network: &Network, host: &mut Host) -> Result<(), Error> {
        match parent::named(network) {
            Some(_) => Ok(()),
            None => {
                let nowhere = parent::nowhere(network)?;
                Ok(host
                    .links
                    .execute([delete_link(&nowhere).unless_missing()])?)
            }
        }
    }
}
