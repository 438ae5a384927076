//! The contents of `/etc/hosts` and `/etc/resolv.conf`; `hakone_dns` knows their form, this knows what goes into them.

use std::{fs, net::IpAddr};

use hakone_dns::{Hosts, ResolvConf};

use crate::{
    EndpointReport, HostTarget, NetworkMode, SandboxReport, SandboxRequest,
    record::DEFAULT,
    resolver,
    service::{Inner, lock},
};

/// The host's own names, for containers in its network.
const HOSTS: &str = "/etc/hosts";

/// Fills in both files; a container that joins another's namespace has that one's.
pub(crate) fn fill(service: &Inner, request: &SandboxRequest, report: &mut SandboxReport) {
    if let NetworkMode::Container(_) = request.mode {
        return;
    }
    report.hosts = Some(hosts(service, request, report));
    report.resolv_conf = Some(resolv_conf(service, request, report));
}

/// Points a running sandbox to its embedded resolver.
pub(crate) fn use_resolver(report: &mut SandboxReport) {
    let present = ResolvConf::parse(report.resolv_conf.as_deref().unwrap_or_default());
    report.resolv_conf = Some(present.embedded().0.to_string());
}

fn hosts(service: &Inner, request: &SandboxRequest, report: &SandboxReport) -> String {
    let base = matches!(request.mode, NetworkMode::Host)
        .then(|| fs::read_to_string(HOSTS).ok())
        .flatten();
    let addresses: Vec<IpAddr> = report
        .endpoints
        .iter()
        .flat_map(EndpointReport::addresses)
        .collect();
    let mut extra = extra_hosts(service, request, report);
    extra.extend(links(service, request));
    let domain = Some(request.domainname.as_str()).filter(|domain| !domain.is_empty());
    Hosts {
        base: base.as_deref(),
        // The loopback has its IPv6 address whether or not a network has.
        ipv6: true,
        extra: &extra,
        addresses: &addresses,
        hostname: &request.hostname,
        domainname: domain,
    }
    .to_string()
}

fn extra_hosts(
    service: &Inner,
    request: &SandboxRequest,
    report: &SandboxReport,
) -> Vec<(IpAddr, String)> {
    let mut lines = Vec::new();
    for extra in &request.extra_hosts {
        match extra.target {
            HostTarget::Address(address) => lines.push((address, extra.name.clone())),
            HostTarget::HostGateway => {
                let gateways = host_gateways(service, report).into_iter();
                lines.extend(gateways.map(|gateway| (gateway, extra.name.clone())));
            }
        }
    }
    lines
}

/// Gives the addresses under which a container reaches the host: its own network's gateways, for those of others are closed
/// to it. Without a way out it has the default bridge's, as in Docker.
fn host_gateways(service: &Inner, report: &SandboxReport) -> Vec<IpAddr> {
    if !service.config.host_gateway.is_empty() {
        return service.config.host_gateway.clone();
    }
    if let Some(endpoint) = report.way_out() {
        let v4 = endpoint.ipv4.and_then(|ipv4| ipv4.gateway);
        let v6 = endpoint.ipv6.and_then(|ipv6| ipv6.gateway);
        let v4 = v4.map(IpAddr::V4).into_iter();
        return v4.chain(v6.map(IpAddr::V6)).collect();
    }
    let state = lock(&service.state);
    let default = state
        .network(DEFAULT)
        .map(|network| network.pools.clone())
        .unwrap_or_default();
    default.iter().map(|pool| pool.gateway).collect()
}

/// Gives the lines of legacy links: every name of the linked container behind its address on the default bridge.
fn links(service: &Inner, request: &SandboxRequest) -> Vec<(IpAddr, String)> {
    let state = lock(&service.state);
    let mut lines = Vec::new();
    for link in &request.links {
        let Some(attached) = state.sandboxes.get(&link.container) else {
            continue;
        };
        let mut names = link.aliases.clone();
        names.push(link.container.short().to_owned());
        names.push(attached.report.name.to_string());
        names.dedup();
        let endpoint = attached.report.endpoints.first();
        let addresses = endpoint.into_iter().flat_map(EndpointReport::addresses);
        lines.extend(addresses.map(|address| (address, names.join(" "))));
    }
    lines
}

fn resolv_conf(service: &Inner, request: &SandboxRequest, report: &SandboxReport) -> String {
    let asks_nothing =
        request.dns.is_empty() && request.dns_search.is_empty() && request.dns_options.is_empty();
    if matches!(request.mode, NetworkMode::Host) && asks_nothing {
        return fs::read_to_string(&service.config.resolv_conf).unwrap_or_default();
    }
    let conf = resolver::stub(&service.config, report.resolver.is_none());
    let conf = conf.overridden(&request.dns, &request.dns_search, &request.dns_options);
    match report.resolver {
        Some(_) => conf.embedded().0.to_string(),
        None => conf.to_string(),
    }
}
