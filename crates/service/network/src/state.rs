//! All that the service knows: networks and the sandboxes on them. Everything else is derived from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    os::fd::OwnedFd,
    sync::Arc,
};

use hakone_base::{ContainerId, NetworkId, Protocol, Subnet};
use hakone_netns::Netns;
use hakone_network_policy::PolicyKey;
use hakone_port as port;
use rustix::net::{Shutdown, shutdown};
use tokio::task::AbortHandle;

use crate::{
    EndpointReport, Error, SandboxReport,
    policy::Stored,
    record::{DEFAULT, Network},
    resolver::Given,
};

/// Networks and sandboxes, behind one short lock.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) networks: BTreeMap<NetworkId, Network>,
    pub(crate) sandboxes: BTreeMap<ContainerId, Attached>,
    /// The published ports of containers between two runs.
    pub(crate) parked: BTreeMap<ContainerId, port::Parked>,
    pub(crate) policies: BTreeMap<PolicyKey, Stored>,
    /// What the resolver answered containers about other machines that their policies open by name.
    pub(crate) given: BTreeMap<ContainerId, Given>,
    /// Addresses whose container went: flows that it began may stand still, and are nobody's who comes next.
    pub(crate) left: BTreeSet<IpAddr>,
    /// Counts the changes that rules or names could depend on.
    pub(crate) generation: u64,
}

/// A sandbox that holds addresses and ports.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) report: SandboxReport,
    pub(crate) stage: Stage,
    /// Its namespace, once it is live; none of a container on the host's or another's.
    pub(crate) netns: Option<Arc<Netns>>,
    /// The sockets that reserve the published ports.
    pub(crate) held: Vec<Arc<OwnedFd>>,
    /// Proxies and resolver.
    pub(crate) tasks: Vec<AbortHandle>,
}

/// How far a sandbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its addresses and ports are reserved; no rule knows it.
    Prepared,
    /// Rules and names know it.
    Live,
    /// No rule or name knows it any more; its addresses are not free yet.
    Leaving,
}

impl State {
    /// Finds a network by name, id, or the beginning of exactly one id.
    pub(crate) fn network(&self, wanted: &str) -> Result<&Network, Error> {
        let wanted = match wanted {
            "default" if self.has_default_bridge() => DEFAULT,
            "default" => "none",
            other => other,
        };
        let mut networks = self.networks.values();
        let exact = |network: &&Network| network.id.as_str() == wanted || network.name() == wanted;
        if let Some(network) = networks.find(exact) {
            return Ok(network);
        }
        let mut matches = self
            .networks
            .values()
            .filter(|network| network.id.as_str().starts_with(wanted));
        match (
            matches.next().filter(|_| !wanted.is_empty()),
            matches.next(),
        ) {
            (Some(network), None) => Ok(network),
            (Some(_), Some(_)) => Err(Error::Ambiguous(wanted.to_owned())),
            (None, _) => Err(Error::NotFound(wanted.to_owned())),
        }
    }

    fn has_default_bridge(&self) -> bool {
        self.networks.values().any(Network::is_default_bridge)
    }

    /// Gives every endpoint of a network whose addresses are taken.
    pub(crate) fn endpoints(
        &self,
        network: &NetworkId,
    ) -> impl Iterator<Item = (&ContainerId, &Attached, &EndpointReport)> {
        let network = network.clone();
        self.sandboxes
            .iter()
            .flat_map(move |(container, attached)| {
                let network = network.clone();
                let endpoints = attached.report.endpoints.iter();
                let here = endpoints.filter(move |endpoint| endpoint.network == network);
                here.map(move |endpoint| (container, attached, endpoint))
            })
    }

    /// Gives the addresses of a network that are taken.
    pub(crate) fn taken(&self, network: &NetworkId) -> BTreeSet<IpAddr> {
        self.endpoints(network)
            .flat_map(|(_, _, endpoint)| endpoint.addresses().chain(endpoint.shared_addresses()))
            .collect()
    }

    /// Gives the subnets of all networks.
    pub(crate) fn subnets(&self) -> Vec<(NetworkId, Subnet)> {
        let networks = self.networks.values();
        networks
            .flat_map(|network| {
                network
                    .pools
                    .iter()
                    .map(|pool| (network.id.clone(), pool.subnet))
            })
            .collect()
    }

    /// Reports whether a sandbox of ours has the port already, on an address that meets this one.
    pub(crate) fn has_port(&self, address: IpAddr, port: u16, protocol: Protocol) -> bool {
        let published = self
            .sandboxes
            .values()
            .flat_map(|attached| &attached.report.published);
        let meets = |other: IpAddr| {
            other == address
                || other.is_ipv6() == address.is_ipv6()
                    && (other.is_unspecified() || address.is_unspecified())
        };
        published.into_iter().any(|published| {
            published.host_port.get() == port
                && published.target.protocol == protocol
                && meets(published.host_address)
        })
    }

    /// Notes that rules and names have to be derived again.
    pub(crate) fn changed(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }
}

impl Attached {
    /// Closes the held sockets.
    pub(crate) fn close(&mut self) {
        for socket in self.held.drain(..) {
            // Ends the listening for all copies: a child between fork and exec has one for a moment. UDP does not know it.
            shutdown(&*socket, Shutdown::Both).ok();
        }
    }

    /// Gives the held sockets for the container's next run, closed to clients.
    pub(crate) fn park(&mut self) -> port::Parked {
        port::Parked::new(std::mem::take(&mut self.held))
    }

    /// Stops proxies and resolver, and gives their handles to wait on.
    pub(crate) fn stop(&mut self) -> Vec<AbortHandle> {
        let tasks = std::mem::take(&mut self.tasks);
        tasks.iter().for_each(AbortHandle::abort);
        tasks
    }
}
