//! Ruby's packages: DL3028.

use crate::{finding::Findings, view::View};

const WITH_VALUE: &[&str] = &[
    "-v",
    "--version",
    "-i",
    "--install-dir",
    "-n",
    "--bindir",
    "-s",
    "--source",
    "-P",
    "--trust-policy",
    "--platform",
    "-p",
    "--http-proxy",
    "-B",
    "--bulk-threshold",
    "-g",
    "--file",
];

pub(super) fn check(view: &View<'_>, findings: &mut Findings) {
    for (line, run) in view.runs() {
        for call in run.calls_of(&["gem"]) {
            let mut call = call.clone();
            // What stands behind is for the compiler of an extension.
            let end = call.arguments.iter().position(|word| word == "--");
            call.arguments.truncate(end.unwrap_or(call.arguments.len()));
            let words = call.positional(WITH_VALUE);
            let versioned = call.long(&["version"]) || call.short('v') > 0;
            let open = words
                .iter()
                .skip(1)
                .any(|name| !name.contains(':') && !name.ends_with(".gem"));
            if matches!(words.first(), Some(&("install" | "i"))) && !versioned && open {
                findings.add(
                    line.number(),
                    "DL3028",
                    "Say which version gem installs: gem:version",
                );
            }
        }
    }
}
