//! A network as it is asked for: the create request, parsed.

use std::{collections::BTreeMap, net::IpAddr, str::FromStr};

use hakone_base::{BridgeName, IfName, NetworkName};
use hakone_engine_api::wire;
use hakone_ipam::PoolRequest;
use hakone_plugin_model::is_name;
use serde::{Deserialize, Serialize};

use crate::{Error, defence::Defences};

/// The network of containers that name none.
pub const DEFAULT: &str = "bridge";

/// Tells whether a name is one of the three default networks.
#[must_use]
pub fn is_predefined(name: &str) -> bool {
    matches!(name, DEFAULT | "host" | "none" | "default")
}

/// Which driver makes a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriverKind {
    /// A bridge of the host with a firewall around it.
    Bridge,
    /// A place of its own on the link of one of the host's interfaces.
    Macvlan,
    /// Addresses of its own on one of the host's interfaces, whose Ethernet address all share.
    Ipvlan,
    /// The host's own namespace.
    Host,
    /// Nothing but a loopback.
    Null,
    /// Whatever a plugin makes of it.
    Plugin,
}

impl DriverKind {
    /// Gives the name of the wire format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
            Self::Host => "host",
            Self::Null => "null",
            Self::Plugin => "plugin",
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
    /// The plugin, for the driver `Plugin`.
    #[serde(default)]
    pub plugin: Option<String>,
    /// The plugin that gives addresses; `None` is ours.
    #[serde(default)]
    pub ipam_driver: Option<String>,
    /// Whether it is a pattern for other networks and none itself.
    #[serde(default)]
    pub config_only: bool,
    /// The pattern that it was made by.
    #[serde(default)]
    pub config_from: Option<String>,
    /// The pools of a pattern, as they were asked for.
    #[serde(default)]
    pub pattern: Vec<PoolRequest>,
    /// Whether nothing leads in or out.
    pub internal: bool,
    /// Echoed; only swarm networks give it a meaning.
    pub attachable: bool,
    /// Whether endpoints get an IPv4 address.
    pub ipv4: bool,
    /// Whether endpoints get an IPv6 address.
    pub ipv6: bool,
    /// The address pools; empty takes one from the daemon's pools. The record holds what was decided instead.
    #[serde(skip)]
    pub pools: Vec<PoolRequest>,
    /// Options of the IPAM driver, echoed.
    pub ipam_options: BTreeMap<String, String>,
    /// Options of the driver as given, echoed.
    pub options: BTreeMap<String, String>,
    /// The options that the bridge driver understands.
    pub bridge: BridgeOptions,
    /// The options that the macvlan driver understands.
    #[serde(default)]
    pub macvlan: MacvlanOptions,
    /// The options that the ipvlan driver understands.
    #[serde(default)]
    pub ipvlan: IpvlanOptions,
    /// Labels.
    pub labels: BTreeMap<String, String>,
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
    /// What the gateway of IPv4 does.
    #[serde(default)]
    pub gateway_mode_v4: GatewayMode,
    /// What the gateway of IPv6 does.
    #[serde(default)]
    pub gateway_mode_v6: GatewayMode,
    /// The host's interfaces by which published ports answer on the containers' own addresses.
    #[serde(default)]
    pub trusted: Vec<IfName>,
    /// Whether published ports obey the host's own rules for its services.
    #[serde(default)]
    pub publish_firewall: PublishFirewall,
    /// The largest packet.
    pub mtu: Option<u32>,
    /// The stem of interface names inside the container, commonly `eth`.
    pub interface_prefix: Option<String>,
}

/// What a network's gateway of a family does (`com.docker.network.bridge.gateway_mode_ipv4` and `…_ipv6`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayMode {
    /// Translates: published ports answer on the host's addresses.
    #[default]
    Nat,
    /// Translates, and lets other machines reach every port of members by their own addresses.
    NatUnprotected,
    /// Routes: published ports answer on the members' own addresses.
    Routed,
    /// Has no address of the host: for internal networks.
    Isolated,
}

