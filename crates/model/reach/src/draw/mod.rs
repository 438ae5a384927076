//! The survey as people look at it: a table, a list, a graph, a picture. Names are whatever people chose, and are escaped.

mod graph;
mod picture;
mod text;

pub use graph::dot;
pub use picture::svg;
pub use text::{list, table};

use std::collections::{BTreeMap, BTreeSet};

use hakone_base::ExposedPort;

use crate::{Ports, Survey};

/// What one place reaches of another by any address and protocol.
#[derive(Debug, Default)]
struct Cell {
    whole: Reached,
    /// What is reached of parts of the outside that policies name.
    parts: BTreeMap<String, Reached>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Reached {
    ports: Ports,
    published: BTreeSet<ExposedPort>,
}

impl Cell {
    fn is_none(&self) -> bool {
        self.whole.is_none() && self.parts.values().all(Reached::is_none)
    }

    fn is_all(&self) -> bool {
        self.whole.ports.is_all() && self.others().next().is_none()
    }

    /// The parts that are reached otherwise than the rest.
    fn others(&self) -> impl Iterator<Item = (&String, &Reached)> {
        let parts = self.parts.iter();
        parts.filter(|(_, part)| part.words() != self.whole.words())
    }

    /// `all`, `80/tcp`, `8080/tcp published`, `443/tcp at 10.0.0.0/8`, `all; none at 10.0.0.0/8`; empty for none.
    fn words(&self) -> String {
        let others = self.others().map(|(name, part)| {
            let words = part.words();
            let words = if words.is_empty() { "none" } else { &words };
            format!("{words} at {}", plain(name))
        });
        let whole = Some(self.whole.words()).filter(|words| !words.is_empty());
        let all: Vec<String> = whole.into_iter().chain(others).collect();
        all.join("; ")
    }
}

impl Reached {
    fn is_none(&self) -> bool {
        self.ports.is_none() && self.published.is_empty()
    }

    fn words(&self) -> String {
        let mut parts = Vec::new();
        if !self.ports.is_none() {
            parts.push(self.ports.to_string());
        }
        let beyond: Vec<String> = self.published.iter().map(ToString::to_string).collect();
        if !beyond.is_empty() && !self.ports.is_all() {
            parts.push(format!("{} published", beyond.join(", ")));
        }
        parts.join("; ")
    }
}

fn cells(survey: &Survey) -> BTreeMap<(usize, usize), Cell> {
    let mut cells: BTreeMap<(usize, usize), Cell> = BTreeMap::new();
    for reach in &survey.reaches {
        let cell = cells.entry((reach.from, reach.to)).or_default();
        let reached = match &reach.part {
            None => &mut cell.whole,
            Some(part) => cell.parts.entry(part.clone()).or_default(),
        };
        reached.ports.merge(&reach.ports);
        reached.published.extend(&reach.published);
    }
    cells
}

/// Control characters have no place in any drawing.
fn plain(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}
