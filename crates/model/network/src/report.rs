//! What a sandbox became: stored by the container service, shown by inspect, read back after a restart.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use hakone_base::{
    ContainerId, ContainerName, EndpointId, ExposedPort, IfName, MacAddr, NetworkId, PublishedPort,
    Subnet,
};
use hakone_engine_api::wire;
use serde::{Deserialize, Serialize};

/// A sandbox as it stands; enough to take a running container back after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxReport {
    /// The container's name.
    pub name: ContainerName,
    /// The container's host name.
    pub hostname: String,
    /// The container's domain name, often empty.
    pub domainname: String,
    /// The labels that its user gave it.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Its endpoints in the order of their interfaces, `eth0` first.
    pub endpoints: Vec<EndpointReport>,
    /// Its published ports with their numbers; an unspecified host address means every address of that family.
    pub published: Vec<PublishedPort>,
    /// The ports that are exposed, published or not.
    pub exposed: Vec<ExposedPort>,
    /// The containers of the default bridge that it is linked to.
    #[serde(default)]
    pub links: Vec<ContainerId>,
    /// What its embedded resolver needs; `None` on the default bridge, which has none.
    pub resolver: Option<Resolver>,
    /// The contents of `/etc/hosts`; `None` when the namespace's owner has one.
    pub hosts: Option<String>,
    /// The contents of `/etc/resolv.conf`; `None` when the namespace's owner has one.
    pub resolv_conf: Option<String>,
}

/// A container's place in a network, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointReport {
    /// Its id.
    pub id: EndpointId,
    /// The network.
    pub network: NetworkId,
    /// The network's name.
    pub network_name: String,
    /// The interface inside the container; `None` on host and none networks.
    pub interface: Option<IfName>,
    /// The interface's other end, a port of the bridge.
    pub port: Option<IfName>,
    /// The Ethernet address.
    pub mac: Option<MacAddr>,
    /// The IPv4 address.
    pub ipv4: Option<EndpointAddress<Ipv4Addr>>,
    /// The IPv6 address.
    pub ipv6: Option<EndpointAddress<Ipv6Addr>>,
    /// The IPv4 address that was asked for.
    pub asked_ipv4: Option<Ipv4Addr>,
    /// The IPv6 address that was asked for.
    pub asked_ipv6: Option<Ipv6Addr>,
    /// The aliases that were asked for.
    pub aliases: Vec<String>,
    /// The links that were asked for.
    pub links: Vec<String>,
    /// Every name that means this endpoint in DNS.
    pub dns_names: Vec<String>,
    /// The driver's options.
    pub driver_opts: BTreeMap<String, String>,
    /// The priority for the default route.
    pub priority: i64,
    /// What a plugin's driver gave it; `None` on networks of ours.
    #[serde(default)]
    pub remote: Option<RemoteLink>,
}

/// How an endpoint on a plugin's network is wired.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteLink {
    /// The interface of the host that is inside now; `None` when the driver wanted none.
    pub source: Option<IfName>,
    /// Routes beside the default one.
    pub routes: Vec<Route>,
    /// The ports that the driver says it publishes; no rule of ours is about them.
    #[serde(default)]
    pub published: Vec<PublishedPort>,
}

/// A route inside a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where it leads.
    pub to: Subnet,
    /// Through whom; `None` is on the link.
    pub gateway: Option<IpAddr>,
}

/// An address of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointAddress<A> {
    /// The address.
    pub address: A,
    /// The length of the subnet's prefix.
    pub prefix_len: u8,
    /// The next hop to other networks; `None` on an internal network.
    pub gateway: Option<A>,
}

/// The settings of a container's embedded resolver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolver {
    /// Whom it asks about names that are not containers.
    pub upstreams: Vec<IpAddr>,
}

