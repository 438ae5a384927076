//! Networks and addresses of plugins: what `network-plugin` asks, joined with what this service knows.
//!
//! No lock is held while a plugin is asked. What passes between members of a plugin's network passes no rule of ours: whoever has
//! a policy is kept off it, as on macvlan.

mod link;

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::AsFd as _,
    sync::Arc,
};

use hakone_base::{EndpointId, IfName, NetworkId, Subnet};
use hakone_netns::Netns;
use hakone_network_plugin::{self as plugin, Lease, Ports, Remote, Surroundings};
use hakone_plugin_model::Join;
use hakone_store::{Durability, save};

pub(crate) use link::{attach, take_out};

use crate::{
    EndpointReport, EndpointRequest, Error, RemoteLink, Route, SandboxReport,
    network::record_path,
    record::Network,
    service::{Inner, lock, random},
};

/// The leases of a container by network.
pub(crate) type Leases = BTreeMap<NetworkId, Lease>;

impl Network {
    /// Shows it as plugins are told of it.
    pub(crate) fn remote(&self) -> Remote<'_> {
        Remote {
            id: &self.id,
            spec: &self.spec,
            pools: &self.pools,
            leases: &self.leases,
        }
    }
}

/// Asks a network's driver to make it, and notes that it did. Does nothing for networks of ours.
pub(crate) fn make(service: &Inner, network: &Network) -> Result<(), Error> {
    if network.spec.plugin.is_none() {
        return Ok(());
    }
    let made = Network {
        global: plugin::make(&service.plugins, network.remote())?,
        unmade: false,
        ..network.clone()
    };
    let path = record_path(&service.config, &network.id);
    save(&path, &made, Durability::Power)?;
    let mut state = lock(&service.state);
    state.networks.insert(made.id.clone(), made);
    Ok(())
}

/// Asks a network's plugins to remove it.
pub(crate) fn unmake(service: &Inner, network: &Network) -> Result<(), Error> {
    Ok(plugin::unmake(&service.plugins, network.remote())?)
}

/// Gives back what no container has, undoes networks whose making was cut off, and lets forgetful address plugins know what they
/// gave. Runs beside everything else: a plugin may not be there yet.
pub(crate) fn reconcile(service: &Arc<Inner>) {
    let mut stray = service.plugins.ledger.endpoints();
    {
        let state = lock(&service.state);
        let sandboxes = state.sandboxes.values();
        let known = sandboxes.flat_map(|one| &one.report.endpoints);
        let known: BTreeSet<_> = known.map(|one| &one.id).collect();
        stray.retain(|endpoint| !known.contains(endpoint));
    }
    give_back(service, &stray);
    let networks: Vec<Network> = lock(&service.state).networks.values().cloned().collect();
    for network in networks {
        match network.unmade {
            true => undo(service, &network),
            false => remember(service, &network),
        }
    }
}

/// Removes a network that a daemon's death left half made.
fn undo(service: &Inner, network: &Network) {
    if let Err(error) = unmake(service, network) {
        tracing::warn!(network.id = %network.id, %error, "a half-made network stays with its plugin");
    }
    let mut state = lock(&service.state);
    state.networks.remove(&network.id);
    state.changed();
    drop(state);
    std::fs::remove_file(record_path(&service.config, &network.id)).ok();
}

fn remember(service: &Inner, network: &Network) {
    let members = lock(&service.state).taken(&network.id);
    let members: Vec<_> = members.into_iter().collect();
    if let Err(error) = plugin::replay(&service.plugins, network.remote(), &members) {
        tracing::warn!(network.id = %network.id, %error, "an address plugin does not know what it gave");
    }
}

/// Notes an endpoint for each asked network that a plugin has to do with, and asks address plugins for addresses.
pub(crate) fn lease(
    service: &Arc<Inner>,
    asked: &[(Network, EndpointRequest)],
) -> Result<Leases, Error> {
    let mut leases = Leases::new();
    for (network, asked) in asked.iter().filter(|(network, _)| network.is_remote()) {
        let endpoint = EndpointId::from_bytes(random());
        let leased = plugin::lease(&service.plugins, network.remote(), asked, endpoint.clone());
        match leased {
            Ok(lease) => drop(leases.insert(network.id.clone(), lease)),
            Err(error) => {
                let begun = leases.into_values().map(|one| one.endpoint);
                let begun: Vec<_> = begun.chain([endpoint]).collect();
                give_back(service, &begun);
                return Err(error.into());
            }
        }
    }
    Ok(leases)
}

