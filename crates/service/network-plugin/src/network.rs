//! Makes and removes networks of plugins.

use std::{collections::BTreeMap, net::IpAddr};

use hakone_base::NetworkId;
use hakone_ipam::Pool;
use hakone_network_model::NetworkSpec;
use hakone_plugin_model::{Abilities, NetworkNamed, NetworkToMake, Nothing, Outcome, PoolData};
use serde_json::{Value, json};

use crate::{Error, Plugins, PoolLease, pools};

/// Where the driver's own options stand.
pub(crate) const GENERIC: &str = "com.docker.network.generic";

/// A network that a plugin has to do with.
#[derive(Clone, Copy, Debug)]
pub struct Remote<'a> {
    /// Its id.
    pub id: &'a NetworkId,
    /// What was asked for.
    pub spec: &'a NetworkSpec,
    /// Its pools.
    pub pools: &'a [Pool],
    /// Under which names an address plugin knows them, in their order.
    pub leases: &'a [PoolLease],
}

impl<'a> Remote<'a> {
    /// Names the plugin that makes it.
    pub(crate) fn driver(self) -> Option<&'a str> {
        self.spec.plugin.as_deref()
    }
}

/// Asks a network's driver to make it; tells whether it spans hosts. Does nothing for networks of ours.
///
/// # Errors
/// When the driver is away or refuses.
pub fn make(plugins: &Plugins, network: Remote<'_>) -> Result<bool, Error> {
    let Some(name) = network.driver() else {
        return Ok(false);
    };
    let plugin = plugins.driver(name)?;
    let told: Result<Abilities, _> =
        plugins.ask(&plugin, "NetworkDriver.GetCapabilities", &Nothing {});
    let question = NetworkToMake {
        network: network.id.as_str(),
        options: options(network),
        v4: pools_of(network, false),
        v6: pools_of(network, true),
    };
    let _made: Outcome = plugins.ask(&plugin, "NetworkDriver.CreateNetwork", &question)?;
    Ok(told.unwrap_or_default().is_global())
}

/// Asks a network's driver to remove it, and gives its pools back. A driver that is there and refuses changes nothing, as in
/// Docker; one that is away keeps the network.
///
/// # Errors
/// When the driver cannot be found or does not answer.
pub fn unmake(plugins: &Plugins, network: Remote<'_>) -> Result<(), Error> {
    if let Some(name) = network.driver() {
        let plugin = plugins.driver(name)?;
        let question = NetworkNamed {
            network: network.id.as_str(),
        };
        let gone: Result<Outcome, _> =
            plugins.ask(&plugin, "NetworkDriver.DeleteNetwork", &question);
        match gone {
            Err(Error::Plugin(error @ hakone_plugin::Error::Refused { .. })) => {
                tracing::warn!(network.id = %network.id, %error, "a driver did not remove its network");
            }
            gone => drop(gone?),
        }
    }
    if let Some(name) = &network.spec.ipam_driver {
        let leases = network.leases.iter().cloned();
        let pools: Vec<_> = leases.zip(network.pools.iter().cloned()).collect();
        pools::release(plugins, name, &pools);
    }
    Ok(())
}

fn options(network: Remote<'_>) -> BTreeMap<&'static str, Value> {
    let spec = &network.spec;
    let mut options = BTreeMap::from([
        (GENERIC, json!(spec.options)),
        ("com.docker.network.enable_ipv4", json!(spec.ipv4)),
        ("com.docker.network.enable_ipv6", json!(spec.ipv6)),
    ]);
    if spec.internal {
        options.insert("com.docker.network.internal", json!(true));
    }
    options
}

fn pools_of(network: Remote<'_>, v6: bool) -> Vec<PoolData> {
    let space = network.leases.first();
    let space = space.map_or("LocalDefault", |lease| lease.space.as_str());
    let pools = network.pools.iter();
    pools
        .filter(|pool| pool.subnet.is_ipv6() == v6)
        .map(|pool| data(space, pool))
        .collect()
}

fn data(space: &str, pool: &Pool) -> PoolData {
    let prefix = pool.subnet.prefix_len();
    let with_prefix = |address: IpAddr| format!("{address}/{prefix}");
    let auxiliary = pool.auxiliary.iter();
    PoolData {
        address_space: space.to_owned(),
        pool: pool.subnet.to_string(),
        gateway: with_prefix(pool.gateway),
        aux_addresses: auxiliary
            .map(|(name, address)| (name.clone(), with_prefix(*address)))
            .collect(),
    }
}
