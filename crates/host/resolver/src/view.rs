//! What one container may know by name at one moment, and what it was answered since.
//!
//! A view is a value: whoever knows the networks makes a new one when they change ([`Names`]), and the answers that the old one
//! kept are forgotten with it.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hakone_base::{DomainPattern, NetworkId, Subnet};
use hakone_dns::{
    Decision, Forwarding, Opened, Scope, Transport, Zone, asked_name, decide, opened,
};
use rustix::rand::{GetRandomFlags, getrandom};

/// Answers that are kept for one container, so that the same question costs a lookup; beyond, all are forgotten.
const KEPT: usize = 256;
/// The longest question whose answer is kept.
const KEPT_QUESTION: usize = 300;

/// Says what one container may know by name.
pub trait Names: Send + Sync + 'static {
    /// Gives the view of the present; `None` for a container that is being released, which gets no answer.
    fn view(&self) -> Option<Arc<View>>;

    /// Opens to the container what the answer to its question leads to. Blocks until the kernel has it, so that the answer is
    /// good when it arrives.
    fn open(&self, opened: Opened);
}

/// The names of all networks at one moment, shared by the views of all containers.
#[derive(Debug, Default)]
pub struct Directory {
    /// The names of each network that has names.
    pub zones: BTreeMap<NetworkId, Zone>,
    /// Every subnet of every network.
    pub subnets: Vec<Subnet>,
}

/// What a view is made of.
#[derive(Debug)]
pub struct Facts {
    /// The networks that the container is on, in the order in which their names are looked up.
    pub networks: Vec<NetworkId>,
    /// The names of all networks.
    pub directory: Arc<Directory>,
    /// Names of the container's own.
    pub links: Zone,
    /// Whether its questions may leave.
    pub forwarding: Forwarding,
    /// Whom to ask then.
    pub upstreams: Vec<IpAddr>,
    /// The names of other machines that its policies open.
    pub names: Vec<DomainPattern>,
}

/// Answers by what was asked, both without the number of the question.
type Answers = HashMap<Box<[u8]>, Box<[u8]>>;

/// What a container may know at one moment, and what it was answered since.
pub struct View {
    facts: Facts,
    answers: Mutex<Answers>,
}

impl View {
    /// Makes the view that these facts are.
    #[must_use]
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            answers: Mutex::default(),
        }
    }

    /// Gives the resolvers to ask.
    pub(crate) fn upstreams(&self) -> &[IpAddr] {
        &self.facts.upstreams
    }

    /// Tells what an answer opens to the container; `None` when its policies do not open the name asked for.
    pub(crate) fn opened(&self, question: &[u8], answer: &[u8]) -> Option<Opened> {
        let names = &self.facts.names;
        // Read from the question: an answer was let in only because it repeats it.
        let asked = Some(question)
            .filter(|_| !names.is_empty())
            .and_then(asked_name)?;
        let is_open = names.iter().any(|pattern| pattern.matches(&asked));
        opened(answer).filter(|_| is_open)
    }

    /// Decides a question.
    pub(crate) fn decide(&self, question: &[u8], transport: Transport) -> Decision {
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
        let (own, zones) = (&self.facts.networks, &self.facts.directory.zones);
        let elsewhere = zones.iter().filter(|(network, _)| !own.contains(network));
        let scope = Scope {
            zones: own
                .iter()
                .filter_map(|network| zones.get(network))
                .collect(),
            elsewhere: elsewhere.map(|(_, zone)| zone).collect(),
            links: Some(&self.facts.links),
            subnets: &self.facts.directory.subnets,
            forwarding: self.facts.forwarding,
            names: &self.facts.names,
        };
        decide(question, &scope, transport, u64::from_ne_bytes(random()))
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("View").field(&self.facts).finish()
    }
}

/// Locks; a thread that panicked leaves answers that are still whole.
fn lock(answers: &Mutex<Answers>) -> MutexGuard<'_, Answers> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives random bytes of the kernel.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The kernel never fails requests of up to 256 bytes once it has booted.
    if getrandom(&mut bytes[..], GetRandomFlags::empty()).is_err() {
        tracing::error!("the kernel gives no random bytes");
    }
    bytes
}
