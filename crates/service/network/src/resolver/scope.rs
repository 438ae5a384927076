//! What a container may know by name, derived from the state and kept until the state changes.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Weak},
};

use hakone_base::{ContainerId, NetworkId, Subnet};
use hakone_dns::{Decision, Forwarding, Member, Scope, Transport, Zone, decide};

use crate::{
    EndpointReport,
    service::{Inner, lock, random},
    state::{Stage, State},
};

/// The names of all networks at one generation of the state.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    generation: u64,
    zones: BTreeMap<NetworkId, Zone>,
    internal: BTreeMap<NetworkId, bool>,
    subnets: Vec<Subnet>,
}

/// One container's view.
pub(super) struct Names {
    service: Weak<Inner>,
    container: ContainerId,
}

impl Names {
    pub(super) fn new(service: &Arc<Inner>, container: &ContainerId) -> Self {
        Self {
            service: Arc::downgrade(service),
            container: container.clone(),
        }
    }

    /// Decides a question; a container that is being released gets no answer.
    pub(super) fn decide(&self, question: &[u8], transport: Transport) -> Decision {
        let Some(service) = self.service.upgrade() else {
            return Decision::Drop;
        };
        let state = lock(&service.state);
        let Some(attached) = state.sandboxes.get(&self.container) else {
            return Decision::Drop;
        };
        let endpoints = attached.report.endpoints.clone();
        let directory = directory(&service, &state);
        let links = links(&state, &endpoints);
        drop(state);
        let zones = endpoints
            .iter()
            .filter_map(|endpoint| directory.zones.get(&endpoint.network));
        let is_own = |network: &NetworkId| {
            let mut own = endpoints.iter();
            own.any(|endpoint| endpoint.network == *network)
        };
        let elsewhere = directory.zones.iter();
        let elsewhere = elsewhere.filter(|(network, _)| !is_own(network));
        let scope = Scope {
            zones: zones.collect(),
            elsewhere: elsewhere.map(|(_, zone)| zone).collect(),
            links: Some(&links),
            subnets: &directory.subnets,
            forwarding: directory.forwarding(&endpoints),
        };
        decide(question, &scope, transport, u64::from_ne_bytes(random()))
    }

    /// Gives the resolvers to ask.
    pub(super) fn upstreams(&self) -> Vec<IpAddr> {
        let Some(service) = self.service.upgrade() else {
            return Vec::new();
        };
        let state = lock(&service.state);
        let attached = state.sandboxes.get(&self.container);
        let resolver = attached.and_then(|attached| attached.report.resolver.as_ref());
        resolver
            .map(|resolver| resolver.upstreams.clone())
            .unwrap_or_default()
    }
}

impl Directory {
    fn of(state: &State) -> Self {
        let networks = state
            .networks
            .values()
            .filter(|network| !network.is_predefined());
        Self {
            generation: state.generation,
            zones: networks
                .map(|network| (network.id.clone(), zone(state, network)))
                .collect(),
            internal: state
                .networks
                .values()
                .map(|network| (network.id.clone(), network.spec.internal))
                .collect(),
            subnets: state
                .subnets()
                .into_iter()
                .map(|(_, subnet)| subnet)
                .collect(),
        }
    }

    /// Questions leave the host when some network of the container does.
    fn forwarding(&self, endpoints: &[EndpointReport]) -> Forwarding {
        let leads_out =
            |endpoint: &EndpointReport| self.internal.get(&endpoint.network) == Some(&false);
        match endpoints.iter().any(leads_out) {
            true => Forwarding::Allowed,
            false => Forwarding::Denied,
        }
    }
}

/// Gives the directory of the present state, made anew after a change.
fn directory(service: &Inner, state: &State) -> Arc<Directory> {
    let mut kept = lock(&service.directory);
    if kept.generation != state.generation {
        *kept = Arc::new(Directory::of(state));
    }
    Arc::clone(&kept)
}

fn zone(state: &State, network: &crate::record::Network) -> Zone {
    let mut zone = Zone::new(network.name());
    let live = state
        .endpoints(&network.id)
        .filter(|(_, attached, _)| attached.stage == Stage::Live);
    for (container, attached, endpoint) in live {
        let member = Member {
            name: attached.report.name.to_string(),
            aliases: endpoint.dns_names.clone(),
            addresses: endpoint.addresses().collect(),
        };
        zone.insert(container.clone(), member);
    }
    zone
}

/// Gives the names that the container alone knows: `name:alias` of its links.
fn links(state: &State, endpoints: &[EndpointReport]) -> Zone {
    let mut links = Zone::new(String::new());
    for endpoint in endpoints {
        for link in &endpoint.links {
            let (name, alias) = link.split_once(':').unwrap_or((link, link));
            let mut members = state.endpoints(&endpoint.network);
            let linked =
                members.find(|(_, _, member)| member.dns_names.iter().any(|own| own == name));
            if let Some((container, _, member)) = linked {
                let member = Member {
                    name: alias.to_owned(),
                    aliases: Vec::new(),
                    addresses: member.addresses().collect(),
                };
                links.insert(container.clone(), member);
            }
        }
    }
    links
}
