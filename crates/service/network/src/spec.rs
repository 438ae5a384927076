//! A network as it is asked for: the create request, parsed.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use hakone_base::{BridgeName, NetworkName, Subnet};
use hakone_engine_api::wire;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The prefix of the bridge driver's options.
const BRIDGE: &str = "com.docker.network.bridge.";
/// The option that every driver knows.
const MTU: &str = "com.docker.network.driver.mtu";

/// Which driver makes a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriverKind {
    /// A bridge of the host with a firewall around it.
    Bridge,
    /// The host's own namespace.
    Host,
    /// Nothing but a loopback.
    Null,
}

impl DriverKind {
    /// Gives the name of the wire format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::Null => "null",
        }
    }
}

/// A network to create.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the create request of its own, and they combine freely"
)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Its name.
    pub name: NetworkName,
    /// Its driver.
    pub driver: DriverKind,
    /// Whether nothing leads in or out.
    pub internal: bool,
    /// Echoed; only swarm networks give it a meaning.
    pub attachable: bool,
    /// Whether endpoints get an IPv4 address.
    pub ipv4: bool,
    /// Whether endpoints get an IPv6 address.
    pub ipv6: bool,
    /// The address pools; empty takes one from the daemon's pools.
    pub pools: Vec<PoolRequest>,
    /// Options of the IPAM driver, echoed.
    pub ipam_options: BTreeMap<String, String>,
    /// Options of the driver as given, echoed.
    pub options: BTreeMap<String, String>,
    /// The options that the bridge driver understands.
    pub bridge: BridgeOptions,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// The parts of an address pool that the user fixed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolRequest {
    /// The subnet; `None` takes a free one.
    pub subnet: Option<Subnet>,
    /// The part of the subnet that endpoints get addresses from.
    pub ip_range: Option<Subnet>,
    /// The bridge's own address; `None` takes the first.
    pub gateway: Option<IpAddr>,
    /// Addresses that belong to something else.
    pub auxiliary: BTreeMap<String, IpAddr>,
}

/// The options `com.docker.network.bridge.*` and the MTU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeOptions {
    /// The bridge's name; `None` makes one from the network's id.
    pub name: Option<BridgeName>,
    /// Whether members may talk to each other.
    pub icc: bool,
    /// Whether packets leave with the host's address.
    pub masquerade: bool,
    /// The host address of ports published without one.
    pub host_address: Option<IpAddr>,
    /// The largest packet.
    pub mtu: Option<u32>,
    /// The stem of interface names inside the container, commonly `eth`.
    pub interface_prefix: Option<String>,
    /// The source address of masqueraded IPv4 packets.
    pub source: Option<Ipv4Addr>,
}

impl Default for BridgeOptions {
    fn default() -> Self {
        Self {
            name: None,
            icc: true,
            masquerade: true,
            host_address: None,
            mtu: None,
            interface_prefix: None,
            source: None,
        }
    }
}
