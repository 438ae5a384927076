//! Tells whoever wants to know who is on which network: the flow log names addresses by it.

use hakone_flow_model::Owner;

use crate::state::{Stage, State};

/// Somebody who wants to know who is on which network.
pub trait Watcher: std::fmt::Debug + Send + Sync {
    /// Takes all who are there now; called before their first packet.
    fn observe(&self, owners: Vec<Owner>);
}

/// Derives who is there.
pub(crate) fn owners(state: &State) -> Vec<Owner> {
    let live = state.sandboxes.iter();
    let live = live.filter(|(_, attached)| attached.stage == Stage::Live);
    live.flat_map(|(container, attached)| {
        attached.report.endpoints.iter().map(|endpoint| Owner {
            endpoint: endpoint.id.clone(),
            container: container.clone(),
            name: attached.report.name.to_string(),
            network: endpoint.network.clone(),
            network_name: endpoint.network_name.clone(),
            port: endpoint.port.clone(),
            addresses: endpoint
                .addresses()
                .chain(endpoint.shared_addresses())
                .collect(),
        })
    })
    .collect()
}
