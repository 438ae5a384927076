//! Lends the network service to containers: turns what users typed into its types.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
    os::fd::OwnedFd,
};

use hakone_base::{ContainerId, ContainerName, Fault, NetworkId, Port};
use hakone_container::{
    BoxFuture, Etc, Network, NetworkMode, Networks, PortRequest, Ports, Prepared, Refusal, Replug,
    Replugged, Restoration, Sandbox, SandboxRequest,
};
use hakone_engine_api::wire::EndpointSettings;
use hakone_network::{
    CutOff, EndpointRequest, ExtraHost, HostTarget, Link, PortBinding, SandboxReport, Service,
};
use tracing::warn;

use super::refused::Refused;

/// The network service as containers see it.
pub(crate) struct Joined(pub(crate) Service);

impl Networks for Joined {
    fn lookup(&self, network: &str) -> Result<Network, Refusal> {
        let (id, name) = self.0.resolve(network).map_err(boxed)?;
        Ok(Network {
            id: id.to_string(),
            name,
        })
    }

    fn check(&self, network: &str, settings: &EndpointSettings) -> Result<(), Refusal> {
        let asked = endpoint((network.to_owned(), settings.clone()))?;
        self.0.check(&asked).map_err(boxed)
    }

    fn prepare(&self, request: SandboxRequest) -> BoxFuture<'_, Result<Prepared, Refusal>> {
        Box::pin(prepare(self.0.clone(), request))
    }

    fn restore(&self, running: Restoration) -> BoxFuture<'_, Result<Sandbox, Refusal>> {
        Box::pin(async move {
            let container = running.request.container;
            let report: SandboxReport = serde_json::from_value(running.sandbox.notes.clone())
                .map_err(|error| refusal(format!("unreadable sandbox of {container}: {error}")))?;
            let restored = self
                .0
                .restore(&container, running.pid, report, running.held)
                .await;
            restored.map_err(boxed)?;
            Ok(running.sandbox)
        })
    }

    fn connect<'a>(
        &'a self,
        container: &'a ContainerId,
        pid: i32,
        network: &'a str,
        settings: EndpointSettings,
    ) -> BoxFuture<'a, Result<Replugged, Refusal>> {
        Box::pin(async move {
            let wanted = endpoint((network.to_owned(), settings))?;
            let was = self.0.sandbox(container);
            let report = self.0.connect(container, pid, wanted).await;
            replugged(was.as_ref(), &report.map_err(boxed)?)
        })
    }

    fn disconnect<'a>(
        &'a self,
        container: &'a ContainerId,
        pid: i32,
        network: &'a str,
        _force: bool,
    ) -> BoxFuture<'a, Result<Replugged, Refusal>> {
        Box::pin(async move {
            let was = self.0.sandbox(container);
            let report = self.0.disconnect(container, pid, network).await;
            replugged(was.as_ref(), &report.map_err(boxed)?)
        })
    }

    fn mend<'a>(
        &'a self,
        container: &'a ContainerId,
        pid: i32,
        network: &'a str,
        change: Replug,
    ) -> BoxFuture<'a, Result<Replugged, Refusal>> {
        Box::pin(async move {
            let network: NetworkId = network
                .parse()
                .map_err(|error| refusal(format!("{error}")))?;
            let cut = match change {
                Replug::Connect => CutOff::Connect(network),
                Replug::Disconnect => CutOff::Disconnect(network),
            };
            let (was, report) = self.0.mend(container, pid, cut).await.map_err(boxed)?;
            replugged(Some(&was), &report)
        })
    }

    fn release<'a>(&'a self, container: &'a ContainerId, ports: Ports) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let released = match ports {
                Ports::Freed => self.0.release(container).await,
                Ports::Kept => self.0.rest(container).await,
            };
            if let Err(error) = released {
                warn!(container.id = %container, %error, "a sandbox was not given back whole");
            }
        })
    }

    fn free_ports(&self, container: &ContainerId) {
        self.0.free_ports(container);
    }

    fn rename<'a>(&'a self, container: &'a ContainerId, name: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Ok(name) = name.parse::<ContainerName>() {
                self.0.rename(container, &name);
            }
        })
    }
}

async fn prepare(service: Service, request: SandboxRequest) -> Result<Prepared, Refusal> {
    let mut sandbox = service.prepare(convert(request)?).await.map_err(boxed)?;
    let clone = |fd: std::os::fd::BorrowedFd<'_>| {
        fd.try_clone_to_owned().map_err(|e| refusal(e.to_string()))
    };
    let namespace = sandbox.netns().map(clone).transpose()?;
    let held = sandbox
        .held()
        .iter()
        .map(|fd| clone(std::os::fd::AsFd::as_fd(fd)));
    let held: Vec<OwnedFd> = held.collect::<Result<_, _>>()?;
    let etc = etc(sandbox.report());
    let wiring = Box::pin(async move { shown(&service.wire(&mut sandbox).await.map_err(boxed)?) });
    Ok(Prepared {
        namespace,
        etc,
        held,
        wiring,
    })
}

fn replugged(was: Option<&SandboxReport>, report: &SandboxReport) -> Result<Replugged, Refusal> {
    Ok(Replugged {
        sandbox: shown(report)?,
        was: was.map(etc).unwrap_or_default(),
        etc: etc(report),
    })
}

fn etc(report: &SandboxReport) -> Etc {
    Etc {
        hosts: report.hosts.clone().unwrap_or_default(),
        resolv_conf: report.resolv_conf.clone().unwrap_or_default(),
    }
}

