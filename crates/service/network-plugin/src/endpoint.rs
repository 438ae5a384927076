//! Endpoints on networks of plugins: addresses leased, endpoint made, container joined; and all of it given back.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    os::fd::{AsRawFd as _, BorrowedFd},
};

use hakone_base::{EndpointId, ExposedPort, MacAddr, PublishedPort, Subnet};
use hakone_network_model::{EndpointAddress, EndpointReport, EndpointRequest, PortBinding};
use hakone_plugin::Plugin;
use hakone_plugin_model::{
    EndpointMade, EndpointNamed, EndpointToMake, Interface, Join, JoinReply, Joining, OperInfo,
    Outcome, PUBLISHED, PortAsked, PortMapped, Programming, judge_interface, judge_join,
    judge_published,
};
use ipnet::IpNet;
use serde_json::{Value, json};

use crate::{
    Error, Plugins, Remote,
    ledger::{Asking, Held, Stage},
    network::GENERIC,
    plugins::refuse,
    pools,
};

/// Which ports the image exposes.
const EXPOSED: &str = "com.docker.network.endpoint.exposedports";
/// Where a driver tells an endpoint's Ethernet address.
const MAC: &str = "com.docker.network.endpoint.macaddress";

/// An endpoint to be, and the addresses that a plugin gave for it.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Its id.
    pub endpoint: EndpointId,
    /// The IPv4 address.
    pub v4: Option<IpAddr>,
    /// The IPv6 address.
    pub v6: Option<IpAddr>,
}

/// The ports of a container, as drivers are told of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports<'a> {
    /// Those that the image exposes.
    pub exposed: &'a [ExposedPort],
    /// Those to publish.
    pub bindings: &'a [PortBinding],
}

/// What a plugin must keep off.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The subnets of all other networks.
    pub foreign: Vec<Subnet>,
    /// The addresses of the network's members.
    pub taken: BTreeSet<IpAddr>,
}

/// Notes an endpoint on a network that a plugin has to do with, and asks an address plugin for its addresses. After a failure
/// [`give_back`] is the caller's.
///
/// # Errors
/// When the plugin is away, refuses, or gives what is none.
pub fn lease(
    plugins: &Plugins,
    network: Remote<'_>,
    asked: &EndpointRequest,
    endpoint: EndpointId,
) -> Result<Lease, Error> {
    let mut held = Held {
        endpoint: endpoint.clone(),
        network: network.id.clone(),
        addresses: Vec::new(),
        asking: None,
        stage: Stage::Unknown,
    };
    let mut lease = Lease {
        endpoint,
        v4: None,
        v6: None,
    };
    plugins.ledger.note(held.clone())?;
    for (pool, of) in network.pools.iter().zip(network.leases) {
        let v6 = pool.subnet.is_ipv6();
        let wanted = match v6 {
            true => asked.ipv6.map(IpAddr::V6),
            false => asked.ipv4.map(IpAddr::V4),
        };
        held.asking = Some(wanted.map_or(Asking::Any, Asking::One));
        plugins.ledger.note(held.clone())?;
        let asked = (wanted, asked.mac);
        let given = answered(
            pools::endpoint(plugins, network, (of, pool.subnet), asked),
            &mut held,
        );
        plugins.ledger.note(held.clone())?;
        let given = given?;
        match v6 {
            true => lease.v6 = Some(given),
            false => lease.v4 = Some(given),
        }
    }
    Ok(lease)
}

/// Takes what a plugin said to a question. One that refuses has given nothing; one that was not heard may have.
fn answered(answer: Result<IpAddr, Error>, held: &mut Held) -> Result<IpAddr, Error> {
    match &answer {
        Ok(given) => {
            held.addresses.push(*given);
            held.asking = None;
        }
        Err(Error::Plugin(hakone_plugin::Error::Refused { .. })) => held.asking = None,
        Err(_) => {}
    }
    answer
}

/// Asks the driver to make an endpoint, and takes what it fills in. Does nothing on networks of ours.
///
/// # Errors
/// When the driver is away, refuses, or answers what is not its own to decide.
pub fn create(
    plugins: &Plugins,
    network: Remote<'_>,
    endpoint: &mut EndpointReport,
    ports: Ports<'_>,
    around: &Surroundings,
) -> Result<(), Error> {
    let Some(name) = network.driver() else {
        return Ok(());
    };
    let plugin = plugins.driver(name)?;
    let interface = Interface {
        address: cidr(endpoint.ipv4.map(|v4| (v4.address.into(), v4.prefix_len))),
        address_v6: cidr(endpoint.ipv6.map(|v6| (v6.address.into(), v6.prefix_len))),
        mac_address: endpoint.mac.map(|mac| mac.to_string()).unwrap_or_default(),
    };
    plugins.ledger.advance(&endpoint.id, Stage::Made)?;
    let question = EndpointToMake {
        network: network.id.as_str(),
        endpoint: endpoint.id.as_str(),
        options: &options(endpoint, ports),
        interface: &interface,
    };
    let made: EndpointMade = plugins.ask(&plugin, "NetworkDriver.CreateEndpoint", &question)?;
    let added = judge_interface(&interface, &made.interface);
    let added = added.map_err(|error| refuse(&plugin, &error))?;
    for net in [added.v4, added.v6].into_iter().flatten() {
        around
            .free(net)
            .map_err(|reason| refuse(&plugin, &reason))?;
        take(endpoint, net);
    }
    let mac = endpoint.mac.or(added.mac);
    endpoint.mac = mac.or_else(|| told_mac(plugins, &plugin, endpoint));
    Ok(())
}

