//! Programs of Go: DL3062.

use crate::{finding::Findings, view::View};

const WITH_VALUE: &[&str] = &[
    "-tags",
    "-ldflags",
    "-gcflags",
    "-asmflags",
    "-mod",
    "-modfile",
    "-o",
    "-p",
    "-pkgdir",
    "-toolexec",
    "-C",
    "-buildmode",
    "-compiler",
    "-overlay",
    "-exec",
    "-pgo",
];

pub(super) fn check(view: &View<'_>, findings: &mut Findings) {
    for (line, run) in view.runs() {
        for call in run.calls_of(&["go"]) {
            let words = call.positional(WITH_VALUE);
            let packages = match words.split_first() {
                Some((&("install" | "get"), packages)) => packages,
                // The others are arguments of the program.
                Some((&"run", packages)) => packages.get(..1).unwrap_or_default(),
                _ => continue,
            };
            if packages.iter().any(|package| !is_pinned(package)) {
                findings.add(
                    line.number(),
                    "DL3062",
                    "Say which version go installs: package@version",
                );
            }
        }
    }
}

fn is_pinned(package: &str) -> bool {
    let local = package.starts_with(['.', '/'])
        || package.ends_with(".go")
        || matches!(package, "std" | "cmd" | "all");
    match package.split_once('@') {
        _ if local => true,
        None | Some((_, "latest")) => false,
        Some(_) => true,
    }
}
