//! Creates a network: decide under the lock, record, load rules, make the bridge, announce.
//!
//! The record comes first: a daemon that dies half-way finds it at its next start and goes on. The rules come before the
//! bridge, for they speak of its name only: there is no moment in which it could forward without them.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use hakone_base::{EventKind, NetworkId, Subnet};
use hakone_store::{Durability, save};

use crate::{
    Config, DriverKind, Error, NetworkSpec,
    addresses::{self, Occupied},
    chains, driver,
    record::Network,
    service::{Inner, lock, now, random},
    state::State,
};

/// Creates a network of the user's.
pub(crate) fn create(service: &Arc<Inner>, spec: NetworkSpec) -> Result<NetworkId, Error> {
    let spec = spec.with_defaults(&service.config.default_options)?;
    driver::of(spec.driver).check(&spec)?;
    let routes = routes(service)?;
    let network = {
        let mut state = lock(&service.state);
        if state
            .networks
            .values()
            .any(|network| network.name() == spec.name.as_str())
        {
            return Err(Error::Exists(spec.name.to_string()));
        }
        let network = decide(spec, &state, &routes, &service.config)?;
        state.networks.insert(network.id.clone(), network.clone());
        state.changed();
        network
    };
    if let Err(error) = make(service, &network) {
        undo(service, &network);
        return Err(error);
    }
    chains::ensure(service);
    announce(service, "create", &network);
    Ok(network.id)
}

/// Decides everything that the request leaves open.
pub(crate) fn decide(
    spec: NetworkSpec,
    state: &State,
    routes: &[Subnet],
    config: &Config,
) -> Result<Network, Error> {
    let id = NetworkId::from_bytes(random());
    let networks: Vec<Subnet> = state
        .subnets()
        .into_iter()
        .map(|(_, subnet)| subnet)
        .collect();
    let occupied = Occupied {
        networks: &networks,
        routes,
    };
    let is_bridge = spec.driver == DriverKind::Bridge;
    let pools = match is_bridge || spec.driver == DriverKind::Macvlan {
        true => addresses::pools(&spec, &addresses::free(config, global_id(state)), &occupied)?,
        false => Vec::new(),
    };
    let bridge = is_bridge.then(|| bridge_name(&spec, &id)).transpose()?;
    let other = state
        .networks
        .values()
        .find(|other| bridge.is_some() && other.bridge == bridge);
    if let (Some(other), Some(bridge)) = (other, &bridge) {
        return Err(Error::BridgeTaken {
            network: id,
            other: other.id.clone(),
            bridge: bridge.to_string(),
        });
    }
    Ok(Network {
        id,
        created: now(),
        has_own_subnet: spec.pools.iter().any(|pool| pool.subnet.is_some()),
        spec,
        pools,
        bridge,
    })
}

/// Gives the file of a network's record.
pub(crate) fn record_path(config: &Config, id: &NetworkId) -> PathBuf {
    config.folder.join(format!("{id}.json"))
}

/// Lists the subnets that the host has routes to; nothing that is reached otherwise must become a network of ours.
pub(crate) fn routes(service: &Inner) -> Result<Vec<Subnet>, Error> {
    let routes = lock(&service.host).links.routes()?;
    Ok(routes
        .into_iter()
        .map(|route| Subnet::new(route.to))
        .collect())
}

/// Publishes that a network came or went.
pub(super) fn announce(service: &Inner, action: &str, network: &Network) {
    let attributes = BTreeMap::from([
        ("name".to_owned(), network.name().to_owned()),
        ("type".to_owned(), network.spec.driver.as_str().to_owned()),
    ]);
    service
        .events
        .publish(EventKind::Network, action, network.id.as_str(), attributes);
}

fn make(service: &Inner, network: &Network) -> Result<(), Error> {
    save(
        &record_path(&service.config, &network.id),
        network,
        Durability::Power,
    )?;
    let mut host = lock(&service.host);
    host.load_rules(&service.state)?;
    driver::of(network.spec.driver).ensure(network, &mut host, &service.config)
}

fn undo(service: &Inner, network: &Network) {
    let mut state = lock(&service.state);
    state.networks.remove(&network.id);
    state.changed();
    drop(state);
    let mut host = lock(&service.host);
    let gone = driver::of(network.spec.driver)
        .remove(network, &mut host)
        .and_then(|()| host.load_rules(&service.state));
    if let Err(error) = gone {
        tracing::warn!(network.id = %network.id, %error, "could not undo a network");
    }
    std::fs::remove_file(record_path(&service.config, &network.id)).ok();
}

/// Gives forty bits that are this installation's own: those of the id of a network that is always there.
fn global_id(state: &State) -> [u8; 5] {
    let mut bits = [0; 5];
    let default = state
        .networks
        .values()
        .find(|network| network.name() == "none");
    let digits = default
        .map(|network| network.id.as_str().as_bytes())
        .unwrap_or_default();
    for (byte, pair) in bits.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(pair, 16).unwrap_or_default();
    }
    bits
}

fn bridge_name(spec: &NetworkSpec, id: &NetworkId) -> Result<hakone_base::BridgeName, Error> {
    match &spec.bridge.name {
        Some(name) => Ok(name.clone()),
        None => format!("br-{}", id.short())
            .parse()
            .map_err(|error: hakone_base::IfNameError| Error::Invalid(error.to_string())),
    }
}