impl From<&EndpointReport> for wire::EndpointSettings {
    fn from(endpoint: &EndpointReport) -> Self {
        let text = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
        let asked = endpoint.asked_ipv4.is_some() || endpoint.asked_ipv6.is_some();
        Self {
            ipam_config: asked.then(|| wire::EndpointIpamConfig {
                ipv4_address: endpoint.asked_ipv4.map(|address| address.to_string()),
                ipv6_address: endpoint.asked_ipv6.map(|address| address.to_string()),
                link_local_ips: None,
            }),
            links: text(&endpoint.links),
            mac_address: Some(endpoint.mac.map_or_else(String::new, |mac| mac.to_string())),
            aliases: text(&endpoint.aliases),
            driver_opts: (!endpoint.driver_opts.is_empty())
                .then(|| endpoint.driver_opts.clone().into_iter().collect()),
            gw_priority: Some(endpoint.priority),
            network_id: Some(endpoint.network.to_string()),
            endpoint_id: Some(endpoint.id.to_string()),
            gateway: Some(shown(endpoint.ipv4.and_then(|ipv4| ipv4.gateway))),
            ip_address: Some(shown(endpoint.ipv4.map(|ipv4| ipv4.address))),
            ip_prefix_len: Some(endpoint.ipv4.map_or(0, |ipv4| i64::from(ipv4.prefix_len))),
            ipv6_gateway: Some(shown(endpoint.ipv6.and_then(|ipv6| ipv6.gateway))),
            global_ipv6_address: Some(shown(endpoint.ipv6.map(|ipv6| ipv6.address))),
            global_ipv6_prefix_len: Some(
                endpoint.ipv6.map_or(0, |ipv6| i64::from(ipv6.prefix_len)),
            ),
            dns_names: text(&endpoint.dns_names),
        }
    }
}

fn shown<A: ToString>(address: Option<A>) -> String {
    address.map_or_else(String::new, |address| address.to_string())
}

/// The driver option of an endpoint that lists further addresses which it may use, along with other endpoints.
pub const SHARED_ADDRESSES: &str = "dev.hakone.addresses";

impl EndpointReport {
    /// Gives the addresses that it may use beside its own, as a virtual router's (`dev.hakone.addresses`); what makes no
    /// sense was refused when it joined.
    pub fn shared_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let listed = self.driver_opts.get(SHARED_ADDRESSES);
        let parts = listed.into_iter().flat_map(|list| list.split(','));
        parts.filter_map(|part| part.trim().parse().ok())
    }

    /// Gives its addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.ipv4.map(|ipv4| IpAddr::V4(ipv4.address));
        let v6 = self.ipv6.map(|ipv6| IpAddr::V6(ipv6.address));
        v4.into_iter().chain(v6)
    }
}

impl SandboxReport {
    /// Adds an endpoint's addresses to its names in `/etc/hosts`.
    pub fn add_names(&mut self, endpoint: &EndpointReport) {
        let name = match self.domainname.as_str() {
            "" => self.hostname.clone(),
            domain => format!("{0}.{domain} {0}", self.hostname),
        };
        let lines = endpoint.addresses();
        let lines: String = lines
            .map(|address| format!("{address}\t{name}\n"))
            .collect();
        if let Some(hosts) = &mut self.hosts {
            hosts.push_str(&lines);
        }
    }

    /// Takes an endpoint's addresses from `/etc/hosts`.
    pub fn remove_names(&mut self, endpoint: &EndpointReport) {
        let starts = endpoint.addresses().map(|address| format!("{address}\t"));
        let gone: Vec<String> = starts.collect();
        if let Some(hosts) = &mut self.hosts {
            let stays = |line: &&str| !gone.iter().any(|start| line.starts_with(start));
            *hosts = hosts.split_inclusive('\n').filter(stays).collect();
        }
    }

    /// Gives the endpoint that its published ports lead to: the first with a way out.
    #[must_use]
    pub fn publishing(&self) -> Option<&EndpointId> {
        self.way_out().map(|endpoint| &endpoint.id)
    }

    /// Gives the published ports to show: ours, and those that a plugin's driver told.
    pub fn shown_ports(&self) -> impl Iterator<Item = &PublishedPort> {
        let remote = self.endpoints.iter().filter_map(|one| one.remote.as_ref());
        let theirs = remote.flat_map(|remote| &remote.published);
        self.published.iter().chain(theirs)
    }

    /// Gives the endpoint over which other networks are reached.
    #[must_use]
    pub fn way_out(&self) -> Option<&EndpointReport> {
        self.first_by_priority(|endpoint| {
            endpoint.ipv4.is_some_and(|v4| v4.gateway.is_some())
                || endpoint.ipv6.is_some_and(|v6| v6.gateway.is_some())
        })
    }

    /// Gives the passing endpoint of highest priority, of equals the first by its network's name.
    #[must_use]
    pub fn first_by_priority(
        &self,
        passes: impl Fn(&EndpointReport) -> bool,
    ) -> Option<&EndpointReport> {
        let passing = self.endpoints.iter().filter(|endpoint| passes(endpoint));
        passing.min_by_key(|endpoint| (-endpoint.priority, &endpoint.network_name))
    }
}
