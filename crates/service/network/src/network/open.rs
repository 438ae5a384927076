//! Opens the service: reads the records, adds the default networks, makes every bridge.
//!
//! The rules of an earlier daemon are left as they are; only where there are none, or new bridges, are they loaded.

use std::{fs, sync::Arc};

use hakone_store::{Durability, load_all, save};

use super::{
    create::{decide, record_path, routes},
    defaults,
};
use crate::{
    Error, NetworkSpec, chains, driver,
    record::Network,
    service::{Inner, lock},
};

/// Fills the state and makes what it needs on the host; one network that cannot be made does not stop the others.
pub(crate) fn open(service: &Arc<Inner>) -> Result<(), Error> {
    let folder = &service.config.folder;
    let fault = |source| Error::File {
        path: folder.clone(),
        source,
    };
    fs::create_dir_all(folder).map_err(fault)?;
    let (records, unreadable) = load_all::<Network>(folder).map_err(fault)?;
    for error in unreadable {
        tracing::error!(%error, "network left out");
    }
    lock(&service.state).networks = records
        .into_iter()
        .map(|record| (record.id.clone(), record))
        .collect();
    if !service.config.has_default_bridge {
        give_up_default(service)?;
    }
    for spec in defaults::all(&service.config)? {
        ensure_default(service, spec)?;
    }
    let networks: Vec<Network> = lock(&service.state).networks.values().cloned().collect();
    let mut host = lock(&service.host);
    for network in networks {
        let made = driver::of(network.spec.driver).ensure(&network, &mut host, &service.config);
        match made {
            Ok(()) => {}
            Err(error) if network.is_predefined() => return Err(error),
            Err(error) => tracing::error!(network.id = %network.id, %error, "network not restored"),
        }
    }
    drop(host);
    chains::ensure(service);
    Ok(())
}

/// Takes away the default bridge of an earlier configuration.
fn give_up_default(service: &Inner) -> Result<(), Error> {
    let found = {
        let mut state = lock(&service.state);
        let mut networks = state.networks.values();
        let id = networks
            .find(|network| network.is_default_bridge())
            .map(|network| network.id.clone());
        id.and_then(|id| state.networks.remove(&id))
    };
    let Some(network) = found else {
        return Ok(());
    };
    driver::of(network.spec.driver).remove(&network, &mut lock(&service.host))?;
    let path = record_path(&service.config, &network.id);
    fs::remove_file(&path).map_err(|source| Error::File { path, source })
}

/// Keeps the id and, unless the configuration says otherwise, the subnet of a default network for good.
fn ensure_default(service: &Inner, spec: NetworkSpec) -> Result<(), Error> {
    let present = {
        let state = lock(&service.state);
        let mut networks = state.networks.values();
        networks
            .find(|network| network.name() == spec.name.as_str())
            .cloned()
    };
    let routes = match &present {
        Some(_) => Vec::new(),
        None => routes(service)?,
    };
    let mut state = lock(&service.state);
    if let Some(present) = &present {
        state.networks.remove(&present.id);
    }
    let wanted = match present
        .as_ref()
        .filter(|present| still_fits(present, &spec))
    {
        Some(present) => Network {
            spec,
            ..present.clone()
        },
        None => decide(spec, &state, &routes, &service.config)?,
    };
    let network = Network {
        id: present
            .as_ref()
            .map_or_else(|| wanted.id.clone(), |present| present.id.clone()),
        created: present
            .as_ref()
            .map_or(wanted.created, |present| present.created),
        bridge: wanted.spec.bridge.name.clone(),
        ..wanted
    };
    if present.as_ref() != Some(&network) {
        let path = record_path(&service.config, &network.id);
        match save(&path, &network, Durability::Power) {
            // The former record still stands: a full disk must not keep the daemon from its containers.
            Err(error) if present.is_some() => {
                tracing::error!(network.id = %network.id, %error, "network record not renewed");
            }
            saved => saved?,
        }
    }
    state.networks.insert(network.id.clone(), network);
    state.changed();
    Ok(())
}

/// Reports whether the addresses decided earlier are what the configuration asks for now.
fn still_fits(present: &Network, spec: &NetworkSpec) -> bool {
    let pool_of = |ipv6| {
        present
            .pools
            .iter()
            .find(|pool| pool.subnet.is_ipv6() == ipv6)
    };
    spec.ipv6 == pool_of(true).is_some()
        && spec.pools.iter().all(|asked| match asked.subnet {
            None => true,
            Some(subnet) => pool_of(subnet.is_ipv6()).is_some_and(|pool| {
                pool.subnet == subnet
                    && pool.range == asked.range
                    && asked.gateway.is_none_or(|gateway| pool.gateway == gateway)
            }),
        })
}