impl FromStr for GatewayMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "nat" => Ok(Self::Nat),
            "nat-unprotected" => Ok(Self::NatUnprotected),
            "routed" => Ok(Self::Routed),
            "isolated" => Ok(Self::Isolated),
            other => Err(Error::Invalid(format!("unknown gateway mode {other}"))),
        }
    }
}

/// What the host's INPUT rules mean for published ports (`dev.hakone.publish.firewall`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublishFirewall {
    /// Nothing, as in Docker: the kernel leads such packets past INPUT.
    #[default]
    Bypass,
    /// What they mean for a service of the host on that port, from that source.
    Respect,
}

impl FromStr for PublishFirewall {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "bypass" => Ok(Self::Bypass),
            "respect" => Ok(Self::Respect),
            other => Err(Error::Invalid(format!(
                "invalid {PUBLISH_FIREWALL} {other:?}: respect or bypass is expected"
            ))),
        }
    }
}

/// The option of a network.
const PUBLISH_FIREWALL: &str = "dev.hakone.publish.firewall";

/// The options `parent` and `macvlan_mode`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MacvlanOptions {
    /// The host's interface below, or `INTERFACE.TAG`; `None` leads nowhere.
    pub parent: Option<IfName>,
    /// Whom members on the same parent reach.
    pub mode: MacvlanMode,
}

/// Whom members of a macvlan network reach on their own host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MacvlanMode {
    /// Nobody.
    Private,
    /// Whom the switch behind the parent sends their frames back to.
    Vepa,
    /// Each other.
    #[default]
    Bridge,
}

/// The options `ipvlan_mode` and `ipvlan_flag`; `parent` is that of [`MacvlanOptions`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpvlanOptions {
    /// At which layer members are on the link.
    pub mode: IpvlanMode,
    /// Whom members on the same parent reach.
    pub flag: MacvlanMode,
}

/// At which layer members of an ipvlan network are on their parent's link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpvlanMode {
    /// Their frames are the link's.
    #[default]
    L2,
    /// Their packets are routed by the host, past its rules; nobody hears groups.
    L3,
    /// The same, through the host's rules for what it sends and gets itself.
    L3s,
}

impl Default for BridgeOptions {
    fn default() -> Self {
        Self {
            name: None,
            icc: true,
            masquerade: true,
            host_address: None,
            gateway_mode_v4: GatewayMode::default(),
            gateway_mode_v6: GatewayMode::default(),
            trusted: Vec::new(),
            publish_firewall: PublishFirewall::default(),
            mtu: None,
            interface_prefix: None,
        }
    }
}

const SEVERAL_SUBNETS: &str = "bridge driver doesn't support multiple subnets";

impl TryFrom<wire::NetworkCreateRequest> for NetworkSpec {
    type Error = Error;

    fn try_from(request: wire::NetworkCreateRequest) -> Result<Self, Error> {
        let name = request.name.trim().to_owned();
        if is_predefined(&name) {
            return Err(Error::Predefined(name));
        }
        let config_from = request.config_from.and_then(|from| from.network);
        let config_from = config_from.filter(|from| !from.is_empty());
        let config_only = request.config_only.unwrap_or_default();
        let ipam = request.ipam.unwrap_or_default();
        let options: BTreeMap<_, _> = request.options.unwrap_or_default().into_iter().collect();
        let mut configs = ipam.config.unwrap_or_default();
        let is_v6 = |config: &wire::IpamConfig| {
            config
                .subnet
                .as_ref()
                .is_some_and(|subnet| subnet.contains(':'))
        };
        // Shown in this order; the docker CLI sends them in any.
        configs.sort_by_key(is_v6);
        if configs.iter().filter(|config| !is_v6(config)).count() > 1 {
            return Err(Error::Invalid(SEVERAL_SUBNETS.to_owned()));
        }
        let pools: Vec<PoolRequest> = configs.iter().map(pool).collect::<Result<_, _>>()?;
        let labels = request.labels.unwrap_or_default().into_iter().collect();
        Defences::parse(&labels, &options)?;
        let asked_driver = request.driver.unwrap_or_default();
        let kind = match config_only {
            true => DriverKind::Null,
            false => driver(&asked_driver)?,
        };
        Ok(Self {
            name: name
                .parse()
                .map_err(|error: hakone_base::NameError| Error::Invalid(error.to_string()))?,
            driver: kind,
            plugin: (kind == DriverKind::Plugin).then_some(asked_driver),
            ipam_driver: ipam_driver(ipam.driver)?,
            config_only,
            config_from,
            pattern: match config_only {
                true => pools.clone(),
                false => Vec::new(),
            },
            internal: request.internal.unwrap_or_default(),
            attachable: request.attachable.unwrap_or_default(),
            ipv4: request.enable_ipv4.unwrap_or(true),
            ipv6: request.enable_ipv6.unwrap_or_default(),
            pools,
            ipam_options: ipam.options.unwrap_or_default().into_iter().collect(),
            bridge: BridgeOptions::parse(&options)?,
            macvlan: MacvlanOptions::parse(&options)?,
            ipvlan: IpvlanOptions::parse(&options)?,
            options,
            labels,
        })
    }
}

