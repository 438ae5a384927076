//! What a container may know by name, derived from the state and kept until the state changes.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Arc, Mutex, Weak},
};

use hakone_base::ContainerId;
use hakone_dns::{Forwarding, Member, Opened, Zone};
use hakone_network_model::{Defences, leads_astray};
use hakone_resolver::{Directory, Facts, Names, View};

use crate::{
    EndpointReport,
    record::Network,
    service::{Inner, lock},
    state::{Attached, Stage, State},
};

/// Something derived at one generation of the state.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    generation: u64,
    derived: Arc<T>,
}

/// One container's view, made anew when the state is another.
#[derive(Debug)]
pub(crate) struct Known {
    service: Weak<Inner>,
    container: ContainerId,
    view: Mutex<Option<Kept<View>>>,
}

impl Known {
    pub(crate) fn new(service: &Arc<Inner>, container: &ContainerId) -> Self {
        Self {
            service: Arc::downgrade(service),
            container: container.clone(),
            view: Mutex::default(),
        }
    }
}

impl Names for Known {
    fn view(&self) -> Option<Arc<View>> {
        let service = self.service.upgrade()?;
        let state = lock(&service.state);
        let mut kept = lock(&self.view);
        Kept::current(&mut kept, state.generation, || {
            let attached = state.sandboxes.get(&self.container)?;
            Some(View::new(facts(&service, &state, attached)))
        })
    }

    fn open(&self, opened: Opened) {
        if let Some(service) = self.service.upgrade()
            && let Err(error) = super::named::open(&service, &self.container, opened)
        {
            tracing::error!(container.id = %self.container, %error, "an answer opened nothing");
        }
    }
}

impl<T> Kept<T> {
    /// Gives what was derived at this generation, derived anew after a change.
    fn current(
        kept: &mut Option<Self>,
        generation: u64,
        derive: impl FnOnce() -> Option<T>,
    ) -> Option<Arc<T>> {
        if let Some(kept) = kept.as_ref().filter(|kept| kept.generation == generation) {
            return Some(Arc::clone(&kept.derived));
        }
        let derived = Arc::new(derive()?);
        *kept = Some(Self {
            generation,
            derived: Arc::clone(&derived),
        });
        Some(derived)
    }
}

fn facts(service: &Inner, state: &State, attached: &Attached) -> Facts {
    let endpoints = &attached.report.endpoints;
    let own: Vec<IpAddr> = endpoints
        .iter()
        .flat_map(EndpointReport::addresses)
        .collect();
    let resolver = attached.report.resolver.as_ref();
    let upstreams = resolver.map(|resolver| resolver.upstreams.clone());
    let upstreams = upstreams.unwrap_or_default();
    let consent = service.consent_of(state);
    let (names, is_closed) = consent.names(&own);
    let lets_ask = consent.lets_ask(&own, &upstreams);
    Facts {
        networks: endpoints.iter().map(|own| own.network.clone()).collect(),
        forwarding: match (leads_out(state, endpoints), lets_ask) {
            (true, true) => Forwarding::Allowed,
            (true, false) if is_closed && !names.is_empty() => Forwarding::Named,
            (true | false, _) => Forwarding::Denied,
        },
        names: names.into_iter().collect(),
        directory: directory(service, state),
        links: links(state, endpoints),
        upstreams,
    }
}

/// Questions leave the host when some network of the container does.
fn leads_out(state: &State, endpoints: &[EndpointReport]) -> bool {
    let leads_out = |endpoint: &EndpointReport| {
        let network = state.networks.get(&endpoint.network);
        network.is_some_and(|network| !network.spec.internal)
    };
    endpoints.iter().any(leads_out)
}

/// Gives the directory of the present state, made anew after a change.
fn directory(service: &Inner, state: &State) -> Arc<Directory> {
    let mut kept = lock(&service.directory);
    let derived = Kept::current(&mut kept, state.generation, || {
        Some(all_names(state, service.config.hardened))
    });
    derived.unwrap_or_default()
}

fn all_names(state: &State, hardened: bool) -> Directory {
    let networks = state.networks.values();
    let named = networks.filter(|network| !network.is_predefined());
    Directory {
        zones: named
            .map(|network| (network.id.clone(), zone(state, network, hardened)))
            .collect(),
        subnets: state
            .subnets()
            .into_iter()
            .map(|(_, subnet)| subnet)
            .collect(),
    }
}

/// In a hardened network nobody is found by a name that leads astray.
fn zone(state: &State, network: &Network, hardened: bool) -> Zone {
    let live = || {
        let all = state.endpoints(&network.id);
        all.filter(|(_, attached, _)| attached.stage == Stage::Live)
    };
    let hardened = Defences::of(&network.spec).is_hardened(hardened);
    let mut zone = match hardened {
        true => Zone::new(network.name()).strict(),
        false => Zone::new(network.name()),
    };
    let members: BTreeSet<&str> = live()
        .filter(|_| hardened)
        .map(|(_, attached, _)| attached.report.name.as_str())
        .collect();
    for (container, attached, endpoint) in live() {
        let name = attached.report.name.as_str();
        let astray = |alias: &&String| hardened && leads_astray(alias, name, &members);
        let aliases = endpoint.dns_names.iter().filter(|alias| !astray(alias));
        let member = Member {
            name: name.to_owned(),
            aliases: aliases.cloned().collect(),
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
