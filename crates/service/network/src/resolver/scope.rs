//! What a container may know by name, derived from the state and kept until the state changes.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, Weak},
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

/// Answers that are kept for one container, so that the same question costs a lookup; beyond, all are forgotten.
const KEPT: usize = 256;
/// The longest question whose answer is kept.
const KEPT_QUESTION: usize = 300;

/// One container's view.
pub(super) struct Names {
    service: Weak<Inner>,
    container: ContainerId,
    view: Mutex<Option<Arc<View>>>,
}

/// Answers by what was asked, both without the number of the question.
type Answers = HashMap<Box<[u8]>, Box<[u8]>>;

/// What a container may know at one generation of the state, and what it was answered since.
pub(super) struct View {
    generation: u64,
    endpoints: Vec<EndpointReport>,
    directory: Arc<Directory>,
    links: Zone,
    forwarding: Forwarding,
    answers: Mutex<Answers>,
}

impl Names {
    pub(super) fn new(service: &Arc<Inner>, container: &ContainerId) -> Self {
        Self {
            service: Arc::downgrade(service),
            container: container.clone(),
            view: Mutex::default(),
        }
    }

    /// Decides a question; a container that is being released gets no answer.
    pub(super) fn decide(&self, question: &[u8], transport: Transport) -> Decision {
        let view = self.view();
        view.map_or(Decision::Drop, |view| view.decide(question, transport))
    }

    /// Gives the view of the present state, made anew after a change.
    pub(super) fn view(&self) -> Option<Arc<View>> {
        let service = self.service.upgrade()?;
        let state = lock(&service.state);
        let mut kept = lock(&self.view);
        let current = |view: &&Arc<View>| view.generation == state.generation;
        if let Some(view) = kept.as_ref().filter(current) {
            return Some(Arc::clone(view));
        }
        let attached = state.sandboxes.get(&self.container)?;
        let endpoints = attached.report.endpoints.clone();
        let directory = directory(&service, &state);
        let own: Vec<IpAddr> = endpoints
            .iter()
            .flat_map(EndpointReport::addresses)
            .collect();
        let resolver = attached.report.resolver.as_ref();
        let resolvers = resolver.map_or(&[][..], |resolver| &resolver.upstreams);
        let view = Arc::new(View {
            generation: state.generation,
            forwarding: match service.consent_of(&state).lets_ask(&own, resolvers) {
                true => directory.forwarding(&endpoints),
                false => Forwarding::Denied,
            },
            directory,
            links: links(&state, &endpoints),
            endpoints,
            answers: Mutex::default(),
        });
        *kept = Some(Arc::clone(&view));
        Some(view)
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

impl View {
    /// Decides a question.
    pub(super) fn decide(&self, question: &[u8], transport: Transport) -> Decision {
        match transport {
            Transport::Udp => self.remember(question),
            Transport::Tcp => self.derive(question, transport),
        }
    }

    /// Answers the same question as before, but for its number; an answer whose order is drawn each time is not kept.
    fn remember(&self, question: &[u8]) -> Decision {
        let Some((number, asked)) = question.split_at_checked(2) else {
            return Decision::Drop;
        };
        if let Some(known) = lock(&self.answers).get(asked) {
            return Decision::Answer([number, known].concat());
        }
        let decision = self.derive(question, Transport::Udp);
        let Decision::Answer(answer) = &decision else {
            return decision;
        };
        let fixed = matches!(answer.get(6..8), Some([0, 0 | 1]));
        let rest = answer.get(2..).filter(|_| fixed);
        if let Some(rest) = rest.filter(|_| asked.len() <= KEPT_QUESTION) {
            self.keep(asked, rest);
        }
        decision
    }

    fn keep(&self, asked: &[u8], answer: &[u8]) {
        let mut answers = lock(&self.answers);
        if answers.len() >= KEPT {
            answers.clear();
        }
        answers.insert(asked.into(), answer.into());
    }

    fn derive(&self, question: &[u8], transport: Transport) -> Decision {
        let (zones, endpoints) = (&self.directory.zones, &self.endpoints);
        let is_own = |network: &NetworkId| {
            let mut own = endpoints.iter();
            own.any(|endpoint| endpoint.network == *network)
        };
        let elsewhere = zones.iter().filter(|(network, _)| !is_own(network));
        let own = endpoints.iter();
        let scope = Scope {
            zones: own
                .filter_map(|endpoint| zones.get(&endpoint.network))
                .collect(),
            elsewhere: elsewhere.map(|(_, zone)| zone).collect(),
            links: Some(&self.links),
            subnets: &self.directory.subnets,
            forwarding: self.forwarding,
        };
        decide(question, &scope, transport, u64::from_ne_bytes(random()))
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
