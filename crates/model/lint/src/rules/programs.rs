//! Programs that do not belong into a build: DL3001, DL3003, DL3004, DL3027, DL3047, DL4001.

use crate::{
    finding::Findings,
    view::{Call, View},
};

/// They act on a machine, or on a person at it.
const POINTLESS: &[&str] = &[
    "free", "kill", "mount", "ps", "service", "shutdown", "ssh", "top", "vim",
];

pub(super) fn check(view: &View<'_>, findings: &mut Findings) {
    for (line, run) in view.runs() {
        for call in &run.calls {
            one(line.number(), call, findings);
        }
    }
    downloads(view, findings);
}

fn one(number: u32, call: &Call, findings: &mut Findings) {
    match call.name.as_str() {
        "cd" => findings.add(number, "DL3003", "Use WORKDIR to change the folder"),
        "sudo" => findings.add(number, "DL3004", "Use USER, or gosu, instead of sudo"),
        "apt" => findings.add(
            number,
            "DL3027",
            "apt is for people: use apt-get or apt-cache",
        ),
        "wget" if !is_quiet(call) => {
            let message = "wget fills the log of the build: give it --progress=dot:giga, or -q";
            findings.add(number, "DL3047", message);
        }
        name if POINTLESS.contains(&name) => {
            findings.add(
                number,
                "DL3001",
                format!("{name} makes no sense in a build"),
            );
        }
        _ => {}
    }
}

fn is_quiet(call: &Call) -> bool {
    let long = [
        "progress",
        "quiet",
        "no-verbose",
        "output-file",
        "append-output",
    ];
    let short = call.short('q') + call.short('o') + call.short('a') > 0;
    call.long(&long) || short || call.arguments.iter().any(|word| word.starts_with("-nv"))
}

/// Each image needs one of them, not both.
fn downloads(view: &View<'_>, findings: &mut Findings) {
    let mut seen = (None, false, false);
    for (line, run) in view.runs() {
        let uses = |name: &str| run.calls_of(&[name]).next().is_some();
        if seen.0 != line.stage {
            seen = (line.stage, false, false);
        }
        let (curl, wget) = (uses("curl"), uses("wget"));
        seen = (line.stage, seen.1 || curl, seen.2 || wget);
        if (curl || wget) && seen.1 && seen.2 {
            findings.add(line.number(), "DL4001", "Use curl or wget, not both");
        }
    }
}
