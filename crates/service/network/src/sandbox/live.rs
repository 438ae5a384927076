//! Connects and disconnects a running container.

use std::{
    os::fd::AsFd as _,
    sync::{Arc, atomic::Ordering},
};

use hakone_base::{ContainerId, ContainerName, EndpointId, NetworkId};
use hakone_netlink::{LinkIndex, Socket};
use hakone_netns::{Netns, write_sysctl};
use hakone_network_plugin::{Lease, Ports};

use super::{
    files,
    plan::{self, Joining, Who},
    rules::listen,
    wire::{attachments, networks_of, serve},
};
use crate::{
    CutOff, EndpointReport, EndpointRequest, Error, SandboxReport, driver,
    host::Begun,
    policy::refuse_unjudged,
    remote,
    resolver::default_settings,
    service::{Inner, lock, random},
    state::Stage,
};

/// Adds an endpoint to a running sandbox.
pub(crate) fn connect(
    service: &Arc<Inner>,
    container: &ContainerId,
    init: i32,
    asked: &EndpointRequest,
) -> Result<SandboxReport, Error> {
    let netns = Netns::of_process(init)?;
    let network = lock(&service.state).network(&asked.network)?.clone();
    let leases = remote::lease(service, &[(network, asked.clone())])?;
    let lease = leases.into_values().next();
    let endpoint = match reserve(service, container, asked, lease.as_ref()) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            let leased: Vec<_> = lease.into_iter().map(|lease| lease.endpoint).collect();
            remote::give_back(service, &leased);
            return Err(error);
        }
    };
    let made = refuse_unjudged(service, container)
        .and_then(|()| join(service, container, &netns, endpoint.clone()));
    match made.and_then(|endpoint| plug(service, container, &netns, &endpoint)) {
        Ok(report) => {
            service.announce("connect", container, &endpoint);
            Ok(report)
        }
        Err(error) => {
            if let Err(second) = unplug(service, container, &endpoint) {
                tracing::warn!(container.id = %container, error = %second, "could not undo a connect");
            }
            remote::give_back(service, std::slice::from_ref(&endpoint.id));
            Err(error)
        }
    }
}

/// Takes an endpoint from a running sandbox.
pub(crate) fn disconnect(
    service: &Arc<Inner>,
    container: &ContainerId,
    init: i32,
    network: &str,
) -> Result<SandboxReport, Error> {
    let endpoint = {
        let state = lock(&service.state);
        let network = state.network(network)?;
        if !network.is_plugged() {
            return Err(Error::Conflict(HOST_OR_NONE));
        }
        find(&state, container, &network.id, network.name())?
    };
    let netns = Netns::of_process(init)?;
    remote::take_out(&endpoint, &netns)?;
    driver::take_out(&endpoint, &netns)?;
    unplug(service, container, &endpoint)?;
    remote::give_back(service, std::slice::from_ref(&endpoint.id));
    let report = current(service, container)?;
    lead_out(service, &report, init)?;
    service.announce("disconnect", container, &endpoint);
    Ok(report)
}

/// Finishes what a daemon's death cut off, whatever moment it was; gives the sandbox as it was told of and as it is.
///
/// A disconnect goes on. A connect that got as far as the record stays, an earlier one is undone: its interface is a stray
/// that [`crate::Service::settle`] sweeps, and its default route went to somebody else's.
pub(crate) fn mend(
    service: &Arc<Inner>,
    container: &ContainerId,
    init: i32,
    cut: &CutOff,
) -> Result<(SandboxReport, SandboxReport), Error> {
    let told = current(service, container)?;
    let on = |endpoint: &&EndpointReport| endpoint.network == *cut.network();
    let endpoint = told.endpoints.iter().find(on).cloned();
    match (cut, endpoint) {
        (CutOff::Connect(_), Some(endpoint)) => {
            let mut without = told.clone();
            without.remove_names(&endpoint);
            without.resolv_conf = None;
            Ok((without, told))
        }
        (CutOff::Disconnect(_), Some(_)) => {
            let report = disconnect(service, container, init, cut.network().as_str())?;
            Ok((told, report))
        }
        (CutOff::Connect(_) | CutOff::Disconnect(_), None) => {
            lead_out(service, &told, init)?;
            Ok((told.clone(), told))
        }
    }
}

