//! Pools and addresses of address plugins.

use std::{collections::BTreeMap, net::IpAddr};

use hakone_base::{MacAddr, Subnet};
use hakone_ipam::{Pool, PoolRequest};
use hakone_network_model::NetworkSpec;
use hakone_plugin::Plugin;
use hakone_plugin_model::{
    AddressAsked, AddressGiven, AddressReleased, AddressSpaces, IpamAbilities, Nothing, Outcome,
    PoolAsked, PoolGiven, PoolNamed, judge_address, judge_pool,
};
use serde::{Deserialize, Serialize};

use crate::{Error, Plugins, Remote, plugins::refuse};

/// A pool that an address plugin gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolLease {
    /// What the plugin calls it.
    pub id: String,
    /// Whose addresses they are.
    pub space: String,
}

/// Under which key a plugin names the gateway with the pool.
const GATEWAY: &str = "com.docker.network.gateway";
/// What an address is for.
const PURPOSE: &str = "RequestAddressType";
/// The endpoint's Ethernet address, for plugins that want it.
const MAC: &str = "com.docker.network.endpoint.macaddress";

/// Asks a network's address plugin for its pools; `None` when it has none. What it gave before a failure it gets back.
///
/// # Errors
/// When the plugin is away, refuses, or gives what is none.
pub fn request(
    plugins: &Plugins,
    spec: &NetworkSpec,
) -> Result<Option<Vec<(PoolLease, Pool)>>, Error> {
    let Some(name) = &spec.ipam_driver else {
        return Ok(None);
    };
    let plugin = plugins.addresses(name)?;
    let spaces: AddressSpaces =
        plugins.ask(&plugin, "IpamDriver.GetDefaultAddressSpaces", &Nothing {})?;
    let asking = Asking {
        plugins,
        plugin: &plugin,
        space: &spaces.local,
        options: &spec.ipam_options,
    };
    let mut given = Vec::new();
    for (asked, v6) in wanted(spec) {
        match asking.pool(&asked, v6) {
            Ok(pool) => given.push(pool),
            Err(error) => {
                release(plugins, name, &given);
                return Err(error);
            }
        }
    }
    Ok(Some(given))
}

/// Gives pools back with their gateways and auxiliary addresses; what fails is told and left to the plugin.
pub fn release(plugins: &Plugins, name: &str, pools: &[(PoolLease, Pool)]) {
    let released = plugins.addresses(name).map(|plugin| {
        for (lease, pool) in pools {
            for address in std::iter::once(pool.gateway).chain(pool.auxiliary.values().copied()) {
                told(give_address(plugins, &plugin, &lease.id, address));
            }
            told(give_pool(plugins, &plugin, &lease.id));
        }
    });
    told(released);
}

/// Asks again for everything that a plugin without a memory gave.
///
/// # Errors
/// When the plugin is away, refuses, or gives something else.
pub fn replay(plugins: &Plugins, network: Remote<'_>, members: &[IpAddr]) -> Result<(), Error> {
    let Some(name) = &network.spec.ipam_driver else {
        return Ok(());
    };
    let plugin = plugins.addresses(name)?;
    let can: Result<IpamAbilities, _> =
        plugins.ask(&plugin, "IpamDriver.GetCapabilities", &Nothing {});
    if !can.unwrap_or_default().forgets {
        return Ok(());
    }
    for (lease, pool) in network.leases.iter().zip(network.pools) {
        let asking = Asking {
            plugins,
            plugin: &plugin,
            space: &lease.space,
            options: &network.spec.ipam_options,
        };
        let given = asking.subnet(Some(pool.subnet), pool.range, pool.subnet.is_ipv6())?;
        let here = members.iter().filter(|one| pool.subnet.contains(**one));
        let reserved = [(pool.gateway, GATEWAY)].into_iter();
        for (address, purpose) in reserved.chain(here.map(|one| (*one, ""))) {
            asking.address((&given.0, pool.subnet), Some(address), purpose, None)?;
        }
    }
    Ok(())
}

/// Asks for the address of an endpoint.
pub(crate) fn endpoint(
    plugins: &Plugins,
    network: Remote<'_>,
    lease: (&PoolLease, Subnet),
    asked: (Option<IpAddr>, Option<MacAddr>),
) -> Result<IpAddr, Error> {
    let name = network.spec.ipam_driver.as_deref().unwrap_or_default();
    let plugin = plugins.addresses(name)?;
    let asking = Asking {
        plugins,
        plugin: &plugin,
        space: &lease.0.space,
        options: &network.spec.ipam_options,
    };
    asking.address((&lease.0.id, lease.1), asked.0, "", asked.1)
}

/// Gives an endpoint's address back.
pub(crate) fn give_back(
    plugins: &Plugins,
    network: Remote<'_>,
    address: IpAddr,
) -> Result<(), Error> {
    let name = network.spec.ipam_driver.as_deref().unwrap_or_default();
    let mut pools = network.leases.iter().zip(network.pools);
    let Some((lease, _)) = pools.find(|(_, pool)| pool.subnet.contains(address)) else {
        return Ok(());
    };
    let plugin = plugins.addresses(name)?;
    give_address(plugins, &plugin, &lease.id, address)
}

