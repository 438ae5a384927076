//! Keeps the administrator's chains in the host's iptables, for as long as there are networks.
//!
//! Their rules are not what holds networks apart, so a host whose iptables refuses us is told of it and goes on without.

use std::sync::Arc;

use hakone_base::BridgeName;
use hakone_iptables::Chains;

use crate::{
    Config,
    service::{Inner, lock},
};

/// Opens the chains of the calling thread's network namespace, unless the rules are none of ours.
pub(crate) fn open(config: &Config) -> Option<Arc<Chains>> {
    if !config.firewall {
        return None;
    }
    match Chains::open(config.firewall_v6) {
        Ok(chains) if chains.is_empty() => {
            tracing::debug!("no iptables on this host: no chains for the administrator");
            None
        }
        Ok(chains) => Some(Arc::new(chains)),
        Err(error) => {
            tracing::warn!(%error, "no chains for the administrator");
            None
        }
    }
}

/// Makes what is missing for the present networks; tells whether anything was.
pub(crate) fn ensure(service: &Inner) -> bool {
    // One at a time, and the state is read then: so the last of several brings what all have made.
    let _turn = lock(&service.chains);
    let (chains, forward) = {
        let host = lock(&service.host);
        (host.chains.clone(), host.forwarding)
    };
    let Some(chains) = chains else {
        return false;
    };
    let ensured = chains.ensure(&bridges(service), forward);
    ensured.unwrap_or_else(|error| {
        tracing::warn!(%error, "DOCKER-USER and DOCKER not led through for containers");
        false
    })
}

/// Takes away what is ours of it.
pub(crate) fn remove(service: &Inner) {
    let _turn = lock(&service.chains);
    let chains = lock(&service.host).chains.clone();
    if let Some(Err(error)) = chains.map(|chains| chains.remove()) {
        tracing::warn!(%error, "could not remove our chain from iptables");
    }
}

fn bridges(service: &Inner) -> Vec<BridgeName> {
    let state = lock(&service.state);
    let networks = state.networks.values();
    let mut bridges: Vec<BridgeName> = networks.filter_map(|one| one.bridge.clone()).collect();
    bridges.sort();
    bridges
}
