//! Packages of Node: DL3016, DL3060.

use crate::{
    finding::Findings,
    view::{Line, RunView, View},
};

const WITH_VALUE: &[&str] = &[
    "--registry",
    "--prefix",
    "-C",
    "--tag",
    "--cache",
    "--userconfig",
    "--loglevel",
    "--omit",
    "--include",
    "--workspace",
    "-w",
];
const CACHES: &[&str] = &["/usr/local/share/.cache/yarn", "/root/.cache/yarn"];

pub(super) fn check(view: &View<'_>, findings: &mut Findings) {
    for (line, run) in view.runs() {
        for call in run.calls_of(&["npm"]) {
            let words = call.positional(WITH_VALUE);
            let Some(("install", packages)) = words.split_first().map(|(verb, rest)| (*verb, rest))
            else {
                continue;
            };
            if packages.iter().any(|name| !is_pinned(name)) {
                findings.add(
                    line.number(),
                    "DL3016",
                    "Say which version npm installs: package@version",
                );
            }
        }
        if leaves_cache(run) && view.is_kept(line.stage) {
            tell_cache(line, findings);
        }
    }
}

fn tell_cache(line: &Line<'_>, findings: &mut Findings) {
    findings.add(
        line.number(),
        "DL3060",
        "yarn leaves its cache behind: yarn cache clean",
    );
}

fn is_pinned(name: &str) -> bool {
    if name.contains("://")
        && ["git", "http"]
            .iter()
            .any(|scheme| name.starts_with(scheme))
        && !is_archive(name)
    {
        return name.contains('#');
    }
    let local = name.starts_with(['.', '/', '~']) || name.starts_with("file:") || is_archive(name);
    // The first sign of a scope is no version.
    let version = name
        .char_indices()
        .skip(1)
        .any(|(_, c)| c == '@' || c == '#');
    local || version
}

fn is_archive(name: &str) -> bool {
    [".tgz", ".tar", ".tar.gz"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// Reports whether packages are installed after the cache was last cleaned.
fn leaves_cache(run: &RunView<'_>) -> bool {
    let mut dirty = false;
    for call in run.calls_of(&["yarn"]) {
        match call.positional(&[]).as_slice() {
            ["install", ..] => dirty = true,
            ["cache", "clean", ..] => dirty = false,
            _ => {}
        }
    }
    dirty && !run.keeps_out(CACHES)
}