/// Asks the drivers to make a sandbox's endpoints, but for those that are plugged in already.
pub(crate) fn create_endpoints(
    service: &Inner,
    report: &mut SandboxReport,
    ports: Ports<'_>,
) -> Result<(), Error> {
    let new = report.endpoints.iter_mut();
    for endpoint in new.filter(|one| one.remote.is_none()) {
        if let Some((network, around)) = of(service, endpoint) {
            let network = network.remote();
            plugin::create(&service.plugins, network, endpoint, ports, &around)?;
        }
    }
    Ok(())
}

/// Asks the drivers to let the container join, and notes which interfaces of the host are to go inside.
pub(crate) fn join_endpoints(
    service: &Inner,
    report: &mut SandboxReport,
    netns: &Netns,
) -> Result<(), Error> {
    let mut names: Vec<IfName> = report
        .endpoints
        .iter()
        .filter_map(|one| one.interface.clone())
        .collect();
    let new = report.endpoints.iter_mut();
    for endpoint in new.filter(|one| one.remote.is_none()) {
        let Some((network, around)) = of(service, endpoint) else {
            continue;
        };
        let joined = plugin::join(
            &service.plugins,
            network.remote(),
            endpoint,
            netns.as_fd(),
            &around,
        )?;
        if let Some(join) = joined {
            let stem = join.stem.as_deref();
            let name = stem.and_then(|stem| inside_name(stem, &names));
            names.extend(name.clone());
            endpoint.interface = name.or(endpoint.interface.take());
            take(endpoint, join);
        }
    }
    Ok(())
}

/// Asks the driver of the way out to publish ports, and notes what it says of them.
pub(crate) fn program(
    service: &Inner,
    report: &mut SandboxReport,
    ports: Ports<'_>,
) -> Result<(), Error> {
    let Some(id) = report.publishing().cloned() else {
        return Ok(());
    };
    let mut endpoints = report.endpoints.iter_mut();
    let Some(endpoint) = endpoints.find(|one| one.id == id) else {
        return Ok(());
    };
    let Some((network, _)) = of(service, endpoint) else {
        return Ok(());
    };
    let told = plugin::program(&service.plugins, network.remote(), endpoint, ports)?;
    if let Some(remote) = &mut endpoint.remote {
        remote.published = told;
    }
    Ok(())
}

/// Gives endpoints back to their plugins, each once.
pub(crate) fn give_back(service: &Inner, endpoints: &[EndpointId]) {
    plugin::give_back(&service.plugins, endpoints, |network, give| {
        let found = lock(&service.state).networks.get(network).cloned();
        found.map_or(Ok(()), |network| give(network.remote()))
    });
}

/// The same in its own time, for who cannot wait.
pub(crate) fn give_back_soon(service: &Arc<Inner>, endpoints: Vec<EndpointId>) {
    let inner = Arc::clone(service);
    let giving = move || give_back(&inner, &endpoints);
    drop(service.runtime.spawn_blocking(giving));
}

/// Gives the first name of a stem that the sandbox does not have.
fn inside_name(stem: &str, taken: &[IfName]) -> Option<IfName> {
    let mut names = (0..=taken.len()).map(|number| format!("{stem}{number}"));
    let free = names.find(|name| !taken.iter().any(|one| one.as_str() == name))?;
    free.parse().ok()
}

/// A gateway that the driver names replaces the pool's.
fn take(endpoint: &mut EndpointReport, join: Join) {
    if let (Some(v4), Some(gateway)) = (&mut endpoint.ipv4, join.gateway_v4) {
        v4.gateway = Some(gateway);
    }
    if let (Some(v6), Some(gateway)) = (&mut endpoint.ipv6, join.gateway_v6) {
        v6.gateway = Some(gateway);
    }
    let routes = join.routes.into_iter();
    endpoint.remote = Some(RemoteLink {
        source: join.source,
        published: Vec::new(),
        routes: routes
            .map(|route| Route {
                to: Subnet::new(route.to),
                gateway: route.gateway,
            })
            .collect(),
    });
}

/// Finds an endpoint's network, if a plugin made it, and what the plugin must keep off.
fn of(service: &Inner, endpoint: &EndpointReport) -> Option<(Network, Surroundings)> {
    let state = lock(&service.state);
    let network = state.networks.get(&endpoint.network)?;
    network.spec.plugin.as_ref()?;
    let others = state.subnets().into_iter();
    let foreign = others.filter(|(id, _)| *id != network.id);
    let around = Surroundings {
        foreign: foreign.map(|(_, subnet)| subnet).collect(),
        taken: state.taken(&network.id),
    };
    Some((network.clone(), around))
}
