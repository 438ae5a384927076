//! Decides a sandbox, reserves its ports and makes its namespace.

use std::{
    net::{IpAddr, Ipv4Addr},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, Weak},
};

use hakone_base::{ContainerId, EndpointId};
use hakone_netlink::{LinkIndex, Socket, bring_up};
use hakone_netns::{Netns, write_sysctl};
use hakone_network_plugin::Ports;
use hakone_port as port;
use hakone_resolver::Listening;

use super::{
    files, plan,
    release::{Published, release},
    rules::Rules,
    wire::Wiring,
};
use crate::{
    Config, EndpointReport, EndpointRequest, Error, NetworkMode, SandboxReport, SandboxRequest,
    policy::refuse_unjudged,
    record::Network,
    remote::{self, Leases},
    resolver,
    service::{Inner, lock, random},
    state::{Attached, Stage},
};

/// A sandbox between [`crate::Service::prepare`] and the container's start.
///
/// Dropped before it was wired, it gives back everything that it holds. Afterwards it only keeps the namespace alive until
/// the supervisor has it.
#[derive(Debug)]
pub struct Sandbox {
    pub(crate) container: ContainerId,
    pub(crate) report: SandboxReport,
    pub(crate) held: Vec<Arc<OwnedFd>>,
    pub(crate) netns: Option<Arc<Netns>>,
    pub(crate) unwired: Option<Unwired>,
    pub(crate) service: Weak<Inner>,
}

/// What only wiring needs.
#[derive(Debug)]
pub(crate) struct Unwired {
    /// A netlink socket inside the namespace.
    pub(crate) inside: Option<Socket>,
    /// The resolver's sockets inside the namespace.
    pub(crate) listening: Option<Listening>,
    /// Rules that are on their way into the namespace.
    pub(crate) rules: Option<Rules>,
    /// Kernel parameters of interfaces that do not exist yet.
    pub(crate) sysctls: Vec<(String, String)>,
}

impl Sandbox {
    /// Gives the namespace for the supervisor; `None` when the container uses the host's or another's.
    #[must_use]
    pub fn netns(&self) -> Option<BorrowedFd<'_>> {
        self.netns.as_ref().map(|netns| netns.as_fd())
    }

    /// Gives the sockets that reserve the published ports, for the supervisor to hold while the daemon is away.
    #[must_use]
    pub fn held(&self) -> &[Arc<OwnedFd>] {
        &self.held
    }

    /// Tells what was decided; it is final before the kernel has it.
    #[must_use]
    pub fn report(&self) -> &SandboxReport {
        &self.report
    }

    /// Hands over what wiring needs, once.
    pub(crate) fn take_wiring(&mut self) -> Option<Wiring> {
        Some(Wiring {
            container: self.container.clone(),
            report: self.report.clone(),
            netns: self.netns.clone(),
            unwired: self.unwired.take()?,
        })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let (Some(_), Some(service)) = (self.unwired.take(), self.service.upgrade()) {
            service.forget(&self.container);
        }
    }
}

/// Takes the steps that need no interface yet. Each failure gives back what was reserved before it.
pub(crate) fn prepare(service: &Arc<Inner>, request: &SandboxRequest) -> Result<Sandbox, Error> {
    // A sandbox left over from an earlier run must not keep its addresses, nor its rules.
    release(service, &request.container, Published::Kept)?;
    let leases = remote::lease(service, &remote_networks(service, request)?)?;
    let mut sandbox = match reserve_addresses(service, request, &leases) {
        Ok(sandbox) => sandbox,
        Err(error) => {
            let leased: Vec<_> = leases.into_values().map(|one| one.endpoint).collect();
            remote::give_back(service, &leased);
            return Err(error);
        }
    };
    refuse_unjudged(service, &request.container)?;
    let asked = request.effective_bindings();
    let ports = Ports {
        exposed: &request.exposed,
        bindings: &asked,
    };
    remote::create_endpoints(service, &mut sandbox.report, ports)?;
    publish(service, request, &mut sandbox)?;
    sandbox.report.resolver = resolver::settings(service, request, &sandbox.report);
    files::fill(service, request, &mut sandbox.report);
    if matches!(request.mode, NetworkMode::Networks(_) | NetworkMode::None) {
        make_netns(&service.config, &mut sandbox)?;
    }
    if let Some(netns) = sandbox.netns.clone() {
        remote::join_endpoints(service, &mut sandbox.report, &netns)?;
    }
    remote::program(service, &mut sandbox.report, ports)?;
    let mut state = lock(&service.state);
    if let Some(attached) = state.sandboxes.get_mut(&request.container) {
        attached.report.clone_from(&sandbox.report);
        attached.held.clone_from(&sandbox.held);
    }
    drop(state);
    Ok(sandbox)
}

