//! Plugs a prepared sandbox in: interfaces closed, rules loaded, then opened.

use std::{os::fd::AsFd as _, sync::Arc};

use hakone_base::ContainerId;
use hakone_netlink::Socket;
use hakone_netns::{Netns, write_sysctl};
use hakone_policy::Ends;
use hakone_port::{self as port, is_own};
use hakone_resolver::{Listening, Names};

use super::{
    prepare::Unwired,
    release::{Published, release},
};
use crate::{
    EndpointReport, Error, SandboxReport,
    driver::{self, Attachment},
    host::Begun,
    record::Network,
    resolver::Known,
    service::{Inner, lock},
    state::{Stage, State},
};

/// A sandbox as wiring needs it.
pub(crate) struct Wiring {
    pub(crate) container: ContainerId,
    pub(crate) report: SandboxReport,
    pub(crate) netns: Option<Arc<Netns>>,
    pub(crate) unwired: Unwired,
}

/// Wires a sandbox; a failure gives everything back.
pub(crate) fn wire(service: &Arc<Inner>, wiring: Wiring) -> Result<SandboxReport, Error> {
    let container = wiring.container.clone();
    let report = wiring.report.clone();
    match try_wire(service, wiring) {
        Ok(()) => {
            for endpoint in &report.endpoints {
                service.announce("connect", &container, endpoint);
            }
            Ok(report)
        }
        Err(error) => {
            if let Err(second) = release(service, &container, Published::Freed) {
                tracing::warn!(container.id = %container, error = %second, "could not give a sandbox back");
            }
            Err(error)
        }
    }
}

fn try_wire(service: &Arc<Inner>, wiring: Wiring) -> Result<(), Error> {
    let networks = networks_of(service, &wiring.report);
    let attachments = attachments(&wiring.report, &networks);
    let mut inside = wiring.unwired.inside;
    if let (Some(netns), Some(inside)) = (&wiring.netns, &mut inside) {
        plug(service, &attachments, netns, inside)?;
    }
    if let Some(rules) = wiring.unwired.rules {
        rules.wait()?;
    }
    // Whoever mends bridges must not meet a sandbox that is live while its ports are closed still.
    let mut host = lock(&service.host);
    if !set_live(service, &wiring.container, wiring.netns.clone()) {
        return Err(Error::NoSandbox(wiring.container));
    }
    host.load_rules(&service.state)?;
    host.forget_flows(&wiring.report.published);
    let own = wiring.report.endpoints.iter();
    host.forget_former(&service.state, own.flat_map(EndpointReport::addresses));
    host.cut_flows(&service.state, Begun::ByTheseRules);
    driver::open_ports(&attachments, &mut host)?;
    drop(host);
    if let Some(inside) = &mut inside {
        driver::await_carriers(&attachments, &service.host, inside)?;
    }
    if let Some(netns) = &wiring.netns {
        set_parameters(netns, &wiring.unwired.sysctls)?;
    }
    serve(service, &wiring.container, wiring.unwired.listening)
}

