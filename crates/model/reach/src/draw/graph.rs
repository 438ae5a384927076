//! The survey as a graph in DOT, for Graphviz: networks are boxes, an arrow is what is reached.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{cells, plain};
use crate::{Kind, Survey};

/// Gives the graph as text.
#[must_use]
pub fn dot(survey: &Survey) -> String {
    let mut text =
        String::from("digraph reach {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n");
    let mut by_network: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, place) in survey.places.iter().enumerate() {
        let network = place.networks.first().map_or("", String::as_str);
        by_network.entry(network).or_default().push(number);
    }
    for (cluster, (network, members)) in by_network.iter().enumerate() {
        let inner: String = members.iter().map(|number| node(survey, *number)).collect();
        match network.is_empty() {
            true => text.push_str(&inner),
            false => {
                let label = quoted(network);
                // Writing to a string does not fail.
                write!(
                    text,
                    "  subgraph cluster_{cluster} {{\n    label={label};\n{inner}  }}\n"
                )
                .ok();
            }
        }
    }
    for ((from, to), cell) in cells(survey).iter().filter(|(_, cell)| !cell.is_none()) {
        let label = quoted(&cell.words());
        writeln!(text, "  p{from} -> p{to} [label={label}];").ok();
    }
    text.push_str("}\n");
    text
}

fn node(survey: &Survey, number: usize) -> String {
    let Some(place) = survey.places.get(number) else {
        return String::new();
    };
    let shape = match place.kind {
        Kind::Container => "",
        Kind::Host => ", shape=house",
        Kind::Outside => ", shape=ellipse",
    };
    format!("    p{number} [label={}{shape}];\n", quoted(&place.name))
}

fn quoted(text: &str) -> String {
    let text = plain(text).replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{survey, survey::tests::world};

    #[test]
    fn networks_are_clusters_and_a_name_cannot_leave_its_quotes() {
        let mut survey = survey(&world());
        survey.places[0].name = "x\"]; evil [label=\"\n".into();
        let text = dot(&survey);
        assert!(
            text.contains("label=\"red\";") && text.contains("label=\"blue\";"),
            "{text}"
        );
        assert!(
            text.contains(r#"p0 [label="x\"]; evil [label=\" "];"#),
            "{text}"
        );
        assert!(text.contains("[label=\"80/tcp published\"]"), "{text}");
    }
}
