//! What the daemon's configuration says about networks.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

use hakone_base::{BridgeName, Subnet};
use hakone_ipam::PoolBase;
use ipnet::IpNet;

use crate::PublishFirewall;

/// Where our rules stand (`firewall-backend`); what packets may do is the same either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// In tables of our own of nftables.
    #[default]
    Nftables,
    /// In the host's iptables, for hosts that want everything visible there.
    Iptables,
}

/// The daemon's network settings; the names are dockerd's.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of dockerd of its own, and they combine freely"
)]
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of the network records, `<data root>/networks`.
    pub folder: PathBuf,
    /// The folder of the policy records, `<data root>/policies`.
    pub policies: PathBuf,
    /// The bridge of the default network (`bridge`).
    pub bridge: BridgeName,
    /// Whether there is a default network at all (not `bridge: none`).
    pub has_default_bridge: bool,
    /// The default bridge's address with its prefix (`bip`); `None` takes the first free pool.
    pub bip: Option<IpNet>,
    /// The part of the default bridge's subnet that containers get addresses from (`fixed-cidr`).
    pub fixed_cidr: Option<Subnet>,
    /// The default bridge's IPv6 subnet (`fixed-cidr-v6`); `None` is IPv4 only.
    pub fixed_cidr_v6: Option<Subnet>,
    /// The largest packet on the default bridge (`mtu`).
    pub mtu: Option<u32>,
    /// Where networks without a subnet get theirs (`default-address-pools`); empty takes Docker's.
    pub pools: Vec<PoolBase>,
    /// Whether firewall rules are loaded at all (`iptables`).
    pub firewall: bool,
    /// Where those rules stand (`firewall-backend`).
    pub backend: Backend,
    /// Whether IPv6 has rules as well (`ip6tables`).
    pub firewall_v6: bool,
    /// Whether forwarding is switched on when the first bridge network needs it (`ip-forward`).
    pub ip_forward: bool,
    /// Whether forwarding that we switch on is closed to packets of others (not `ip-forward-no-drop`).
    pub forward_drop: bool,
    /// Whether other machines may route to published ports of containers (`allow-direct-routing`).
    pub direct_routing: bool,
    /// Whether networks that do not say otherwise reach of the host only the ports opened to them, and no published ports of
    /// each other (`hardened`).
    pub hardened: bool,
    /// How many flows one address of a container may have at a time; `None` takes an eighth of the kernel's table.
    pub flow_quota: Option<u32>,
    /// Whether rules tell the flow log what they see (`flow-log`).
    pub telling: bool,
    /// For each driver the options of new networks that do not set them (`default-network-opts`).
    pub default_options: BTreeMap<String, BTreeMap<String, String>>,
    /// Whether containers of the default bridge may talk to each other (`icc`).
    pub icc: bool,
    /// Whether the default bridge's packets leave with the host's address (`ip-masq`).
    pub masquerade: bool,
    /// Whether loopback connections to published ports are served by a proxy (`userland-proxy`).
    pub proxy: bool,
    /// Whether published ports of the default bridge obey the host's own rules for its services (`publish-firewall`).
    pub publish_firewall: PublishFirewall,
    /// The host address of published ports that name none (`ip`); `None` means every address of both families.
    pub publish_address: Option<IpAddr>,
    /// The resolvers of containers that name none (`dns`); empty takes the host's.
    pub dns: Vec<IpAddr>,
    /// The search domains of containers that name none (`dns-search`).
    pub dns_search: Vec<String>,
    /// The resolver options of containers that name none (`dns-opts`).
    pub dns_options: Vec<String>,
    /// What `host-gateway` means in extra hosts (`host-gateway-ip`); empty takes the default bridge's gateways.
    pub host_gateway: Vec<IpAddr>,
    /// The host's resolver settings.
    pub resolv_conf: PathBuf,
    /// Where plugins are; `None` has none.
    pub plugins: Option<hakone_plugin::Folders>,
}

impl Config {
    /// Makes Docker's defaults for a record folder, with the bridge `hakone0`.
    ///
    /// # Errors
    /// Never in practice: the bridge's name is a constant.
    pub fn new(folder: PathBuf) -> Result<Self, hakone_base::IfNameError> {
        Ok(Self {
            policies: folder.with_file_name("policies"),
            folder,
            bridge: "hakone0".parse()?,
            has_default_bridge: true,
            bip: None,
            fixed_cidr: None,
            fixed_cidr_v6: None,
            mtu: None,
            pools: Vec::new(),
            firewall: true,
            backend: Backend::default(),
            firewall_v6: true,
            forward_drop: true,
            direct_routing: false,
            hardened: false,
            flow_quota: None,
            telling: false,
            default_options: BTreeMap::new(),
            ip_forward: true,
            icc: true,
            masquerade: true,
            proxy: true,
            publish_firewall: PublishFirewall::default(),
            publish_address: None,
            dns: Vec::new(),
            dns_search: Vec::new(),
            dns_options: Vec::new(),
            host_gateway: Vec::new(),
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            plugins: None,
        })
    }
}

impl std::str::FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "nftables" => Ok(Self::Nftables),
            "iptables" => Ok(Self::Iptables),
            _ => Err("either nftables or iptables".to_owned()),
        }
    }
}
