//! Debian's packages: DL3008, DL3009, DL3014, DL3015.

use crate::{
    finding::Findings,
    view::{Call, Line, RunView, View},
};

const LISTS: &str = "/var/lib/apt/lists";
const WITH_VALUE: &[&str] = &[
    "-t",
    "--target-release",
    "--default-release",
    "-o",
    "--option",
    "-c",
    "--config-file",
    "-a",
    "--host-architecture",
];

pub(super) fn check(view: &View<'_>, findings: &mut Findings) {
    for (line, run) in view.runs() {
        for call in run
            .calls_of(&["apt-get"])
            .filter(|call| call.has("install"))
        {
            install(line.number(), call, findings);
        }
        lists(view, line, run, findings);
    }
}

fn install(number: u32, call: &Call, findings: &mut Findings) {
    let packages = call.positional(WITH_VALUE);
    if packages
        .iter()
        .any(|name| *name != "install" && !is_pinned(name))
    {
        findings.add(
            number,
            "DL3008",
            "Say which version apt-get installs: package=version",
        );
    }
    if !agrees(call) {
        findings.add(number, "DL3014", "apt-get would ask: give it -y");
    }
    if !is_sparing(call) {
        let message = "apt-get installs recommended packages too: give it --no-install-recommends";
        findings.add(number, "DL3015", message);
    }
}

fn is_pinned(name: &str) -> bool {
    name.contains(['=', '/']) || name.ends_with(".deb")
}

fn option(call: &Call, name: &str, values: &[&str]) -> bool {
    call.arguments.iter().any(|argument| {
        let given = argument.trim_start_matches("-o").split_once('=');
        given.is_some_and(|(own, value)| own.eq_ignore_ascii_case(name) && values.contains(&value))
    })
}

fn agrees(call: &Call) -> bool {
    let quiet = call.short('q') > 1 || call.has_any(&["-q=2", "--quiet=2", "-q2"]);
    let said = option(call, "APT::Get::Assume-Yes", &["true", "1", "yes"]);
    call.short('y') > 0 || call.long(&["yes", "assume-yes"]) || quiet || said
}

fn is_sparing(call: &Call) -> bool {
    let said = option(call, "APT::Install-Recommends", &["false", "0", "no"]);
    call.long(&["no-install-recommends"]) || said
}

fn lists(view: &View<'_>, line: &Line<'_>, run: &RunView<'_>, findings: &mut Findings) {
    let updates = run
        .calls_of(&["apt-get", "apt", "aptitude"])
        .any(|call| call.has("update"));
    let removes = run.calls_of(&["rm"]).any(|call| {
        let whole = |path: &String| {
            let path = path.trim_end_matches(['*', '/']);
            matches!(path, LISTS | "/var/lib/apt")
        };
        call.arguments.iter().any(whole)
    });
    if updates && !removes && !run.keeps_out(&[LISTS]) && view.is_kept(line.stage) {
        let message =
            "Remove the lists of packages in the line that loads them: rm -rf /var/lib/apt/lists/*";
        findings.add(line.number(), "DL3009", message);
    }
}