/// Asks for the Ethernet address.
fn told_mac(plugins: &Plugins, plugin: &Plugin, endpoint: &EndpointReport) -> Option<MacAddr> {
    let told = told(plugins, plugin, endpoint);
    told.value.get(MAC)?.as_str()?.parse().ok()
}

/// Asks what the driver tells of an endpoint; whoever has nothing to tell may refuse the question.
fn told(plugins: &Plugins, plugin: &Plugin, endpoint: &EndpointReport) -> OperInfo {
    let question = named(endpoint);
    let told = plugins.ask(plugin, "NetworkDriver.EndpointOperInfo", &question);
    told.unwrap_or_default()
}

const fn named_of<'a>(network: &'a str, endpoint: &'a str) -> EndpointNamed<'a> {
    EndpointNamed { network, endpoint }
}

fn named(endpoint: &EndpointReport) -> EndpointNamed<'_> {
    named_of(endpoint.network.as_str(), endpoint.id.as_str())
}

impl Surroundings {
    /// Refuses an address that a driver chose where another network or endpoint has it.
    fn free(&self, net: IpNet) -> Result<(), String> {
        let subnet = Subnet::new(net);
        let foreign = self.foreign.iter().any(|other| other.overlaps(&subnet));
        match foreign || self.taken.contains(&net.addr()) {
            true => Err(format!("{net} belongs to somebody else")),
            false => Ok(()),
        }
    }
}

fn take(endpoint: &mut EndpointReport, net: IpNet) {
    let prefix_len = net.prefix_len();
    let gateway = None;
    match net.addr() {
        IpAddr::V4(address) => {
            endpoint.ipv4 = Some(EndpointAddress {
                address,
                prefix_len,
                gateway,
            });
        }
        IpAddr::V6(address) => {
            endpoint.ipv6 = Some(EndpointAddress {
                address,
                prefix_len,
                gateway: None,
            });
        }
    }
}

/// Asks the driver to let the container join; tells which interface of the host is to go inside. `None` on networks of ours.
///
/// # Errors
/// When the driver is away, refuses, or names what is not its own.
pub fn join(
    plugins: &Plugins,
    network: Remote<'_>,
    endpoint: &EndpointReport,
    netns: BorrowedFd<'_>,
    around: &Surroundings,
) -> Result<Option<Join>, Error> {
    let Some(name) = network.driver() else {
        return Ok(None);
    };
    let plugin = plugins.driver(name)?;
    plugins.ledger.advance(&endpoint.id, Stage::Joined)?;
    let descriptor = netns.as_raw_fd();
    let question = Joining {
        network: network.id.as_str(),
        endpoint: endpoint.id.as_str(),
        sandbox_key: &format!("/proc/{}/fd/{descriptor}", std::process::id()),
        options: &BTreeMap::from([(GENERIC.to_owned(), json!(endpoint.driver_opts))]),
    };
    let reply: JoinReply = plugins.ask(&plugin, "NetworkDriver.Join", &question)?;
    let judged = judge_join(&reply, &around.foreign);
    Ok(Some(judged.map_err(|error| refuse(&plugin, &error))?))
}

/// Asks the driver of the way out to publish ports, and gives those that it says it has published.
///
/// # Errors
/// When the driver is away or refuses.
pub fn program(
    plugins: &Plugins,
    network: Remote<'_>,
    endpoint: &EndpointReport,
    ports: Ports<'_>,
) -> Result<Vec<PublishedPort>, Error> {
    let Some(name) = network.driver().filter(|_| !ports.bindings.is_empty()) else {
        return Ok(Vec::new());
    };
    let plugin = plugins.driver(name)?;
    plugins.ledger.advance(&endpoint.id, Stage::Published)?;
    let question = Programming {
        network: network.id.as_str(),
        endpoint: endpoint.id.as_str(),
        options: &options(endpoint, ports),
    };
    let method = "NetworkDriver.ProgramExternalConnectivity";
    let _done: Outcome = plugins.ask(&plugin, method, &question)?;
    let told = told(plugins, &plugin, endpoint);
    let asked = |port: &PublishedPort| ports.bindings.iter().any(|one| is_for(one, port));
    Ok(judge_published(&told, asked))
}