/// Sets the default routes anew: the one there was may have gone with its interface, or lead to one that will go.
fn lead_out(service: &Inner, report: &SandboxReport, init: i32) -> Result<(), Error> {
    let networks = networks_of(service, report);
    let mut inside = Netns::of_process(init)?.on(Socket::open)??;
    for attachment in attachments(report, &networks) {
        let interface = attachment.endpoint.interface.as_ref();
        let link = interface
            .map(|name| inside.link(name))
            .transpose()?
            .flatten();
        if let Some(link) = link {
            inside.execute(driver::default_routes(&attachment, LinkIndex(link.index)))?;
        }
    }
    Ok(())
}

/// Gives every endpoint on a network with names the container's new one.
pub(crate) fn rename(report: &mut SandboxReport, container: &ContainerId, name: &ContainerName) {
    report.name = name.clone();
    let who = Who {
        name,
        short_id: container.short(),
        hostname: &report.hostname,
    };
    for endpoint in report
        .endpoints
        .iter_mut()
        .filter(|endpoint| !endpoint.dns_names.is_empty())
    {
        endpoint.dns_names = plan::names(who, &endpoint.aliases);
    }
}

const HOST_OR_NONE: &str =
    "container cannot be disconnected from host network or connected to host network";

/// Decides the endpoint and lets the state know it, so that nobody else gets its addresses.
fn reserve(
    service: &Inner,
    container: &ContainerId,
    asked: &EndpointRequest,
    lease: Option<&Lease>,
) -> Result<EndpointReport, Error> {
    let mut state = lock(&service.state);
    let network = state.network(&asked.network)?.clone();
    let attached = state
        .sandboxes
        .get(container)
        .filter(|attached| attached.stage == Stage::Live);
    let report = &attached
        .ok_or_else(|| Error::NoSandbox(container.clone()))?
        .report;
    plan::check_pattern(&network)?;
    let private = |name: &str| name == "none";
    let mut present = report.endpoints.iter();
    if private(network.name()) || present.any(|endpoint| private(&endpoint.network_name)) {
        return Err(Error::Conflict(plan::PRIVATE));
    }
    if !network.is_plugged()
        || report
            .endpoints
            .iter()
            .any(|present| present.interface.is_none())
    {
        return Err(Error::Conflict(HOST_OR_NONE));
    }
    let who = Who {
        name: &report.name,
        short_id: container.short(),
        hostname: &report.hostname,
    };
    let id = EndpointId::from_bytes(random());
    let joining = Joining {
        who,
        network: &network,
        asked,
        present: &report.endpoints,
        lease,
    };
    let endpoint = plan::endpoint(&joining, &state, id)?;
    state.changed();
    if let Some(attached) = state.sandboxes.get_mut(container) {
        attached.report.endpoints.push(endpoint.clone());
    }
    Ok(endpoint)
}

/// Asks the endpoint's plugin, if it has one, to make it and to let the container join.
fn join(
    service: &Arc<Inner>,
    container: &ContainerId,
    netns: &Netns,
    endpoint: EndpointReport,
) -> Result<EndpointReport, Error> {
    let mut report = current(service, container)?;
    remote::create_endpoints(service, &mut report, Ports::default())?;
    remote::join_endpoints(service, &mut report, netns)?;
    let mut joined = report.endpoints.into_iter();
    let joined = joined.find(|one| one.id == endpoint.id);
    let joined = joined.unwrap_or(endpoint);
    let mut state = lock(&service.state);
    if let Some(attached) = state.sandboxes.get_mut(container) {
        let mut endpoints = attached.report.endpoints.iter_mut();
        if let Some(place) = endpoints.find(|one| one.id == joined.id) {
            *place = joined.clone();
        }
    }
    Ok(joined)
}

