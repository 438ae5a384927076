//! Writes what was learned down: as documents, or as labels.
//!
//! Peers with the same ports share a rule, and nothing is widened: an address is a prefix of its own, a port is itself.

use std::collections::{BTreeMap, BTreeSet};

use hakone_base::Protocol;
use hakone_network_policy::{API_VERSION, EGRESS, INGRESS, KIND};
use serde_json::{Value, json};

use crate::{
    Lesson,
    lesson::{Conduct, Openings},
    place::{Peer, Place},
};

/// What a place needs to ask for the names of other machines: the flow log does not see questions to the embedded resolver.
const QUESTIONS: (Protocol, u16) = (Protocol::Udp, 53);
/// How many peers or ports a rule has at most.
const MOST: usize = 1000;

impl Lesson {
    /// Writes a document for each service or container that the lesson is about.
    #[must_use]
    pub fn documents(&self) -> Vec<Value> {
        let all = self.conduct.iter();
        all.map(|(place, conduct)| document(place, conduct))
            .collect()
    }

    /// Writes the labels of each service or container that the lesson is about, by namespace and name.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, BTreeMap<&'static str, String>> {
        let all = self.conduct.iter();
        all.map(|(place, conduct)| {
            let name = format!("{}/{}", place.namespace, place.name);
            (name, labels(place, conduct))
        })
        .collect()
    }
}

fn labels(place: &Place, conduct: &Conduct) -> BTreeMap<&'static str, String> {
    let mut egress = words(&conduct.egress, place);
    if conduct.asks {
        let (protocol, port) = QUESTIONS;
        egress.push(format!("*:{port}/{}", protocol.as_str()));
    }
    let ingress = words(&conduct.ingress, place);
    let value = |words: Vec<String>| match words.is_empty() {
        true => "none".to_owned(),
        false => words.join(", "),
    };
    [(INGRESS, value(ingress)), (EGRESS, value(egress))].into()
}

fn document(place: &Place, conduct: &Conduct) -> Value {
    let mut egress = rules(&conduct.egress, place, "to");
    if conduct.asks {
        egress.push(json!({"ports": ports([QUESTIONS].iter())}));
    }
    json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": format!("learned-{}", place.name), "namespace": place.namespace},
        "spec": {
            "podSelector": place.selector(),
            "policyTypes": ["Ingress", "Egress"],
            "ingress": rules(&conduct.ingress, place, "from"),
            "egress": egress,
        },
    })
}

fn rules(openings: &Openings, place: &Place, peers: &str) -> Vec<Value> {
    let mut rules = Vec::new();
    for (open, sharing) in by_ports(openings) {
        for some in sharing.chunks(MOST) {
            let some = some.iter().map(|peer| peer.document(&place.namespace));
            let some: Vec<Value> = some.collect();
            let open: Vec<_> = open.iter().collect();
            let each = open.chunks(MOST);
            rules.extend(
                each.map(|open| json!({peers: some, "ports": ports(open.iter().copied())})),
            );
        }
    }
    rules
}

type Ports = BTreeSet<(Protocol, u16)>;

fn by_ports(openings: &Openings) -> BTreeMap<&Ports, Vec<&Peer>> {
    let mut sharing: BTreeMap<&Ports, Vec<&Peer>> = BTreeMap::new();
    for (peer, ports) in openings {
        sharing.entry(ports).or_default().push(peer);
    }
    sharing
}

fn ports<'a>(open: impl Iterator<Item = &'a (Protocol, u16)>) -> Vec<Value> {
    let word = |protocol: Protocol| protocol.as_str().to_ascii_uppercase();
    open.map(|(protocol, port)| json!({"protocol": word(*protocol), "port": port}))
        .collect()
}

fn words(openings: &Openings, place: &Place) -> Vec<String> {
    let mut words = Vec::new();
    for (peer, ports) in openings {
        let peer = peer.word(&place.namespace);
        words.extend(ports.iter().map(|(protocol, port)| match protocol {
            Protocol::Tcp => format!("{peer}:{port}"),
            Protocol::Udp | Protocol::Sctp => format!("{peer}:{port}/{}", protocol.as_str()),
        }));
    }
    words
}