/// Reports whether a port is what a binding asks for: the driver chooses what the user left open.
fn is_for(binding: &PortBinding, port: &PublishedPort) -> bool {
    let range = binding.host_ports.as_ref();
    let address = binding.host_address.filter(|one| !one.is_unspecified());
    binding.target == port.target
        && range.is_none_or(|range| range.contains(&port.host_port))
        && address.is_none_or(|address| address == port.host_address)
}

/// Gives endpoints back to their plugins, each once; `with` lends the network of an id, if there is one still. A plugin that does
/// not answer is asked again by the next daemon.
pub fn give_back(
    plugins: &Plugins,
    endpoints: &[EndpointId],
    with: impl Fn(
        &hakone_base::NetworkId,
        &dyn Fn(Remote<'_>) -> Result<(), Error>,
    ) -> Result<(), Error>,
) {
    for endpoint in endpoints {
        let Some(held) = plugins.ledger.take(endpoint) else {
            continue;
        };
        match with(&held.network, &|network| {
            give_back_one(plugins, network, &held)
        }) {
            Ok(()) => plugins.ledger.strike(endpoint),
            Err(error) => {
                tracing::warn!(endpoint.id = %endpoint, %error, "an endpoint stays with its plugin until the next start");
            }
        }
    }
}

fn give_back_one(plugins: &Plugins, network: Remote<'_>, held: &Held) -> Result<(), Error> {
    if let Some(name) = network.driver().filter(|_| held.stage > Stage::Unknown) {
        let plugin = plugins.driver(name)?;
        let question = named_of(held.network.as_str(), held.endpoint.as_str());
        let steps = [
            (Stage::Published, "RevokeExternalConnectivity"),
            (Stage::Joined, "Leave"),
            (Stage::Made, "DeleteEndpoint"),
        ];
        for (_, verb) in steps.into_iter().filter(|(stage, _)| held.stage >= *stage) {
            let method = format!("NetworkDriver.{verb}");
            let done: Result<Outcome, _> = plugins.ask(&plugin, &method, &question);
            heard(done.map(drop))?;
        }
    }
    let unheard = unheard(plugins, network, held);
    held.addresses
        .iter()
        .chain(&unheard)
        .try_for_each(|address| heard(pools::give_back(plugins, network, *address)))
}

/// Gives the address that was asked for, where the answer was never heard. Pools are of the plugin's local address space, so
/// whoever has it is an endpoint of ours, the network's gateway, or nobody. An address that the plugin chose is known to it alone.
fn unheard(plugins: &Plugins, network: Remote<'_>, held: &Held) -> Option<IpAddr> {
    match held.asking.as_ref()? {
        Asking::One(address) => {
            let taken = plugins.ledger.has(&held.network, *address)
                || network.pools.iter().any(|pool| {
                    pool.gateway == *address || pool.auxiliary.values().any(|one| one == address)
                });
            Some(*address).filter(|_| !taken)
        }
        Asking::Any => {
            tracing::warn!(network.id = %network.id, "an address plugin was asked for an address and its answer was not heard; it may hold one that nobody has");
            None
        }
    }
}

/// A plugin that refuses has heard it; one that is away has not.
fn heard(outcome: Result<(), Error>) -> Result<(), Error> {
    match outcome {
        Err(Error::Plugin(error @ hakone_plugin::Error::Refused { .. })) => {
            tracing::warn!(%error, "a plugin would not take an endpoint back");
            Ok(())
        }
        outcome => outcome,
    }
}

fn cidr(address: Option<(IpAddr, u8)>) -> String {
    address.map_or_else(String::new, |(address, prefix)| {
        format!("{address}/{prefix}")
    })
}

fn options(endpoint: &EndpointReport, ports: Ports<'_>) -> BTreeMap<String, Value> {
    let exposed: Vec<PortAsked> = ports.exposed.iter().map(exposed).collect();
    let mapped: Vec<PortMapped> = ports.bindings.iter().map(mapped).collect();
    let own = endpoint.driver_opts.iter();
    let own = own.map(|(key, value)| (key.clone(), json!(value)));
    let ports = [
        (EXPOSED.to_owned(), json!(exposed)),
        (PUBLISHED.to_owned(), json!(mapped)),
    ];
    own.chain(ports).collect()
}

fn exposed(port: &ExposedPort) -> PortAsked {
    PortAsked {
        proto: port.protocol.number(),
        port: port.port.get(),
    }
}

fn mapped(binding: &PortBinding) -> PortMapped {
    let range = binding.host_ports.as_ref();
    PortMapped {
        proto: binding.target.protocol.number(),
        address: String::new(),
        port: binding.target.port.get(),
        host_address: binding
            .host_address
            .map(|address| address.to_string())
            .unwrap_or_default(),
        host_port: range.map_or(0, |range| range.start().get()),
        host_port_end: range.map_or(0, |range| range.end().get()),
    }
}
