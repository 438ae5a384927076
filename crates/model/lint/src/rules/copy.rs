//! Files that come into the image: DL3010, DL3020 to DL3023, DL3045, DL3067.

use hakone_dockerfile::{Copy, Instruction, Source};

use super::users::is_rooted;
use crate::{
    finding::Findings,
    view::{Call, Line, View},
};

/// Ends of names that Docker unpacks.
const ARCHIVES: &[&str] = &[
    ".tar", ".Z", ".bz2", ".gz", ".lz", ".lzma", ".tZ", ".tb2", ".tbz", ".tbz2", ".tgz", ".tlz",
    ".tpz", ".txz", ".xz", ".tar.zst", ".tzst",
];
const UNPACKERS: &[&str] = &[
    "bunzip2",
    "gunzip",
    "gzcat",
    "uncompress",
    "unlzma",
    "unxz",
    "zcat",
    "zgz",
    "bzcat",
    "xzcat",
];

pub(super) fn check(view: &View<'_>, findings: &mut Findings) {
    for (line, instruction) in view.instructions() {
        match instruction {
            Instruction::Add(add) if add.sources.iter().any(is_plain) && add.checksum.is_none() => {
                let message = "Use COPY for files and folders; ADD is for archives and downloads";
                findings.add(line.number(), "DL3020", message);
            }
            Instruction::Copy(copy) => {
                places(view, line, copy, findings);
                origin(view, line, copy, findings);
                whole(line, copy, findings);
                archives(view, line, copy, findings);
            }
            _ => {}
        }
    }
}

fn text(source: &Source) -> Option<&str> {
    match source {
        Source::Path(path) => Some(path.trim_matches(['"', '\''])),
        Source::Inline { .. } => None,
    }
}

fn is_archive(path: &str) -> bool {
    ARCHIVES.iter().any(|end| path.ends_with(end))
}

/// Reports whether ADD does no more with it than COPY.
fn is_plain(source: &Source) -> bool {
    let remote = |path: &str| {
        ["http://", "https://", "git@", "git://", "ssh://"]
            .iter()
            .any(|scheme| path.starts_with(scheme))
    };
    text(source).is_some_and(|path| !is_archive(path) && !remote(path))
}

fn places(view: &View<'_>, line: &Line<'_>, copy: &Copy, findings: &mut Findings) {
    let destination = copy.destination.trim_matches(['"', '\'']);
    if copy.sources.len() > 1 && !destination.ends_with('/') {
        let message = "Several files need a folder to go to: end it with a slash";
        findings.add(line.number(), "DL3021", message);
    }
    let placed = |index: usize| {
        view.lines.iter().any(|one| {
            let before = one.stage != line.stage || one.number() < line.number();
            one.stage == Some(index) && before && one.keyword() == "WORKDIR"
        })
    };
    if !is_rooted(destination) && !view.inherits(line.stage, placed) {
        let message = "A relative destination needs a WORKDIR before it";
        findings.add(line.number(), "DL3045", message);
    }
}

fn origin(view: &View<'_>, line: &Line<'_>, copy: &Copy, findings: &mut Findings) {
    let (Some(from), Some(stage)) = (&copy.from, line.stage) else {
        return;
    };
    let named = |index: usize| {
        let name = view.stages.get(index).and_then(|stage| stage.name);
        name.is_some_and(|name| name.eq_ignore_ascii_case(from))
    };
    if named(stage) {
        let message = format!("The stage {from} cannot copy from itself");
        findings.add(line.number(), "DL3023", message);
        return;
    }
    let numbered = from.parse::<usize>().is_ok_and(|index| index <= stage);
    if !numbered && !from.contains(':') && !(0..stage).any(named) {
        let message = format!("No stage before this one is named {from}");
        findings.add(line.number(), "DL3022", message);
    }
}

/// All of another stage over all of this one: then that stage is what to begin with.
fn whole(line: &Line<'_>, copy: &Copy, findings: &mut Findings) {
    let is_root = |path: &str| path.trim_matches(['"', '\'']) == "/";
    let all = copy.sources.iter().filter_map(text).any(is_root);
    if copy.from.is_some() && all && is_root(&copy.destination) {
        let message =
            "Copy what is needed of the stage, or begin with it: this is all of its files";
        findings.add(line.number(), "DL3067", message);
    }
}

/// An archive that is copied, only to be unpacked by a later line.
fn archives(view: &View<'_>, line: &Line<'_>, copy: &Copy, findings: &mut Findings) {
    if copy.from.is_some() {
        return;
    }
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let mut names: Vec<String> = copy
        .sources
        .iter()
        .filter_map(text)
        .filter(|path| is_archive(path) && !path.contains(['*', '?']))
        .map(name)
        .collect();
    if !names.is_empty() && is_archive(&copy.destination) {
        names.push(name(&copy.destination));
    }
    let later = view
        .runs()
        .filter(|(one, _)| one.stage == line.stage && one.number() > line.number());
    let unpacked = later.flat_map(|(_, run)| &run.calls).any(|call| {
        let of_name = |argument: &String| names.iter().any(|own| argument.ends_with(own.as_str()));
        unpacks(call) && call.arguments.iter().any(of_name)
    });
    if unpacked && !names.is_empty() {
        findings.add(
            line.number(),
            "DL3010",
            "ADD unpacks a local archive by itself",
        );
    }
}

fn unpacks(call: &Call) -> bool {
    match call.name.as_str() {
        "tar" => {
            let bare = call
                .arguments
                .first()
                .is_some_and(|word| !word.starts_with('-') && word.contains('x'));
            bare || call.short('x') > 0 || call.long(&["extract", "get"])
        }
        "gzip" | "bzip2" | "xz" => call.short('d') > 0 || call.long(&["decompress"]),
        other => UNPACKERS.contains(&other),
    }
}
