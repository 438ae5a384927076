//! What a container asks of the network service, from its record and specification.

use std::{collections::BTreeMap, sync::Arc};

use hakone_engine_api::wire;
use hakone_spec::{ContainerSpec, ExtraHost, HostAddress, NetworkMode as Asked, PortBinding};

use crate::{
    Error, NetworkMode, PortRequest, SandboxRequest, container::Container, inner::Inner,
    record::Record,
};

impl Inner {
    /// Builds the request of one start.
    pub(crate) fn sandbox_request(
        &self,
        record: &Record,
        spec: &ContainerSpec,
    ) -> Result<SandboxRequest, Error> {
        let (mode, endpoints) = self.mode(record, &spec.network)?;
        let links = spec.links.iter().map(|link| {
            let other = self.linked(&link.container)?;
            Ok((other.id.clone(), link.alias.clone()))
        });
        let host = &spec.ports;
        let exposed = host.exposed.iter().copied().collect();
        // A binding takes effect only for a port that is exposed too, as in Docker.
        let bindings = host.bindings.iter().copied();
        let bindings = bindings.filter(|binding| host.exposed.contains(&binding.target));
        let bindings = bindings.map(port_request);
        Ok(SandboxRequest {
            container: record.id.clone(),
            name: record.name.to_string(),
            hostname: hostname(record, spec),
            domainname: spec.domainname.clone().unwrap_or_default(),
            labels: spec.own_labels.clone(),
            mode,
            endpoints,
            exposed,
            bindings: bindings.collect(),
            publish_all: host.publish_all,
            on_loopback: host.on_loopback,
            dns: spec.dns.servers.clone(),
            dns_search: spec.dns.search.clone(),
            dns_options: spec.dns.options.clone(),
            extra_hosts: spec.extra_hosts.iter().map(line).collect(),
            links: links.collect::<Result<_, Error>>()?,
            sysctls: spec.sysctls.clone(),
        })
    }

    /// Finds a container that another links to.
    pub(crate) fn linked(&self, typed: &str) -> Result<Arc<Container>, Error> {
        self.table.lookup(typed).map_err(|error| {
            Error::Invalid(format!("could not get container for {typed}: {error}"))
        })
    }

    fn mode(&self, record: &Record, asked: &Asked) -> Result<(NetworkMode, Endpoints), Error> {
        Ok(match asked {
            Asked::Host => (NetworkMode::Host, Vec::new()),
            Asked::None if record.networks.keys().all(|name| name == "none") => {
                (NetworkMode::None, Vec::new())
            }
            Asked::None => (NetworkMode::Networks, endpoints(&record.networks, "none")),
            Asked::Container(typed) => {
                let other = self.table.lookup(typed)?;
                if !other.state().has_process() {
                    return Err(Error::Conflict(format!(
                        "cannot join network of a non running container: {}",
                        other.id
                    )));
                }
                (NetworkMode::Container(other.id.clone()), Vec::new())
            }
            Asked::Bridge => (NetworkMode::Networks, endpoints(&record.networks, "bridge")),
            Asked::Named(name) => (NetworkMode::Networks, endpoints(&record.networks, name)),
        })
    }
}

fn port_request(binding: PortBinding) -> PortRequest {
    PortRequest {
        target: binding.target,
        host_address: binding.host_address,
        host_ports: match binding.host_ports {
            None => String::new(),
            Some(range) if range.first == range.last => range.first.to_string(),
            Some(range) => format!("{}-{}", range.first, range.last),
        },
    }
}

fn line(host: &ExtraHost) -> String {
    match host.address {
        HostAddress::Ip(address) => format!("{}:{address}", host.name),
        HostAddress::Gateway => format!("{}:host-gateway", host.name),
    }
}

type Endpoints = Vec<(String, wire::EndpointSettings)>;

/// The network of `--network` first, then the others by name. Once a container was disconnected from the former,
/// it stays so: `networks` was written at create with the first one in it.
fn endpoints(networks: &BTreeMap<String, wire::EndpointSettings>, first: &str) -> Endpoints {
    let all = networks.iter().filter(|(name, _)| *name != "none");
    let mut all: Vec<_> = all.map(|(name, s)| (name.clone(), s.clone())).collect();
    all.sort_by_key(|(name, _)| (name != first, name.clone()));
    all
}

/// Decides the host name: the one asked for, the host's where its UTS namespace is shared, or the short id.
pub(crate) fn hostname(record: &Record, spec: &ContainerSpec) -> String {
    let shared = spec.namespaces.uts == hakone_spec::UtsMode::Host || spec.network == Asked::Host;
    match (&spec.hostname, shared) {
        (Some(name), _) => name.clone(),
        (None, true) => {
            let name = rustix::system::uname();
            name.nodename().to_string_lossy().into_owned()
        }
        (None, false) => record.id.short().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_of_the_mode_comes_first() {
        let networks: BTreeMap<_, _> = ["alpha", "main", "zeta"]
            .map(|name| (name.to_owned(), wire::EndpointSettings::default()))
            .into();
        let names: Vec<_> = endpoints(&networks, "main")
            .into_iter()
            .map(|(n, _)| n)
            .collect();
        assert_eq!(names, ["main", "alpha", "zeta"]);
    }
}