fn plug(
    service: &Arc<Inner>,
    container: &ContainerId,
    netns: &Netns,
    endpoint: &EndpointReport,
) -> Result<SandboxReport, Error> {
    let report = current(service, container)?;
    let networks = networks_of(service, &report);
    let mut attachments = attachments(&report, &networks);
    attachments.retain(|attachment| attachment.endpoint.id == endpoint.id);
    // The sandbox may have been made with or without IPv6; the interface to come inherits this.
    let closed = if endpoint.ipv6.is_some() { "0" } else { "1" };
    let inherited = netns.on(|| write_sysctl("net/ipv6/conf/default/disable_ipv6", closed))?;
    if endpoint.ipv6.is_some() {
        inherited?;
    }
    let mut inside = netns.on(Socket::open)??;
    let mut host = lock(&service.host);
    for attachment in &attachments {
        driver::attach(attachment, &mut host, netns.as_fd(), &mut inside)?;
    }
    host.load_rules(&service.state)?;
    host.forget_former(&service.state, endpoint.addresses());
    host.cut_flows(&service.state, Begun::ByTheseRules);
    driver::open_ports(&attachments, &mut host)?;
    drop(host);
    driver::await_carriers(&attachments, &service.host, &mut inside)?;
    begin_names(service, container, netns, endpoint)?;
    current(service, container)
}

/// Starts a resolver when this is the sandbox's first network with names, and lets its files know the endpoint.
fn begin_names(
    service: &Arc<Inner>,
    container: &ContainerId,
    netns: &Netns,
    endpoint: &EndpointReport,
) -> Result<(), Error> {
    let mut state = lock(&service.state);
    let Some(attached) = state.sandboxes.get_mut(container) else {
        return Ok(());
    };
    attached.report.add_names(endpoint);
    if attached.report.resolver.is_some() || endpoint.dns_names.is_empty() {
        return Ok(());
    }
    attached.report.resolver = Some(default_settings(&service.config));
    files::use_resolver(&mut attached.report);
    attached.stop();
    drop(state);
    let listening = listen(&service.config, netns)?;
    serve(service, container, Some(listening))
}

/// Takes an endpoint out of rules, names, bridge and sandbox.
fn unplug(
    service: &Arc<Inner>,
    container: &ContainerId,
    endpoint: &EndpointReport,
) -> Result<(), Error> {
    let report = current(service, container)?;
    let networks = networks_of(service, &report);
    let mut attachments = attachments(&report, &networks);
    attachments.retain(|attachment| attachment.endpoint.id == endpoint.id);
    // The interface goes first: without its rules it would be one that nobody judges.
    let mut host = lock(&service.host);
    let mut outcome = Ok(());
    for attachment in &attachments {
        outcome = outcome.and(driver::detach(attachment, &mut host, true));
    }
    let mut state = lock(&service.state);
    state.changed();
    if let Some(attached) = state.sandboxes.get_mut(container) {
        attached
            .report
            .endpoints
            .retain(|present| present.id != endpoint.id);
        attached.report.remove_names(endpoint);
    }
    drop(state);
    match service.settled.load(Ordering::Acquire) {
        true => {
            outcome = outcome.and(host.load_rules(&service.state));
            let addresses: Vec<_> = endpoint.addresses().collect();
            host.forget_addresses(&addresses);
            outcome
        }
        // Not all that runs is known yet, so the rules of the former daemon stay until it is.
        false => outcome,
    }
}

fn current(service: &Inner, container: &ContainerId) -> Result<SandboxReport, Error> {
    let state = lock(&service.state);
    let attached = state.sandboxes.get(container);
    let report = attached.map(|attached| attached.report.clone());
    report.ok_or_else(|| Error::NoSandbox(container.clone()))
}

fn find(
    state: &crate::state::State,
    container: &ContainerId,
    network: &NetworkId,
    name: &str,
) -> Result<EndpointReport, Error> {
    let attached = state.sandboxes.get(container);
    let mut endpoints = attached
        .into_iter()
        .flat_map(|attached| &attached.report.endpoints);
    let found = endpoints.find(|endpoint| endpoint.network == *network);
    found.cloned().ok_or_else(|| Error::NotConnected {
        container: container.clone(),
        network: name.to_owned(),
    })
}
