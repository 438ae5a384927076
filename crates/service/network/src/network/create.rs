//! Creates a network: decide under the lock, record, load rules, make the bridge, announce.
//!
//! The record comes first: a daemon that dies half-way finds it at its next start and goes on. The rules come before the
//! bridge, for they speak of its name only: there is no moment in which it could forward without them.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use hakone_base::{EventKind, NetworkId, Subnet};
use hakone_ipam::Pool;
use hakone_network_plugin::{self as plugin, PoolLease};
use hakone_store::{Durability, save};

use crate::{
    Config, DriverKind, Error, NetworkSpec,
    addresses::{self, Occupied},
    chains, driver,
    network::pattern,
    record::Network,
    remote,
    service::{Inner, lock, now, random},
    state::State,
};

/// Creates a network of the user's.
pub(crate) fn create(service: &Arc<Inner>, spec: NetworkSpec) -> Result<NetworkId, Error> {
    let spec = pattern::apply(spec, &lock(&service.state))?;
    let spec = spec.with_defaults(&service.config.default_options)?;
    driver::of(spec.driver).check(&spec)?;
    if let Some(name) = &spec.plugin {
        service.plugins.driver(name)?;
    }
    let routes = routes(service)?;
    let network = reserve(service, spec, &routes)?;
    if let Err(error) = make(service, &network) {
        undo(service, &network);
        return Err(error);
    }
    chains::ensure(service);
    announce(service, "create", &network);
    Ok(network.id)
}

/// Decides, and lets the state know the network. Address plugins are asked before, for nobody waits for them under a lock.
fn reserve(service: &Arc<Inner>, spec: NetworkSpec, routes: &[Subnet]) -> Result<Network, Error> {
    unique(&lock(&service.state), &spec)?;
    let leased = plugin::request(&service.plugins, &spec)?;
    let ipam_driver = spec.ipam_driver.clone().unwrap_or_default();
    let reserved = {
        let mut state = lock(&service.state);
        let decided = unique(&state, &spec)
            .and_then(|()| decide(spec, &state, routes, &service.config))
            .and_then(|network| with_leases(network, &state, leased.as_deref()));
        decided.inspect(|network| {
            state.networks.insert(network.id.clone(), network.clone());
            state.changed();
        })
    };
    if let (Err(_), Some(leased)) = (&reserved, leased) {
        plugin::release(&service.plugins, &ipam_driver, &leased);
    }
    reserved
}

fn unique(state: &State, spec: &NetworkSpec) -> Result<(), Error> {
    let mut networks = state.networks.values();
    match networks.any(|network| network.name() == spec.name.as_str()) {
        true => Err(Error::Exists(spec.name.to_string())),
        false => Ok(()),
    }
}

/// Takes the pools that an address plugin gave; it does not know our other networks.
fn with_leases(
    mut network: Network,
    state: &State,
    leased: Option<&[(PoolLease, Pool)]>,
) -> Result<Network, Error> {
    let Some(leased) = leased else {
        return Ok(network);
    };
    let taken = state.subnets();
    for (_, pool) in leased {
        let other = taken.iter().find(|(_, other)| other.overlaps(&pool.subnet));
        if let Some((_, taken)) = other {
            let (wanted, taken) = (pool.subnet, *taken);
            return Err(hakone_ipam::Error::Overlap { wanted, taken }.into());
        }
    }
    network.leases = leased.iter().map(|(lease, _)| lease.clone()).collect();
    network.pools = leased.iter().map(|(_, pool)| pool.clone()).collect();
    Ok(network)
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
    let has_pools = !matches!(spec.driver, DriverKind::Host | DriverKind::Null);
    let pools = match has_pools && spec.ipam_driver.is_none() {
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
        unmade: spec.driver == DriverKind::Plugin,
        spec,
        pools,
        bridge,
        leases: Vec::new(),
        global: false,
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
        ("type".to_owned(), network.spec.driver_name().to_owned()),
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
    remote::make(service, network)?;
    let mut host = lock(&service.host);
    host.load_rules(&service.state)?;
    driver::of(network.spec.driver).ensure(network, &mut host, &service.config)
}

fn undo(service: &Inner, network: &Network) {
    if let Err(error) = remote::unmake(service, network) {
        tracing::warn!(network.id = %network.id, %error, "a plugin may keep a network that was not made");
    }
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