/// Lists the pools that a request comes to: those asked for, and one for each enabled family without.
fn wanted(spec: &NetworkSpec) -> Vec<(PoolRequest, bool)> {
    let mut wanted = Vec::new();
    for (enabled, v6) in [(spec.ipv4, false), (spec.ipv6, true)] {
        let of_family =
            |pool: &&PoolRequest| pool.subnet.map_or(!v6, |subnet| subnet.is_ipv6() == v6);
        let mut asked: Vec<_> = spec.pools.iter().filter(of_family).cloned().collect();
        if asked.is_empty() {
            asked.push(PoolRequest::default());
        }
        let asked = asked.into_iter().filter(|_| enabled);
        wanted.extend(asked.map(|pool| (pool, v6)));
    }
    wanted
}

/// A plugin and what stays the same between questions about one network.
struct Asking<'a> {
    plugins: &'a Plugins,
    plugin: &'a Plugin,
    space: &'a str,
    options: &'a BTreeMap<String, String>,
}

impl Asking<'_> {
    /// Asks for a pool, its gateway and its auxiliary addresses.
    fn pool(&self, asked: &PoolRequest, v6: bool) -> Result<(PoolLease, Pool), Error> {
        let (id, subnet, data) = self.subnet(asked.subnet, asked.range, v6)?;
        let furnished = self.furnish(&id, subnet, asked, &data);
        let pool = furnished.inspect_err(|_failed| {
            told(give_pool(self.plugins, self.plugin, &id));
        })?;
        let lease = PoolLease {
            id,
            space: self.space.to_owned(),
        };
        Ok((lease, pool))
    }

    fn subnet(
        &self,
        subnet: Option<Subnet>,
        range: Option<Subnet>,
        v6: bool,
    ) -> Result<(String, Subnet, BTreeMap<String, String>), Error> {
        let text = |subnet: Option<Subnet>| subnet.map(|one| one.to_string()).unwrap_or_default();
        let question = PoolAsked {
            address_space: self.space,
            pool: text(subnet),
            sub_pool: text(range),
            options: self.options,
            v6,
        };
        let given: PoolGiven =
            self.plugins
                .ask(self.plugin, "IpamDriver.RequestPool", &question)?;
        match judge_pool(subnet, v6, &given) {
            Ok(subnet) => Ok((given.id, subnet, given.data)),
            Err(error) => {
                if !given.id.is_empty() {
                    told(give_pool(self.plugins, self.plugin, &given.id));
                }
                Err(refuse(self.plugin, &error))
            }
        }
    }

    /// Takes the gateway that the user or the plugin names, or asks for one.
    fn furnish(
        &self,
        id: &str,
        subnet: Subnet,
        asked: &PoolRequest,
        data: &BTreeMap<String, String>,
    ) -> Result<Pool, Error> {
        let named = data.get(GATEWAY).filter(|_| asked.gateway.is_none());
        let gateway = match named {
            Some(text) => {
                let address = text.clone();
                judge_address(None, subnet, &AddressGiven { address })
                    .map_err(|error| refuse(self.plugin, &error))?
            }
            None => self.address((id, subnet), asked.gateway, GATEWAY, None)?,
        };
        for address in asked.auxiliary.values() {
            self.address((id, subnet), Some(*address), "", None)?;
        }
        Ok(Pool {
            subnet,
            range: asked.range,
            gateway,
            auxiliary: asked.auxiliary.clone(),
        })
    }

    fn address(
        &self,
        (pool, subnet): (&str, Subnet),
        asked: Option<IpAddr>,
        purpose: &str,
        mac: Option<MacAddr>,
    ) -> Result<IpAddr, Error> {
        let purpose = (!purpose.is_empty()).then(|| (PURPOSE, purpose.to_owned()));
        let mac = mac.map(|mac| (MAC, mac.to_string()));
        let question = AddressAsked {
            pool,
            address: asked.map(|one| one.to_string()).unwrap_or_default(),
            options: purpose.into_iter().chain(mac).collect(),
        };
        let given: AddressGiven =
            self.plugins
                .ask(self.plugin, "IpamDriver.RequestAddress", &question)?;
        judge_address(asked, subnet, &given).map_err(|error| refuse(self.plugin, &error))
    }
}

fn give_address(
    plugins: &Plugins,
    plugin: &Plugin,
    pool: &str,
    address: IpAddr,
) -> Result<(), Error> {
    let question = AddressReleased {
        pool,
        address: address.to_string(),
    };
    let _done: Outcome = plugins.ask(plugin, "IpamDriver.ReleaseAddress", &question)?;
    Ok(())
}

fn give_pool(plugins: &Plugins, plugin: &Plugin, id: &str) -> Result<(), Error> {
    let _done: Outcome = plugins.ask(plugin, "IpamDriver.ReleasePool", &PoolNamed { id })?;
    Ok(())
}

fn told(outcome: Result<(), Error>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "an address plugin did not take something back");
    }
}
