//! Keeps the administrator's chains in the host's iptables, for as long as there are networks.
//!
//! With nftables their rules are not what holds networks apart, so a host whose iptables refuses us is told of it and goes on
//! without. With the back end `iptables` all rules stand there (`host`), and without its programs the daemon does not start.

use std::sync::Arc;

use hakone_base::BridgeName;
use hakone_iptables::{Chains, Forward};

use crate::{
    Backend, Config, Error,
    service::{Inner, lock},
};

/// What the administrator's chains were made for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Brought {
    bridges: Vec<BridgeName>,
    forward: [Forward; 2],
}

/// Opens the chains of the calling thread's network namespace, unless the rules are none of ours.
///
/// # Errors
/// When all rules are to stand in the host's iptables and it has no programs for that.
pub(crate) fn open(config: &Config) -> Result<Option<Arc<Chains>>, Error> {
    if !config.firewall {
        return Ok(None);
    }
    let chains = Chains::open(config.firewall_v6);
    if config.backend == Backend::Iptables {
        let covers = |chains: &Chains| chains.covers(config.firewall_v6);
        let chains = chains.ok().filter(covers).ok_or(Error::NoIptables)?;
        return Ok(Some(Arc::new(chains)));
    }
    Ok(match chains {
        Ok(chains) if chains.is_empty() => {
            tracing::debug!("no iptables on this host: no chains for the administrator");
            None
        }
        Ok(chains) => Some(Arc::new(chains)),
        Err(error) => {
            tracing::warn!(%error, "no chains for the administrator");
            None
        }
    })
}

/// Puts back what another program took from the host's iptables; tells whether anything was missing.
pub(crate) fn mend(service: &Inner) -> bool {
    let backend = lock(&service.host).backend;
    if backend == Backend::Nftables {
        return ensure(service);
    }
    let _turn = lock(&service.chains);
    let mended = lock(&service.host).mend_tables(&service.state);
    mended.unwrap_or_else(|error| {
        tracing::error!(%error, "rules in the host's iptables could not be put back");
        false
    })
}

/// Makes the administrator's chains for the present networks where they are missing; tells whether any of those were that stood
/// there before. Where all rules stand in iptables, they bring those chains along.
pub(crate) fn ensure(service: &Inner) -> bool {
    // One at a time, and the state is read then: so the last of several brings what all have made.
    let mut brought = lock(&service.chains);
    let (chains, forward) = {
        let host = lock(&service.host);
        let chains = host.chains.clone();
        let apart = chains.filter(|_| host.backend == Backend::Nftables);
        (apart, host.forwarding)
    };
    let Some(chains) = chains else {
        return false;
    };
    let wanted = Brought {
        bridges: bridges(service),
        forward,
    };
    // Who comes before the network that is just being made brings its chains; nobody took those away.
    let stood = brought.as_ref() == Some(&wanted);
    match chains.ensure(&wanted.bridges, forward) {
        Ok(missing) => {
            *brought = Some(wanted);
            missing && stood
        }
        Err(error) => {
            tracing::warn!(%error, "DOCKER-USER and DOCKER not led through for containers");
            *brought = None;
            false
        }
    }
}

/// Takes away what is ours of it.
pub(crate) fn remove(service: &Inner) {
    let mut brought = lock(&service.chains);
    *brought = None;
    let chains = lock(&service.host).chains.clone();
    let removed = chains.map(|chains| chains.remove().and(chains.unload()));
    if let Some(Err(error)) = removed {
        tracing::warn!(%error, "could not remove our rules from iptables");
    }
}

fn bridges(service: &Inner) -> Vec<BridgeName> {
    let state = lock(&service.state);
    let networks = state.networks.values();
    let mut bridges: Vec<BridgeName> = networks.filter_map(|one| one.bridge.clone()).collect();
    bridges.sort();
    bridges
}
