//! Variables: `ENV` that refers to itself, secrets that stay in the image. DL3044, DL3064.

use std::collections::BTreeSet;

use hakone_build_model::looks_secret;
use hakone_dockerfile::{Instruction, Pair};

use crate::{finding::Findings, view::View};

pub(super) fn check(view: &View<'_>, findings: &mut Findings) {
    own_references(view, findings);
    secrets(view, findings);
}

/// What stands there is in the image's config or its history, for everybody who has the image.
fn secrets(view: &View<'_>, findings: &mut Findings) {
    for (line, instruction) in view.instructions() {
        let names: Vec<&str> = match instruction {
            Instruction::Arg(pairs) => pairs.iter().map(|pair| pair.name.as_str()).collect(),
            Instruction::Env(pairs) => pairs.iter().map(|pair| pair.name.as_str()).collect(),
            _ => continue,
        };
        for name in names.into_iter().filter(|name| looks_secret(name)) {
            let message =
                format!("{name} looks like a secret, and stays in the image: mount it instead");
            findings.add(line.number(), "DL3064", message);
        }
    }
}

fn own_references(view: &View<'_>, findings: &mut Findings) {
    let mut known = BTreeSet::new();
    for (line, instruction) in view.instructions() {
        match instruction {
            Instruction::From(_) => known.clear(),
            Instruction::Arg(pairs) => known.extend(pairs.iter().map(|pair| pair.name.as_str())),
            Instruction::Env(pairs) => {
                if let Some(name) = own_reference(pairs, &known) {
                    let message =
                        format!("{name} is set by this very line, and has no value in it yet");
                    findings.add(line.number(), "DL3044", message);
                }
                known.extend(pairs.iter().map(|pair| pair.name.as_str()));
            }
            _ => {}
        }
    }
}

/// Finds a variable that another pair of the same line sets, and nothing before.
fn own_reference<'a>(pairs: &'a [Pair], known: &BTreeSet<&str>) -> Option<&'a str> {
    let used = |name: &str| {
        pairs
            .iter()
            .any(|pair| pair.name != name && references(&pair.value).contains(&name))
    };
    let names = pairs.iter().map(|pair| pair.name.as_str());
    names
        .filter(|name| !known.contains(name))
        .find(|name| used(name))
}

/// Lists the variables that a value refers to, outside single quotes.
pub(super) fn references(value: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut quoted = false;
    let mut double = false;
    let mut chars = value.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' if !double => quoted = !quoted,
            '"' if !quoted => double = !double,
            '\\' if !quoted => drop(chars.next()),
            '$' if !quoted => {
                let rest = value.get(at + 1..).unwrap_or_default();
                let rest = rest.strip_prefix('{').unwrap_or(rest);
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                found.extend(rest.get(..end).filter(|name| !name.is_empty()));
            }
            _ => {}
        }
    }
    found
}