/// What inspect shows, and the whole report as notes for the next daemon.
fn shown(report: &SandboxReport) -> Result<Sandbox, Refusal> {
    let endpoints = report
        .endpoints
        .iter()
        .map(|endpoint| {
            (
                endpoint.network_name.clone(),
                EndpointSettings::from(endpoint),
            )
        })
        .collect();
    let notes = serde_json::to_value(report).map_err(|error| refusal(error.to_string()))?;
    Ok(Sandbox {
        endpoints,
        published: report.shown_ports().copied().collect(),
        notes,
    })
}

fn convert(request: SandboxRequest) -> Result<hakone_network::SandboxRequest, Refusal> {
    let name: ContainerName = request
        .name
        .parse()
        .map_err(|error| refusal(format!("{error}")))?;
    let endpoints = || {
        request
            .endpoints
            .into_iter()
            .map(endpoint)
            .collect::<Result<_, _>>()
    };
    let mode = match request.mode {
        NetworkMode::Networks => hakone_network::NetworkMode::Networks(endpoints()?),
        NetworkMode::Host => hakone_network::NetworkMode::Host,
        NetworkMode::None => hakone_network::NetworkMode::None,
        NetworkMode::Container(id) => hakone_network::NetworkMode::Container(id),
    };
    Ok(hakone_network::SandboxRequest {
        container: request.container,
        name,
        hostname: request.hostname,
        domainname: request.domainname,
        labels: request.labels,
        mode,
        exposed: request.exposed,
        bindings: request
            .bindings
            .iter()
            .map(binding)
            .collect::<Result<_, _>>()?,
        publish_all: request.publish_all,
        on_loopback: request.on_loopback,
        dns: request.dns,
        dns_search: request.dns_search,
        dns_options: request.dns_options,
        extra_hosts: request
            .extra_hosts
            .iter()
            .map(|line| extra_host(line))
            .collect::<Result<_, _>>()?,
        links: links(request.links),
        sysctls: request.sysctls,
    })
}

/// Reads an endpoint as clients send it; empty texts mean "not said".
fn endpoint((network, settings): (String, EndpointSettings)) -> Result<EndpointRequest, Refusal> {
    let ipam = settings.ipam_config.unwrap_or_default();
    Ok(EndpointRequest {
        network,
        ipv4: address::<Ipv4Addr>(ipam.ipv4_address)?,
        ipv6: address::<Ipv6Addr>(ipam.ipv6_address)?,
        mac: match settings.mac_address.filter(|mac| !mac.is_empty()) {
            Some(text) => {
                let odd = || refusal(format!("invalid MAC address {text}"));
                Some(text.parse().ok().ok_or_else(odd)?)
            }
            None => None,
        },
        aliases: settings.aliases.unwrap_or_default(),
        links: settings.links.unwrap_or_default(),
        driver_opts: settings
            .driver_opts
            .unwrap_or_default()
            .into_iter()
            .collect(),
        priority: settings.gw_priority.unwrap_or_default(),
    })
}

fn address<A: std::str::FromStr>(text: Option<String>) -> Result<Option<A>, Refusal> {
    match text.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => match text.parse() {
            Ok(address) => Ok(Some(address)),
            Err(_) => Err(refusal(format!("invalid IP address: {text}"))),
        },
    }
}

fn binding(request: &PortRequest) -> Result<PortBinding, Refusal> {
    Ok(PortBinding {
        target: request.target,
        host_address: request.host_address,
        host_ports: host_ports(&request.host_ports)?,
    })
}

/// Reads `8080` or `8000-8010`; empty and `0` mean an ephemeral port.
fn host_ports(text: &str) -> Result<Option<RangeInclusive<Port>>, Refusal> {
    if matches!(text, "" | "0") {
        return Ok(None);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.parse::<Port>(), last.parse::<Port>()) {
        (Ok(first), Ok(last)) if first <= last => Ok(Some(first..=last)),
        _ => Err(refusal(format!("invalid port specification: {text:?}"))),
    }
}

/// Reads `name:address`; IPv6 addresses may stand in brackets.
fn extra_host(line: &str) -> Result<ExtraHost, Refusal> {
    let wrong = || refusal(format!("bad format for add-host: {line:?}"));
    let (name, target) = line.split_once([':', '=']).ok_or_else(wrong)?;
    let bare = target.trim_start_matches('[').trim_end_matches(']');
    let target = match bare {
        "host-gateway" => HostTarget::HostGateway,
        text => HostTarget::Address(text.parse::<IpAddr>().ok().ok_or_else(wrong)?),
    };
    Ok(ExtraHost {
        name: name.to_owned(),
        target,
    })
}

fn links(list: Vec<(ContainerId, String)>) -> Vec<Link> {
    let mut by_container: BTreeMap<ContainerId, Vec<String>> = BTreeMap::new();
    for (container, alias) in list {
        by_container.entry(container).or_default().push(alias);
    }
    by_container
        .into_iter()
        .map(|(container, aliases)| Link { container, aliases })
        .collect()
}

fn refusal(message: String) -> Refusal {
    Box::new(Refused(message))
}

fn boxed<F: Fault + Send + Sync + 'static>(fault: F) -> Refusal {
    Box::new(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_ports_may_be_a_range_or_ephemeral() {
        let port = |n: u16| Port::new(n).unwrap();
        assert_eq!(
            host_ports("8000-8010").unwrap(),
            Some(port(8000)..=port(8010))
        );
        assert_eq!(host_ports("").unwrap(), None);
        assert!(host_ports("9-8").is_err() && host_ports("http").is_err());
    }

    #[test]
    fn an_extra_host_may_be_ipv6_or_the_gateway() {
        assert_eq!(
            extra_host("a:[::1]").unwrap().target,
            HostTarget::Address("::1".parse().unwrap())
        );
        assert_eq!(
            extra_host("a:host-gateway").unwrap().target,
            HostTarget::HostGateway
        );
        assert!(extra_host("nonsense").is_err());
    }
}
