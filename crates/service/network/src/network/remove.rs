//! Removes networks: the bridge first, its rules after it, the record last, so that a crash leaves a whole network.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use hakone_base::{EventKind, NetworkId};
use hakone_engine_api::Filters;
use hakone_netlink::delete_link;

use super::create::{announce, record_path};
use crate::{
    Error, chains, driver, filter,
    network::pattern,
    record::Network,
    remote,
    service::{Inner, lock, now},
    sweep,
};

/// Removes one network.
pub(crate) fn remove(service: &Arc<Inner>, wanted: &str) -> Result<NetworkId, Error> {
    let network = {
        let mut state = lock(&service.state);
        let network = state.network(wanted)?.clone();
        check(&network, state.endpoints(&network.id).next().is_some())?;
        if network.spec.config_only {
            pattern::unused(network.name(), &state)?;
        }
        // Nobody can join it from here on.
        state.networks.remove(&network.id);
        network
    };
    if let Err(error) = unmake(service, &network) {
        lock(&service.state)
            .networks
            .insert(network.id.clone(), network);
        return Err(error);
    }
    chains::ensure(service);
    announce(service, "destroy", &network);
    Ok(network.id)
}

/// Removes all unused networks that pass.
pub(crate) fn prune(service: &Arc<Inner>, filters: &Filters) -> Result<Vec<String>, Error> {
    let mut unused = Vec::new();
    {
        let state = lock(&service.state);
        for network in state.networks.values() {
            if filter::prunes(filters, &state, network, now())? {
                unused.push((network.id.clone(), network.name().to_owned()));
            }
        }
    }
    let mut removed = Vec::new();
    for (id, name) in unused {
        match remove(service, id.as_str()) {
            Ok(_) => removed.push(name),
            Err(error) => tracing::warn!(network.id = %id, %error, "could not prune a network"),
        }
    }
    // Networks take no room; Docker says so all the same.
    let nothing = BTreeMap::from([("reclaimed".to_owned(), "0".to_owned())]);
    service
        .events
        .publish(EventKind::Network, "prune", "", nothing);
    Ok(removed)
}

/// Removes bridges, interfaces and rules of all networks from the host; the records stay.
pub(crate) fn purge(service: &Arc<Inner>) -> Result<(), Error> {
    // Nobody puts back what is taken away now.
    service.settled.store(false, Ordering::Release);
    chains::remove(service);
    let networks: Vec<Network> = lock(&service.state).networks.values().cloned().collect();
    let mut host = lock(&service.host);
    let mut outcome = host.clear_rules();
    for link in host
        .links
        .links()?
        .iter()
        .filter(|link| sweep::is_ours(link))
    {
        if let Ok(name) = link.name.parse() {
            let deleted = host.links.execute([delete_link(&name).unless_missing()]);
            outcome = outcome.and(deleted.map_err(Error::from));
        }
    }
    for network in networks {
        outcome = outcome.and(driver::of(network.spec.driver).remove(&network, &mut host));
    }
    outcome
}

fn check(network: &Network, has_endpoints: bool) -> Result<(), Error> {
    if network.is_predefined() {
        return Err(Error::Undeletable(network.name().to_owned()));
    }
    match has_endpoints {
        true => Err(Error::InUse {
            name: network.name().to_owned(),
            id: network.id.clone(),
        }),
        false => Ok(()),
    }
}

fn unmake(service: &Inner, network: &Network) -> Result<(), Error> {
    remote::unmake(service, network)?;
    let mut host = lock(&service.host);
    driver::of(network.spec.driver).remove(network, &mut host)?;
    lock(&service.state).changed();
    host.load_rules(&service.state)?;
    drop(host);
    let path = record_path(&service.config, &network.id);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::File { path, source })
        }
        _ => Ok(()),
    }
}
