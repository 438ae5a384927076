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
    ports: Ports,
    published: BTreeSet<ExposedPort>,
}

impl Cell {
    fn is_none(&self) -> bool {
        self.ports.is_none() && self.published.is_empty()
    }

    /// `all`, `80/tcp`, `8080/tcp published`; empty for none.
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
        cell.ports.merge(&reach.ports);
        cell.published.extend(&reach.published);
    }
    cells
}

/// Control characters have no place in any drawing.
fn plain(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}