/// Gives the asked networks that plugins have to do with.
fn remote_networks(
    service: &Inner,
    request: &SandboxRequest,
) -> Result<Vec<(Network, EndpointRequest)>, Error> {
    let state = lock(&service.state);
    let all = plan::networks(request, &state)?.into_iter();
    let remote = all.filter(|(network, _)| network.is_remote());
    Ok(remote
        .map(|(network, asked)| (network.clone(), asked))
        .collect())
}

/// Decides under the lock, so that no two sandboxes get one address.
fn reserve_addresses(
    service: &Arc<Inner>,
    request: &SandboxRequest,
    leases: &Leases,
) -> Result<Sandbox, Error> {
    let mut state = lock(&service.state);
    let report = plan::plan(request, &state, leases, || EndpointId::from_bytes(random()))?;
    let attached = Attached {
        report: report.clone(),
        stage: Stage::Prepared,
        netns: None,
        held: Vec::new(),
        tasks: Vec::new(),
    };
    state.sandboxes.insert(request.container.clone(), attached);
    drop(state);
    let asked = request.sysctls.clone();
    let sysctls = closed_ipv6(&report).into_iter().chain(asked).collect();
    Ok(Sandbox {
        container: request.container.clone(),
        report,
        held: Vec::new(),
        netns: None,
        unwired: Some(Unwired {
            inside: None,
            listening: None,
            rules: None,
            sysctls,
        }),
        service: Arc::downgrade(service),
    })
}

/// Closes IPv6 on the interfaces of networks without it, when another network of the container has it.
fn closed_ipv6(report: &SandboxReport) -> Vec<(String, String)> {
    let (with, without): (Vec<&EndpointReport>, Vec<_>) = report
        .endpoints
        .iter()
        .partition(|endpoint| endpoint.ipv6.is_some());
    let without = without.iter().filter(|_| !with.is_empty());
    let names = without.filter_map(|endpoint| endpoint.interface.as_ref());
    names
        .map(|name| (format!("net/ipv6/conf/{name}/disable_ipv6"), "1".to_owned()))
        .collect()
}

fn publish(service: &Inner, request: &SandboxRequest, sandbox: &mut Sandbox) -> Result<(), Error> {
    let parked = lock(&service.state).parked.remove(&request.container);
    let parked = Mutex::new(parked.unwrap_or_default());
    let Some(endpoint) = sandbox.report.way_out().cloned() else {
        return Ok(());
    };
    let is_bridge = |id| {
        let state = lock(&service.state);
        state.networks.get(id).is_some_and(Network::is_bridge)
    };
    // A macvlan endpoint is on the link itself: its ports need no publishing.
    if !is_bridge(&endpoint.network) {
        return Ok(());
    }
    let addresses = default_addresses(service, &endpoint.network, request.on_loopback);
    let is_ours = |address: IpAddr, number, protocol| {
        lock(&service.state).has_port(address, number, protocol)
    };
    let reservation = port::Reservation {
        parked: &parked,
        name: request.name.as_str(),
        endpoint: &endpoint.id,
        addresses: &addresses,
        is_ours: &is_ours,
    };
    for binding in request.effective_bindings() {
        for reserved in port::reserve(&binding, &reservation)? {
            sandbox.report.published.push(reserved.port);
            sandbox.held.extend(reserved.socket);
        }
        note_ports(service, sandbox);
    }
    Ok(())
}

