//! Alpine's packages: DL3018, DL3019.

use crate::{finding::Findings, view::View};

const WITH_VALUE: &[&str] = &[
    "-t",
    "--virtual",
    "-X",
    "--repository",
    "-p",
    "--root",
    "--arch",
    "--cache-dir",
    "--keys-dir",
    "--repositories-file",
    "--wait",
    "--cache-max-age",
    "--progress-fd",
];

pub(super) fn check(view: &View<'_>, findings: &mut Findings) {
    for (line, run) in view.runs() {
        for call in run.calls_of(&["apk"]).filter(|call| call.has("add")) {
            let packages = call.positional(WITH_VALUE);
            if packages
                .iter()
                .any(|name| *name != "add" && !is_pinned(name))
            {
                findings.add(
                    line.number(),
                    "DL3018",
                    "Say which version apk adds: package=version",
                );
            }
            if !call.long(&["no-cache"]) && !run.keeps_out(&["/var/cache/apk", "/etc/apk/cache"]) {
                findings.add(
                    line.number(),
                    "DL3019",
                    "apk leaves its index behind: give it --no-cache",
                );
            }
        }
    }
}

fn is_pinned(name: &str) -> bool {
    // What begins with an exclamation mark is taken out, whatever its version.
    name.contains(['=', '~', '<', '>']) || name.ends_with(".apk") || name.starts_with('!')
}
