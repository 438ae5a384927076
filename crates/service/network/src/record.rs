//! A network as it is stored: the request with every choice made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hakone_base::{BridgeName, NetworkId, Timestamp};
use hakone_ipam::Pool;
use hakone_store::Record;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use hakone_network_model::is_predefined;
use hakone_network_plugin::PoolLease;

pub(crate) use hakone_network_model::DEFAULT;

use crate::{DriverKind, GatewayMode, NetworkSpec, PublishFirewall};

/// The largest packet of a network that names none.
const MTU: u32 = 1500;

/// A network of this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Network {
    pub(crate) id: NetworkId,
    pub(crate) created: Timestamp,
    pub(crate) spec: NetworkSpec,
    /// Whether the user chose its subnet, and so may choose addresses.
    pub(crate) has_own_subnet: bool,
    /// The pools with subnet and gateway decided; empty for host and none.
    pub(crate) pools: Vec<Pool>,
    /// The bridge; `None` for host and none.
    pub(crate) bridge: Option<BridgeName>,
    /// Under which names an address plugin knows the pools, in their order; empty when the addresses are ours.
    #[serde(default)]
    pub(crate) leases: Vec<PoolLease>,
    /// Whether the making of a plugin's network has not come to its end.
    #[serde(default)]
    pub(crate) unmade: bool,
    /// Whether a plugin's network spans hosts.
    #[serde(default)]
    pub(crate) global: bool,
}

impl Record for Network {
    const SCHEMA: u32 = 1;
}

impl Network {
    pub(crate) fn name(&self) -> &str {
        self.spec.name.as_str()
    }

    /// Tells whether it is one of `bridge`, `host`, `none`.
    pub(crate) fn is_predefined(&self) -> bool {
        is_predefined(self.name())
    }

    /// Tells whether it is the default bridge, which has no names and no `--ip`.
    pub(crate) fn is_default_bridge(&self) -> bool {
        self.name() == DEFAULT
    }

    pub(crate) fn is_bridge(&self) -> bool {
        self.spec.driver == DriverKind::Bridge
    }

    /// Tells whether a plugin has to do with its members.
    pub(crate) fn is_remote(&self) -> bool {
        self.spec.driver == DriverKind::Plugin || self.spec.ipam_driver.is_some()
    }

    /// Tells whether packets between its members pass rules of ours.
    pub(crate) fn is_judged(&self) -> bool {
        match self.spec.driver {
            DriverKind::Bridge | DriverKind::Host | DriverKind::Null => true,
            DriverKind::Macvlan | DriverKind::Ipvlan | DriverKind::Plugin => false,
        }
    }

    /// Tells whether its members have interfaces.
    pub(crate) fn is_plugged(&self) -> bool {
        match self.spec.driver {
            DriverKind::Bridge | DriverKind::Macvlan | DriverKind::Ipvlan | DriverKind::Plugin => {
                true
            }
            DriverKind::Host | DriverKind::Null => false,
        }
    }

    /// Tells whether its published ports are served as the host's own are, under the host's INPUT rules.
    pub(crate) fn respects_firewall(&self) -> bool {
        self.spec.bridge.publish_firewall == PublishFirewall::Respect
    }

    pub(crate) fn mtu(&self) -> u32 {
        self.spec.bridge.mtu.unwrap_or(MTU)
    }

    pub(crate) fn pool_v4(&self) -> Option<&Pool> {
        self.pools.iter().find(|pool| !pool.subnet.is_ipv6())
    }

    pub(crate) fn pool_v6(&self) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.subnet.is_ipv6())
    }

    pub(crate) fn gateway_v4(&self) -> Option<Ipv4Addr> {
        match self.pool_v4()?.gateway {
            IpAddr::V4(gateway) => Some(gateway),
            IpAddr::V6(_) => None,
        }
    }

    pub(crate) fn gateway_v6(&self) -> Option<Ipv6Addr> {
        match self.pool_v6()?.gateway {
            IpAddr::V6(gateway) => Some(gateway),
            IpAddr::V4(_) => None,
        }
    }

    /// Tells whether an address of a member is reached without translation.
    pub(crate) fn is_routed(&self, member: IpAddr) -> bool {
        self.gateway_mode(member.is_ipv6()) == GatewayMode::Routed
    }

    const fn gateway_mode(&self, ipv6: bool) -> GatewayMode {
        match ipv6 {
            true => self.spec.bridge.gateway_mode_v6,
            false => self.spec.bridge.gateway_mode_v4,
        }
    }

    fn is_isolated(&self, pool: &Pool) -> bool {
        self.gateway_mode(pool.subnet.is_ipv6()) == GatewayMode::Isolated
    }

    /// Gives the bridge's own addresses with their prefixes; an isolated network has none.
    pub(crate) fn gateways(&self) -> impl Iterator<Item = IpNet> {
        let pools = self.pools.iter().filter(|pool| !self.is_isolated(pool));
        pools.filter_map(|pool| IpNet::new(pool.gateway, pool.subnet.prefix_len()).ok())
    }
}