/// Lets other sandboxes see at once which ports are ours.
fn note_ports(service: &Inner, sandbox: &Sandbox) {
    if let Some(attached) = lock(&service.state).sandboxes.get_mut(&sandbox.container) {
        attached
            .report
            .published
            .clone_from(&sandbox.report.published);
    }
}

/// Gives the host addresses of bindings that name none: the network's, the daemon's, or all; of a hardened container the loopback.
fn default_addresses(
    service: &Inner,
    network: &hakone_base::NetworkId,
    on_loopback: bool,
) -> Vec<IpAddr> {
    let state = lock(&service.state);
    let network = state.networks.get(network);
    let own = network.and_then(|network| network.spec.bridge.host_address);
    match own.or(service.config.publish_address) {
        Some(address) if !address.is_unspecified() => vec![address],
        None if on_loopback => vec![Ipv4Addr::LOCALHOST.into()],
        Some(_) | None => port::every_address().to_vec(),
    }
}

fn make_netns(config: &Config, sandbox: &mut Sandbox) -> Result<(), Error> {
    let ipv6 = sandbox
        .report
        .endpoints
        .iter()
        .any(|endpoint| endpoint.ipv6.is_some());
    let wants_resolver = sandbox.report.resolver.is_some();
    let (netns, inside) = Netns::create(|_| first_steps(config, ipv6, wants_resolver))?;
    let inside = inside?;
    sandbox.netns = Some(Arc::new(netns));
    if let Some(unwired) = &mut sandbox.unwired {
        unwired.inside = Some(inside.socket);
        unwired.listening = inside.listening;
        unwired.rules = inside.rules;
    }
    Ok(())
}

/// What the first steps inside a namespace leave.
struct Inside {
    socket: Socket,
    listening: Option<Listening>,
    rules: Option<Rules>,
}

/// Runs inside the fresh namespace, while the thread that made it is there anyway.
fn first_steps(config: &Config, ipv6: bool, resolver: bool) -> Result<Inside, Error> {
    let mut socket = Socket::open()?;
    socket.execute([bring_up(LOOPBACK)])?;
    let listening = resolver.then(Listening::open).transpose()?;
    let rules = Rules::begin(config, listening.as_ref())?;
    harden(ipv6);
    Ok(Inside {
        socket,
        listening,
        rules,
    })
}

/// The loopback's number in every namespace.
const LOOPBACK: LinkIndex = LinkIndex(1);

/// Keeps a container from routing between its networks and from believing strangers' routes. Interfaces to come inherit
/// `default`. A kernel without one of these goes on without it.
fn harden(ipv6: bool) {
    let forwards =
        std::fs::read("/proc/sys/net/ipv4/ip_forward").is_ok_and(|value| value != b"0\n");
    let routes_v6 =
        std::fs::read("/proc/sys/net/ipv6/conf/all/forwarding").is_ok_and(|value| value != b"0\n");
    let parameters = [
        ("net/ipv4/ip_forward", "0", forwards),
        ("net/ipv4/conf/all/accept_redirects", "0", true),
        ("net/ipv4/conf/default/accept_redirects", "0", true),
        ("net/ipv4/conf/all/accept_source_route", "0", true),
        ("net/ipv6/conf/all/forwarding", "0", routes_v6),
        ("net/ipv6/conf/default/addr_gen_mode", "0", ipv6),
        ("net/ipv6/conf/default/disable_ipv6", "1", !ipv6),
        ("net/ipv6/conf/default/accept_ra", "0", true),
        ("net/ipv6/conf/default/accept_redirects", "0", true),
    ];
    for (parameter, value, _) in parameters.into_iter().filter(|(_, _, needed)| *needed) {
        if let Err(error) = write_sysctl(parameter, value) {
            tracing::debug!(%error, "sandbox parameter not set");
        }
    }
}