impl NetworkSpec {
    /// Gives the driver's name as the user knows it.
    #[must_use]
    pub fn driver_name(&self) -> &str {
        self.plugin.as_deref().unwrap_or(self.driver.as_str())
    }

    /// Adds the options that the daemon's configuration gives networks of this driver, where the request has none.
    ///
    /// # Errors
    /// When the driver does not understand one.
    pub fn with_defaults(
        mut self,
        defaults: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Result<Self, Error> {
        let Some(defaults) = defaults.get(self.driver_name()) else {
            return Ok(self);
        };
        for (key, value) in defaults {
            let option = self.options.entry(key.clone());
            option.or_insert_with(|| value.clone());
        }
        self.bridge = BridgeOptions::parse(&self.options)?;
        self.macvlan = MacvlanOptions::parse(&self.options)?;
        self.ipvlan = IpvlanOptions::parse(&self.options)?;
        Ok(self)
    }
}

fn driver(name: &str) -> Result<DriverKind, Error> {
    match name {
        "" | "bridge" | "default" => Ok(DriverKind::Bridge),
        "macvlan" => Ok(DriverKind::Macvlan),
        "ipvlan" => Ok(DriverKind::Ipvlan),
        "host" => Ok(DriverKind::Host),
        "null" => Ok(DriverKind::Null),
        "overlay" => Err(Error::NotSwarm),
        other if is_name(other) => Ok(DriverKind::Plugin),
        other => Err(Error::Driver(other.to_owned())),
    }
}

fn ipam_driver(name: Option<String>) -> Result<Option<String>, Error> {
    match name.filter(|name| !matches!(name.as_str(), "" | "default" | "null")) {
        None => Ok(None),
        Some(name) if is_name(&name) => Ok(Some(name)),
        Some(name) => Err(Error::Driver(name)),
    }
}

fn pool(config: &wire::IpamConfig) -> Result<PoolRequest, Error> {
    let text = |field: &'_ Option<String>| field.clone().unwrap_or_default();
    let auxiliary = config.auxiliary_addresses.iter().flatten();
    Ok(PoolRequest::parse(
        &text(&config.subnet),
        &text(&config.ip_range),
        &text(&config.gateway),
        auxiliary.map(|(name, address)| (name.as_str(), address.as_str())),
    )?)
}

impl BridgeOptions {
    /// Parses the options that the driver understands; others are kept and mean nothing, as in Docker.
    pub(crate) fn parse(options: &BTreeMap<String, String>) -> Result<Self, Error> {
        let get = |key: &str| options.get(key).filter(|value| !value.is_empty());
        let switch = |key: &str| get(key).map_or(Ok(true), |value| boolean(value));
        let name = get("com.docker.network.bridge.name").map(|name| name.parse());
        let mode = |key: &str| get(key).map_or(Ok(GatewayMode::default()), |text| text.parse());
        let trusted = get("com.docker.network.bridge.trusted_host_interfaces");
        let trusted = trusted.into_iter().flat_map(|list| list.split(':'));
        let trusted: Result<Vec<IfName>, hakone_base::IfNameError> = trusted
            .filter(|one| !one.is_empty())
            .map(str::parse)
            .collect();
        Ok(Self {
            name: name
                .transpose()
                .map_err(|error: hakone_base::IfNameError| Error::Invalid(error.to_string()))?,
            icc: switch("com.docker.network.bridge.enable_icc")?,
            masquerade: switch("com.docker.network.bridge.enable_ip_masquerade")?,
            host_address: get("com.docker.network.bridge.host_binding_ipv4")
                .map(|text| host_address(text))
                .transpose()?,
            gateway_mode_v4: mode("com.docker.network.bridge.gateway_mode_ipv4")?,
            gateway_mode_v6: mode("com.docker.network.bridge.gateway_mode_ipv6")?,
            trusted: trusted.map_err(|error| Error::Invalid(error.to_string()))?,
            publish_firewall: get(PUBLISH_FIREWALL)
                .map_or(Ok(PublishFirewall::default()), |text| text.parse())?,
            mtu: get("com.docker.network.driver.mtu")
                .map(|text| mtu(text))
                .transpose()?,
            interface_prefix: get("com.docker.network.container_iface_prefix").cloned(),
        })
    }
}

impl MacvlanOptions {
    pub(crate) fn parse(options: &BTreeMap<String, String>) -> Result<Self, Error> {
        let get = |key: &str| options.get(key).filter(|value| !value.is_empty());
        let parent = get("parent").map(|name| name.parse());
        let mode = match get("macvlan_mode").map(String::as_str) {
            None | Some("bridge") => MacvlanMode::Bridge,
            Some("private") => MacvlanMode::Private,
            Some("vepa") => MacvlanMode::Vepa,
            Some("passthru") => return Err(Error::Unsupported(PASSTHRU)),
            Some(other) => {
                let text = format!(
                    "requested macvlan mode '{other}' is not valid, 'bridge' mode is the macvlan driver default"
                );
                return Err(Error::Invalid(text));
            }
        };
        Ok(Self {
            parent: parent
                .transpose()
                .map_err(|error: hakone_base::IfNameError| Error::Invalid(error.to_string()))?,
            mode,
        })
    }
}

impl IpvlanOptions {
    pub(crate) fn parse(options: &BTreeMap<String, String>) -> Result<Self, Error> {
        let get = |key: &str| options.get(key).map_or("", String::as_str);
        let mode = match get("ipvlan_mode") {
            "" | "l2" => IpvlanMode::L2,
            "l3" => IpvlanMode::L3,
            "l3s" => IpvlanMode::L3s,
            other => {
                let text = format!(
                    "requested ipvlan mode '{other}' is not valid, 'l2' mode is the ipvlan driver default"
                );
                return Err(Error::Invalid(text));
            }
        };
        let flag = match get("ipvlan_flag") {
            "" | "bridge" => MacvlanMode::Bridge,
            "private" => MacvlanMode::Private,
            "vepa" => MacvlanMode::Vepa,
            other => {
                let text = format!(
                    "requested ipvlan flag '{other}' is not valid, 'bridge' is the ipvlan driver default"
                );
                return Err(Error::Invalid(text));
            }
        };
        Ok(Self { mode, flag })
    }
}

const PASSTHRU: &str =
    "the macvlan mode passthru is not supported: it gives a container the interface's own address";

fn host_address(text: &str) -> Result<IpAddr, Error> {
    let invalid = || Error::Invalid(format!("invalid IP address {text:?} for the host binding"));
    text.parse().ok().ok_or_else(invalid)
}

/// Reads what Go's `strconv.ParseBool` reads.
fn boolean(text: &str) -> Result<bool, Error> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Error::Invalid(format!(
            "strconv.ParseBool: parsing {text:?}: invalid syntax"
        ))),
    }
}

/// Reads an MTU that the kernel takes for a bridge.
fn mtu(text: &str) -> Result<u32, Error> {
    let invalid = || Error::Invalid(format!("invalid MTU {text:?}"));
    text.parse()
        .ok()
        .filter(|mtu| (68..=65_535).contains(mtu))
        .ok_or_else(invalid)
}

#[cfg(test)]
#[path = "../tests/unit/spec.rs"]
mod tests;