/// Makes the pairs, closed. Their host sides share one batch per endpoint.
fn plug(
    service: &Inner,
    attachments: &[Attachment<'_>],
    netns: &Netns,
    inside: &mut Socket,
) -> Result<(), Error> {
    for attachment in attachments {
        let mut host = lock(&service.host);
        driver::attach(attachment, &mut host, netns.as_fd(), inside)?;
    }
    Ok(())
}

/// Lets rules and names know the sandbox; false when it was given back meanwhile.
fn set_live(service: &Inner, container: &ContainerId, netns: Option<Arc<Netns>>) -> bool {
    let mut state = lock(&service.state);
    state.changed();
    match state.sandboxes.get_mut(container) {
        Some(attached) => {
            attached.stage = Stage::Live;
            attached.netns = netns;
            true
        }
        None => false,
    }
}

fn set_parameters(netns: &Netns, sysctls: &[(String, String)]) -> Result<(), Error> {
    if sysctls.is_empty() {
        return Ok(());
    }
    let write = || {
        sysctls
            .iter()
            .try_for_each(|(name, value)| write_sysctl(name, value))
    };
    Ok(netns.on(write)??)
}

/// Starts resolver and proxies.
pub(crate) fn serve(
    service: &Arc<Inner>,
    container: &ContainerId,
    listening: Option<Listening>,
) -> Result<(), Error> {
    let mut tasks = Vec::new();
    if let Some(listening) = listening {
        let names: Arc<dyn Names> = Arc::new(Known::new(service, container));
        tasks.extend(service.resolver.serve(&names, listening)?);
    }
    let mut state = lock(&service.state);
    let source = source(&state, container);
    let network = leads_out(&state, container).cloned();
    let routes = |to| {
        network
            .as_ref()
            .is_some_and(|network| network.is_routed(to))
    };
    let Some(attached) = state.sandboxes.get_mut(container) else {
        return Err(Error::NoSandbox(container.clone()));
    };
    let admits = admits(service);
    let way = || (source.clone(), admits.clone());
    let of = |socket| port::Listener::of(socket, &attached.report, way());
    let held = attached.held.iter().filter(|_| service.config.proxy);
    for listener in held.filter_map(of) {
        // Reserved all the same, and closed: its container is reached by its own address alone.
        if routes(listener.target().ip()) {
            listener.close();
            continue;
        }
        let started = port::serve(&listener, &service.runtime).map_err(Error::Proxy)?;
        tasks.extend(started);
    }
    attached.tasks.extend(tasks);
    Ok(())
}

/// Asks the policies of the moment; the host's own connections need nobody's consent.
fn admits(service: &Arc<Inner>) -> port::Admits {
    let service = Arc::downgrade(service);
    port::Admits(Arc::new(move |client, target, protocol| {
        let Some(service) = service.upgrade() else {
            return false;
        };
        let ends = Ends {
            source: client,
            destination: target.ip(),
            protocol: protocol.number(),
            port: Some(target.port()),
        };
        service.consent().allows(&ends) || is_own(client)
    }))
}

/// Decides under which address a container sees the clients of its published ports that proxies serve.
fn source(state: &State, container: &ContainerId) -> port::Source {
    match leads_out(state, container).filter(|network| network.respects_firewall()) {
        Some(network) => port::Source::Client {
            link: network.pools.iter().map(|pool| pool.subnet).collect(),
            icc: network.spec.bridge.icc,
        },
        None => port::Source::Host,
    }
}

/// Finds the network that published ports lead through.
fn leads_out<'a>(state: &'a State, container: &ContainerId) -> Option<&'a Network> {
    let attached = state.sandboxes.get(container)?;
    let endpoint = attached.report.way_out()?;
    state.networks.get(&endpoint.network)
}

/// Gives the network of each endpoint.
pub(crate) fn networks_of(service: &Inner, report: &SandboxReport) -> Vec<Network> {
    networks_of_state(&lock(&service.state), report)
}

/// The same, for who has the state already.
pub(crate) fn networks_of_state(state: &State, report: &SandboxReport) -> Vec<Network> {
    let networks = report.endpoints.iter();
    networks
        .filter_map(|endpoint| state.networks.get(&endpoint.network).cloned())
        .collect()
}

/// Pairs endpoints with their networks and decides over which of them the default routes lead.
pub(crate) fn attachments<'a>(
    report: &'a SandboxReport,
    networks: &'a [Network],
) -> Vec<Attachment<'a>> {
    let leads = |family: fn(&crate::EndpointReport) -> bool| {
        report
            .first_by_priority(family)
            .map(|endpoint| &endpoint.id)
    };
    let v4 = leads(|endpoint| endpoint.ipv4.is_some_and(|v4| v4.gateway.is_some()));
    let v6 = leads(|endpoint| endpoint.ipv6.is_some_and(|v6| v6.gateway.is_some()));
    let with_network = report.endpoints.iter().filter_map(|endpoint| {
        let network = networks
            .iter()
            .find(|network| network.id == endpoint.network)?;
        Some((endpoint, network))
    });
    with_network
        .map(|(endpoint, network)| Attachment {
            network,
            endpoint,
            publishes: !report.published.is_empty() && report.publishing() == Some(&endpoint.id),
            default_route: (v4 == Some(&endpoint.id), v6 == Some(&endpoint.id)),
        })
        .collect()
}
