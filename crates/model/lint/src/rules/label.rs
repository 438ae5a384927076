//! Labels: DL3048 to DL3056, DL3058.

use hakone_dockerfile::{Instruction, Pair};

use crate::{
    Settings,
    finding::Findings,
    view::{Line, View},
};

/// Names that Docker keeps for itself.
const RESERVED: &[&str] = &["com.docker.", "io.docker.", "org.dockerproject."];

pub(super) fn check(view: &View<'_>, settings: &Settings, findings: &mut Findings) {
    for (line, instruction) in view.instructions() {
        if let Instruction::Label(pairs) = instruction {
            for pair in pairs {
                name(line, pair, findings);
                value(line, pair, settings, findings);
            }
            superfluous(line, pairs, settings, findings);
        }
    }
    missing(view, settings, findings);
}

fn bare(text: &str) -> &str {
    text.trim_matches(['"', '\''])
}

fn name(line: &Line<'_>, pair: &Pair, findings: &mut Findings) {
    let name = bare(&pair.name);
    let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let good = name.starts_with(|c: char| c.is_ascii_lowercase())
        && outer(name.chars().last())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_/".contains(c))
        && !["..", "--"].iter().any(|twice| name.contains(twice))
        && !RESERVED.iter().any(|prefix| name.starts_with(prefix));
    if !good {
        let message = format!(
            "{name} is no good name of a label: small letters, digits, dots and dashes, and a prefix of one's own"
        );
        findings.add(line.number(), "DL3048", message);
    }
}

fn value(line: &Line<'_>, pair: &Pair, settings: &Settings, findings: &mut Findings) {
    let (name, value) = (bare(&pair.name), bare(&pair.value));
    let Some(kind) = settings.labels.get(name) else {
        return;
    };
    if value.is_empty() {
        findings.add(line.number(), "DL3051", format!("Label {name} is empty"));
    }
    if let Some((code, wanted)) = kind.rule()
        && !kind.accepts(value)
    {
        findings.add(line.number(), code, format!("Label {name} is not {wanted}"));
    }
}

fn superfluous(line: &Line<'_>, pairs: &[Pair], settings: &Settings, findings: &mut Findings) {
    let other = pairs
        .iter()
        .find(|pair| !settings.labels.contains_key(bare(&pair.name)));
    if let Some(pair) = other.filter(|_| settings.strict_labels) {
        let message = format!(
            "Label {} is not one of those that are wanted",
            bare(&pair.name)
        );
        findings.add(line.number(), "DL3050", message);
    }
}

/// A stage that others begin with need not have what they have.
fn missing(view: &View<'_>, settings: &Settings, findings: &mut Findings) {
    let has = |index: usize, wanted: &str| {
        view.instructions().filter(|(line, _)| line.stage == Some(index)).any(|(_, instruction)| {
            matches!(instruction, Instruction::Label(pairs) if pairs.iter().any(|pair| bare(&pair.name) == wanted))
        })
    };
    for wanted in settings.labels.keys() {
        for (index, stage) in view.stages.iter().enumerate() {
            let base = view.stages.iter().any(|one| one.parent == Some(index));
            if !base && !view.inherits(Some(index), |one| has(one, wanted)) {
                findings.add(stage.line, "DL3049", format!("Label {wanted} is missing"));
            }
        }
    }
}
