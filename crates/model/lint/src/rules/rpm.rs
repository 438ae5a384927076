//! The packages of Red Hat: yum (DL3030, DL3032, DL3033) and dnf (DL3038, DL3040, DL3041).

use crate::{
    finding::Findings,
    view::{Call, RunView, View},
};

/// A program and the rules that are about it.
struct Tool {
    names: &'static [&'static str],
    agree: &'static str,
    clean: &'static str,
    version: &'static str,
    caches: &'static [&'static str],
}

const TOOLS: [Tool; 2] = [
    Tool {
        names: &["yum"],
        agree: "DL3030",
        clean: "DL3032",
        version: "DL3033",
        caches: &["/var/cache/yum", "/var/cache/dnf"],
    },
    Tool {
        names: &["dnf", "microdnf"],
        agree: "DL3038",
        clean: "DL3040",
        version: "DL3041",
        caches: &["/var/cache/dnf", "/var/cache/libdnf5", "/var/cache/yum"],
    },
];
const WITH_VALUE: &[&str] = &[
    "-c",
    "--config",
    "--repo",
    "--repoid",
    "--enablerepo",
    "--disablerepo",
    "-x",
    "--exclude",
    "--setopt",
    "--releasever",
    "--installroot",
    "--forcearch",
    "--downloaddir",
    "--destdir",
    "-R",
    "-d",
    "-e",
];

pub(super) fn check(view: &View<'_>, findings: &mut Findings) {
    for (line, run) in view.runs() {
        for tool in &TOOLS {
            let number = line.number();
            for call in run.calls_of(tool.names) {
                one(number, tool, call, findings);
            }
            if leaves_cache(tool, run) {
                let message = format!(
                    "{name} leaves its cache behind: {name} clean all",
                    name = name(tool)
                );
                findings.add(number, tool.clean, message);
            }
        }
    }
}

const fn name(tool: &Tool) -> &'static str {
    match tool.names {
        [name, ..] => name,
        [] => "",
    }
}

fn one(number: u32, tool: &Tool, call: &Call, findings: &mut Findings) {
    let asks = call.has_any(&["install", "groupinstall", "localinstall"]);
    if asks && call.short('y') == 0 && !call.long(&["assumeyes"]) {
        findings.add(
            number,
            tool.agree,
            format!("{} would ask: give it -y", call.name),
        );
    }
    let words = call.positional(WITH_VALUE);
    let module = words.contains(&"module");
    let open = words
        .iter()
        .filter(|word| !matches!(**word, "install" | "module"))
        .any(|word| !is_pinned(word, module));
    if words.contains(&"install") && open {
        let message = format!("Say which version {} installs: package-version", call.name);
        findings.add(number, tool.version, message);
    }
}

/// A version begins with a digit behind a dash; of a module, behind a colon. A file is one version.
fn is_pinned(word: &str, module: bool) -> bool {
    if module {
        return word.contains(':');
    }
    let file = word.ends_with(".rpm") || word.starts_with(['/', '.']) || word.contains("://");
    let mut rest = word;
    while let Some((_, after)) = rest.split_once('-') {
        if after.starts_with(|c: char| c.is_ascii_digit() || c == '$') {
            return true;
        }
        rest = after;
    }
    file
}

/// Reports whether packages are installed after the cache was last removed.
fn leaves_cache(tool: &Tool, run: &RunView<'_>) -> bool {
    let mut dirty = None;
    for call in &run.calls {
        if tool.names.contains(&call.name.as_str()) {
            let fills = call.has_any(&["install", "reinstall"])
                || tool.clean == "DL3040" && call.has("upgrade");
            if fills {
                dirty = Some(call.name.as_str());
            } else if call.has("clean") && dirty == Some(call.name.as_str()) {
                dirty = None;
            }
        }
        if call.name == "rm" && call.arguments.iter().any(|path| is_cache(tool, path)) {
            dirty = None;
        }
    }
    dirty.is_some() && !run.keeps_out(tool.caches)
}

fn is_cache(tool: &Tool, path: &str) -> bool {
    tool.caches.contains(&path.trim_end_matches(['*', '/']))
}
