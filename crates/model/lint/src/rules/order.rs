//! What may stand where, and how often: DL3012, DL3057, DL3061, DL4000, DL4003, DL4004, DL1001, DL3059.

use hakone_dockerfile::Instruction;

use crate::{
    finding::Findings,
    pragma,
    view::{Line, RunView, View},
};

pub(super) fn check(view: &View<'_>, findings: &mut Findings) {
    first(view, findings);
    repeated(view, findings);
    health(view, findings);
    consecutive(view, findings);
    for line in &view.lines {
        if line.keyword() == "MAINTAINER" {
            findings.add(
                line.number(),
                "DL4000",
                "MAINTAINER is deprecated: use a LABEL",
            );
        }
        if line
            .comments()
            .iter()
            .any(|comment| pragma::ignored(comment).is_some())
        {
            findings.add(line.number(), "DL1001", "A comment silences rules here");
        }
    }
}

fn first(view: &View<'_>, findings: &mut Findings) {
    let early = view
        .lines
        .iter()
        .filter(|line| line.stage.is_none() && line.keyword() != "ARG");
    for line in early {
        findings.add(
            line.number(),
            "DL3061",
            "Only ARG may stand before the first FROM",
        );
    }
}

/// Of these only the last of a stage counts.
fn repeated(view: &View<'_>, findings: &mut Findings) {
    let rules = [
        ("CMD", "DL4003"),
        ("ENTRYPOINT", "DL4004"),
        ("HEALTHCHECK", "DL3012"),
    ];
    for (keyword, code) in rules {
        let mut seen = None;
        for line in view.lines.iter().filter(|line| line.keyword() == keyword) {
            if seen == Some(line.stage) {
                let message = format!("Only the last {keyword} of a stage has an effect");
                findings.add(line.number(), code, message);
            }
            seen = Some(line.stage);
        }
    }
}

fn health(view: &View<'_>, findings: &mut Findings) {
    let checked: Vec<Option<usize>> = view
        .lines
        .iter()
        .filter(|line| line.keyword() == "HEALTHCHECK")
        .map(|line| line.stage)
        .collect();
    // A stage that others begin with is checked where they are.
    let has = |index: usize| checked.contains(&Some(index));
    for (index, stage) in view.stages.iter().enumerate() {
        let served = (0..view.stages.len())
            .any(|other| has(other) && view.inherits(Some(other), |one| one == index));
        if !view.inherits(Some(index), has) && !served {
            findings.add(stage.line, "DL3057", "The stage has no HEALTHCHECK");
        }
    }
}

/// Two lines that could be one: each a single command, with the same flags.
fn consecutive(view: &View<'_>, findings: &mut Findings) {
    let mut before: Option<&RunView<'_>> = None;
    for line in &view.lines {
        if let (Some(before), Some(run)) = (before, &line.run)
            && alike(before, run)
        {
            let message = "This RUN and the one before it could be one layer";
            findings.add(line.number(), "DL3059", message);
        }
        before = next(before, line);
    }
}

fn next<'a, 'b>(before: Option<&'b RunView<'a>>, line: &'b Line<'a>) -> Option<&'b RunView<'a>> {
    match (&line.run, line.instruction()) {
        (Some(run), _) => Some(run),
        // A comment within a broken instruction parts nothing.
        (None, None) => before,
        (None, Some(Instruction::Run(_) | _)) => None,
    }
}

fn alike(a: &RunView<'_>, b: &RunView<'_>) -> bool {
    let single = |one: &RunView<'_>| one.calls.len() <= 1;
    let flags = a.run.mounts == b.run.mounts
        && a.run.network == b.run.network
        && a.run.security == b.run.security;
    let known = a.shell.is_posix() && b.shell.is_posix();
    flags && known && single(a) && single(b)
}
