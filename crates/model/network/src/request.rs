//! What the container service asks of a sandbox, in domain types.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use hakone_base::{ContainerId, ContainerName, ExposedPort, MacAddr, NetworkId, Port};

/// Everything the network of one container depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxRequest {
    /// The container.
    pub container: ContainerId,
    /// Its name: also its name in DNS on user-defined networks.
    pub name: ContainerName,
    /// Its host name, for `/etc/hosts`.
    pub hostname: String,
    /// Its domain name, for `/etc/hosts`; often empty.
    pub domainname: String,
    /// The labels that its user gave it: what policies know it by.
    pub labels: BTreeMap<String, String>,
    /// Which namespace it gets.
    pub mode: NetworkMode,
    /// The ports that image and request expose.
    pub exposed: Vec<ExposedPort>,
    /// The ports to publish; as with Docker, a binding takes effect only when its port is exposed too.
    pub bindings: Vec<PortBinding>,
    /// Whether exposed ports without a binding get an ephemeral one (`-P`).
    pub publish_all: bool,
    /// Whether ports of which neither request, network nor daemon names the host's address are for this machine alone.
    pub on_loopback: bool,
    /// Resolvers (`--dns`); empty takes the daemon's.
    pub dns: Vec<IpAddr>,
    /// Search domains (`--dns-search`).
    pub dns_search: Vec<String>,
    /// Resolver options (`--dns-option`).
    pub dns_options: Vec<String>,
    /// Lines for `/etc/hosts` (`--add-host`).
    pub extra_hosts: Vec<ExtraHost>,
    /// Legacy links of the default bridge (`--link`).
    pub links: Vec<Link>,
    /// `net.*` sysctls, set once the interfaces stand.
    pub sysctls: BTreeMap<String, String>,
}

impl SandboxRequest {
    /// Gives the bindings of exposed ports, and for `-P` an ephemeral one for each exposed port without.
    #[must_use]
    pub fn effective_bindings(&self) -> Vec<PortBinding> {
        let is_exposed = |binding: &&PortBinding| self.exposed.contains(&binding.target);
        let bindings = self.bindings.iter().filter(is_exposed);
        let mut bindings: Vec<PortBinding> = bindings.cloned().collect();
        if self.publish_all {
            let bound: BTreeSet<ExposedPort> =
                bindings.iter().map(|binding| binding.target).collect();
            let unbound = self.exposed.iter().filter(|port| !bound.contains(port));
            bindings.extend(unbound.map(|target| PortBinding {
                target: *target,
                host_address: None,
                host_ports: None,
            }));
        }
        bindings.sort_by_key(|binding| binding.target);
        bindings
    }
}

/// Which network namespace a container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkMode {
    /// One of its own with these endpoints; an empty list means the default bridge.
    Networks(Vec<EndpointRequest>),
    /// The host's.
    Host,
    /// One of its own with a loopback only.
    None,
    /// That of another container.
    Container(ContainerId),
}

/// A place in a network, as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointRequest {
    /// The network's name, id or id prefix; `default` means `bridge`.
    pub network: String,
    /// The IPv4 address (`--ip`); `None` takes a free one.
    pub ipv4: Option<Ipv4Addr>,
    /// The IPv6 address (`--ip6`); `None` takes a free one.
    pub ipv6: Option<Ipv6Addr>,
    /// The Ethernet address (`--mac-address`); `None` derives one from the IPv4 address.
    pub mac: Option<MacAddr>,
    /// More names on this network (`--network-alias`).
    pub aliases: Vec<String>,
    /// Names by which this container alone knows others on this network: `name` or `name:alias`.
    pub links: Vec<String>,
    /// Options for the driver, echoed by inspect.
    pub driver_opts: BTreeMap<String, String>,
    /// The highest priority gives the default route; equals go by network name.
    pub priority: i64,
}

/// A change of a running sandbox during which a daemon died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CutOff {
    /// It was being connected to the network.
    Connect(NetworkId),
    /// It was being disconnected from it.
    Disconnect(NetworkId),
}

impl CutOff {
    /// Gives the network.
    #[must_use]
    pub const fn network(&self) -> &NetworkId {
        match self {
            Self::Connect(network) | Self::Disconnect(network) => network,
        }
    }
}

/// A port to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortBinding {
    /// Where it leads.
    pub target: ExposedPort,
    /// The host address; `None` takes the daemon's default, commonly every address of both families.
    pub host_address: Option<IpAddr>,
    /// The host ports, of which the first free one is taken; `None` takes an ephemeral one.
    pub host_ports: Option<RangeInclusive<Port>>,
}

/// A line of `/etc/hosts` beyond the usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraHost {
    /// The name.
    pub name: String,
    /// What it means.
    pub target: HostTarget,
}

/// What an extra host's name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostTarget {
    /// An address.
    Address(IpAddr),
    /// The host as containers see it, `host-gateway`.
    HostGateway,
}

/// A legacy link: `container` is known as `aliases` in `/etc/hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The linked container, running on the default bridge.
    pub container: ContainerId,
    /// Its names inside.
    pub aliases: Vec<String>,
}
