//! The packages of SUSE: DL3034 to DL3037.

use crate::{
    finding::Findings,
    view::{RunView, View},
};

const INSTALL: &[&str] = &["install", "in"];
const ASKS: &[&str] = &[
    "install",
    "in",
    "remove",
    "rm",
    "source-install",
    "si",
    "patch",
];
const WITH_VALUE: &[&str] = &[
    "-r",
    "--repo",
    "-t",
    "--type",
    "--from",
    "-R",
    "--root",
    "-D",
    "--reposd-dir",
];

pub(super) fn check(view: &View<'_>, findings: &mut Findings) {
    for (line, run) in view.runs() {
        let number = line.number();
        for call in run.calls_of(&["zypper"]) {
            let quiet = call.long(&["non-interactive", "no-confirm"])
                || call.short('n') + call.short('y') > 0;
            if call.has_any(ASKS) && !quiet {
                findings.add(number, "DL3034", "zypper would ask: give it -n, or -y");
            }
            if call.has_any(&["dist-upgrade", "dup"]) {
                let message = "A distribution upgrade belongs into the base image";
                findings.add(number, "DL3035", message);
            }
            let packages = call.positional(WITH_VALUE);
            let open = packages
                .iter()
                .any(|name| !INSTALL.contains(name) && !is_pinned(name));
            if call.has_any(INSTALL) && open {
                findings.add(
                    number,
                    "DL3037",
                    "Say which version zypper installs: package=version",
                );
            }
        }
        if leaves_cache(run) {
            findings.add(
                number,
                "DL3036",
                "zypper leaves its cache behind: zypper clean",
            );
        }
    }
}

fn is_pinned(name: &str) -> bool {
    name.contains(['=', '<', '>']) || name.ends_with(".rpm") || name.contains("://")
}

/// Reports whether packages are installed after the cache was last removed.
fn leaves_cache(run: &RunView<'_>) -> bool {
    let mut dirty = false;
    for call in run.calls_of(&["zypper"]) {
        if call.has_any(INSTALL) {
            dirty = true;
        } else if call.has_any(&["clean", "cc"]) {
            dirty = false;
        }
    }
    dirty && !run.keeps_out(&["/var/cache/zypp"])
}
