//! What was seen, gathered by who may begin what with whom.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use hakone_base::Protocol;
use hakone_flow_model::{Direction, End, Record};

use crate::place::{Peer, Person, Place};
use crate::seen::{Ends, Seen, seen};

/// How many flows a lesson remembers; of more it says that it is not whole.
pub const MOST_FLOWS: usize = 100_000;
/// How many notes it keeps of what it could not learn.
const MOST_NOTES: usize = 100;

/// Ports by the peer that they are open for.
pub(crate) type Openings = BTreeMap<Peer, BTreeSet<(Protocol, u16)>>;

/// What a place was seen to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conduct {
    pub(crate) ingress: Openings,
    pub(crate) egress: Openings,
    /// Whether it spoke to other machines, whose names it asks a resolver for.
    pub(crate) asks: bool,
}

/// What was seen of some containers.
#[derive(Clone, Debug, Default)]
pub struct Lesson {
    people: BTreeMap<String, Person>,
    flows: BTreeSet<Ends>,
    pub(crate) conduct: BTreeMap<Place, Conduct>,
    notes: BTreeSet<String>,
}

impl Lesson {
    /// Meets a container that the lesson is about: it gets a policy, also when it is never seen.
    pub fn teach(&mut self, person: Person) {
        for place in person.places() {
            self.conduct.entry(place).or_default();
        }
        self.meet(person);
    }

    /// Meets a container that others speak with.
    pub fn meet(&mut self, person: Person) {
        self.people.insert(person.id.to_string(), person);
    }

    /// Reports whether it met every container that a line names.
    #[must_use]
    pub fn knows_all_of(&self, record: &Record) -> bool {
        let ends = [&record.source, &record.destination].into_iter().flatten();
        let mut named = ends.filter_map(|end| end.container.as_ref());
        named.all(|party| self.people.contains_key(&party.id))
    }

    /// Learns from a line of the flow log.
    pub fn hear(&mut self, record: &Record) {
        if let Some(lost) = &record.lost {
            self.note(format!("the flow log lost lines: {}", lost.reason));
        }
        match seen(record) {
            Seen::Unsayable(what) => self.note(format!("no policy says {what}")),
            Seen::Flow(source, destination, ends) if self.is_new(ends) => {
                let outbound = record.direction == Some(Direction::Outbound);
                let from = self.who(source, ends.from.0);
                let to = self.who(destination, ends.to.0);
                self.learn(&from, &to, ends, outbound);
            }
            Seen::Nothing | Seen::Flow(..) => {}
        }
    }

    /// What has no beginning of its own is told from both sides: the first of them began it.
    fn is_new(&mut self, ends: Ends) -> bool {
        if self.flows.contains(&ends.reversed()) {
            return false;
        }
        if self.flows.len() >= MOST_FLOWS {
            self.note(format!(
                "more than {MOST_FLOWS} flows: the rest is left out"
            ));
            return false;
        }
        self.flows.insert(ends)
    }

    fn who(&self, end: &End, address: IpAddr) -> Peer {
        let person = end.container.as_ref();
        let person = person.and_then(|party| self.people.get(&party.id));
        match (person, &end.network) {
            (Some(person), Some(network)) => Peer::Place(person.place(&network.name)),
            (None, _) | (_, None) => Peer::Address(address),
        }
    }

    fn learn(&mut self, from: &Peer, to: &Peer, ends: Ends, outbound: bool) {
        let Some(port) = ends.to.1 else { return };
        let opening = (ends.protocol, port);
        if let Some(conduct) = self.conduct_of(from) {
            let ports = conduct.egress.entry(to.clone()).or_default();
            ports.insert(opening);
            conduct.asks |= outbound;
        }
        if let Some(conduct) = self.conduct_of(to) {
            let ports = conduct.ingress.entry(from.clone()).or_default();
            ports.insert(opening);
        }
    }

    fn conduct_of(&mut self, peer: &Peer) -> Option<&mut Conduct> {
        match peer {
            Peer::Place(place) => self.conduct.get_mut(place),
            Peer::Address(_) => None,
        }
    }

    fn note(&mut self, note: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.insert(note);
        }
    }

    /// Tells what could not be learned.
    pub fn notes(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().map(String::as_str)
    }

    /// Counts the flows that were learned from.
    #[must_use]
    pub fn flows(&self) -> usize {
        self.flows.len()
    }
}
