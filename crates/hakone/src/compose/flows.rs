//! Lends the flow log to networks, which tell it who is there.

use std::sync::Arc;

use hakone_flow::{Config, Error, Owner, Service};
use hakone_network::Watcher;

/// The flow log as networks see it.
#[derive(Debug)]
struct Joined(Service);

/// Opens the log that was asked for, before networks tell who is there.
pub(crate) fn open(
    config: Option<&Config>,
    networks: &hakone_network::Service,
) -> Result<Service, Error> {
    let Some(config) = config else {
        return Ok(Service::default());
    };
    let flows = Service::open(config)?;
    networks.watch(Arc::new(Joined(flows.clone())));
    Ok(flows)
}

impl Watcher for Joined {
    fn observe(&self, owners: Vec<Owner>) {
        self.0.observe(owners);
    }
}
