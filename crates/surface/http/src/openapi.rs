//! Prints the OpenAPI document of what is served: `docs/reference/openapi.json`, for generators of clients and of bad requests.
//!
//! Paths and methods come from the routing table, bodies from the types that are read (`hakone_engine_api::schema`), parameters
//! from the list here, which a test holds against the handlers' own words. Answers are described by their status alone.

use hakone_base::ApiVersion;
use hakone_engine_api::{schema, wire};
use serde_json::{Map, Value, json};

use crate::routes::{ENDPOINTS, Endpoint, Operation, State};

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in ENDPOINTS {
        if let State::Served(operation) = endpoint.state {
            let path = paths.entry(endpoint.path.replace("*}", "}"));
            if let Some(methods) = path.or_insert_with(|| json!({})).as_object_mut() {
                methods.insert(
                    endpoint.method.to_ascii_lowercase(),
                    describe(endpoint, operation),
                );
            }
        }
    }
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Hakone: the Docker Engine API as served, and what is Hakone's own below /hakone",
            "version": ApiVersion::NEWEST.to_string(),
        },
        "paths": paths,
    })
}

fn describe(endpoint: &Endpoint, operation: Operation) -> Value {
    let in_path = endpoint.path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        let name = name.trim_end_matches('*');
        Some(json!({
            "name": name, "in": "path", "required": true, "schema": { "type": "string" },
        }))
    });
    let in_query = parameters(operation).iter().map(
        |(name, kind)| json!({ "name": name, "in": "query", "schema": { "type": kind.word() } }),
    );
    let mut shown = json!({
        "operationId": format!("{operation:?}{}", if endpoint.method == "HEAD" { "Head" } else { "" }),
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": {
            "default": { "description": "What was asked for, or a message that says why not" },
        },
    });
    if let (Some(body), Some(shown)) = (body(operation), shown.as_object_mut()) {
        let content = json!({ "content": { "application/json": { "schema": body } } });
        shown.insert("requestBody".to_owned(), content);
    }
    shown
}

/// What a parameter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Flag,
    Number,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Flag => "boolean",
            Self::Number => "integer",
        }
    }
}

use Kind::{Flag, Number, Text};

const STREAMS: &[(&str, Kind)] = &[
    ("detachKeys", Text),
    ("logs", Flag),
    ("stream", Flag),
    ("stdin", Flag),
    ("stdout", Flag),
    ("stderr", Flag),
];
const FILTERS: &[(&str, Kind)] = &[("filters", Text)];
const SIZE: &[(&str, Kind)] = &[("h", Number), ("w", Number)];

const BUILD: &[(&str, Kind)] = &[
    ("buildargs", Text),
    ("buildid", Text),
    ("cachefrom", Text),
    ("cgroupparent", Text),
    ("cpusetcpus", Text),
    ("cpusetmems", Text),
    ("dockerfile", Text),
    ("extrahosts", Text),
    ("labels", Text),
    ("networkmode", Text),
    ("outputs", Text),
    ("platform", Text),
    ("remote", Text),
    ("securityopt", Text),
    ("session", Text),
    ("t", Text),
    ("target", Text),
    ("ulimits", Text),
    ("version", Text),
    ("forcerm", Flag),
    ("nocache", Flag),
    ("pull", Flag),
    ("q", Flag),
    ("squash", Flag),
    ("cpuperiod", Number),
    ("cpuquota", Number),
    ("cpushares", Number),
    ("memory", Number),
    ("memswap", Number),
    ("shmsize", Number),
];

#[expect(clippy::too_many_lines, reason = "a table: a line an operation")]
fn parameters(operation: Operation) -> &'static [(&'static str, Kind)] {
    match operation {
        Operation::Events => &[("since", Text), ("until", Text), ("filters", Text)],
        Operation::DiskUsage => &[("type", Text)],
        Operation::ContainerList => &[
            ("all", Flag),
            ("limit", Number),
            ("size", Flag),
            ("filters", Text),
        ],
        Operation::ContainerCreate => &[("name", Text), ("platform", Text)],
        Operation::ContainerInspect => &[("size", Flag)],
        Operation::ContainerTop => &[("ps_args", Text)],
        Operation::ContainerLogs => &[
            ("follow", Flag),
            ("stdout", Flag),
            ("stderr", Flag),
            ("since", Text),
            ("until", Text),
            ("timestamps", Flag),
            ("tail", Text),
            ("details", Flag),
        ],
        Operation::ContainerStats => &[("stream", Flag), ("one-shot", Flag)],
        Operation::ContainerResize | Operation::ExecResize => SIZE,
        Operation::ContainerStop | Operation::ContainerRestart => {
            &[("signal", Text), ("t", Number)]
        }
        Operation::ContainerKill => &[("signal", Text)],
        Operation::ContainerRename => &[("name", Text)],
        Operation::ContainerAttach | Operation::ContainerAttachSocket => STREAMS,
        Operation::ContainerWait => &[("condition", Text)],
        Operation::ContainerRemove => &[("v", Flag), ("force", Flag), ("link", Flag)],
        Operation::ContainerPrune
        | Operation::ImageList
        | Operation::ImagePrune
        | Operation::NetworkList
        | Operation::NetworkPrune
        | Operation::VolumeList
        | Operation::VolumePrune
        | Operation::PluginList => match operation {
            Operation::ImageList => &[
                ("filters", Text),
                ("shared-size", Flag),
                ("manifests", Flag),
            ],
            _ => FILTERS,
        },
        Operation::ArchiveStat | Operation::ArchiveGet => &[("path", Text)],
        Operation::ArchivePut => &[
            ("path", Text),
            ("noOverwriteDirNonDir", Flag),
            ("copyUIDGID", Flag),
        ],
        Operation::ContainerCommit => &[
            ("container", Text),
            ("repo", Text),
            ("tag", Text),
            ("author", Text),
            ("comment", Text),
            ("changes", Text),
            ("pause", Flag),
        ],
        Operation::ImageCreate => &[
            ("fromImage", Text),
            ("fromSrc", Text),
            ("repo", Text),
            ("tag", Text),
            ("message", Text),
            ("changes", Text),
            ("platform", Text),
        ],
        Operation::ImageLoad => &[("quiet", Flag), ("platform", Text)],
        Operation::ImageSave => &[("names", Text), ("platform", Text)],
        Operation::ImageInspect => &[("platform", Text), ("manifests", Flag)],
        Operation::ImageHistory => &[("platform", Text)],
        Operation::ImagePush => &[("tag", Text), ("platform", Text)],
        Operation::ImageTag => &[("repo", Text), ("tag", Text)],
        Operation::ImageRemove => &[("force", Flag), ("noprune", Flag), ("platforms", Text)],
        Operation::ImageSearch => &[("term", Text), ("limit", Number), ("filters", Text)],
        Operation::Build => BUILD,
        Operation::BuildPrune => &[
            ("all", Flag),
            ("keep-storage", Number),
            ("reserved-space", Number),
            ("max-used-space", Number),
            ("filters", Text),
        ],
        Operation::BuildCancel => &[("id", Text)],
        Operation::NetworkInspect => &[("verbose", Flag), ("scope", Text)],
        Operation::VolumeRemove => &[("force", Flag)],
        Operation::Flows => &[
            ("since", Text),
            ("format", Text),
            ("standing", Flag),
            ("follow", Flag),
            ("filters", Text),
        ],
        Operation::Reach => &[("measure", Flag)],
        Operation::PolicyApply => &[("dryRun", Flag)],
        Operation::PolicyExplain => &[("from", Text), ("to", Text), ("port", Text)],
        _ => &[],
    }
}

/// The JSON that an operation reads.
fn body(operation: Operation) -> Option<Value> {
    Some(match operation {
        Operation::ContainerCreate => schema::of::<wire::ContainerCreateBody>(),
        Operation::ContainerUpdate => schema::of::<wire::ContainerUpdateBody>(),
        Operation::ContainerCommit => schema::of::<wire::ContainerConfig>(),
        Operation::ExecCreate => schema::of::<wire::ExecConfig>(),
        Operation::ExecStart => schema::of::<wire::ExecStartConfig>(),
        Operation::NetworkCreate => schema::of::<wire::NetworkCreateRequest>(),
        Operation::NetworkConnect => schema::of::<wire::NetworkConnectRequest>(),
        Operation::NetworkDisconnect => schema::of::<wire::NetworkDisconnectRequest>(),
        Operation::VolumeCreate => schema::of::<wire::VolumeCreateRequest>(),
        Operation::Login => schema::of::<wire::AuthConfig>(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The words in quotes after `.text("`, `.flag("` and their like in all handlers.
    fn asked_for() -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = match path.extension().is_some_and(|extension| extension == "rs") {
                true => std::fs::read_to_string(&path).unwrap(),
                false => continue,
            };
            let text: String = text.split_whitespace().collect();
            for asking in [
                "call.text(\"",
                "call.flag(\"",
                "call.all(\"",
                "call.needed(\"",
                "call.number(\"",
            ] {
                let rest = text.split(asking).skip(1);
                found.extend(rest.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
        found
    }

    #[test]
    fn the_document_names_each_parameter_that_a_handler_asks_for() {
        let text = document().to_string();
        let asked = asked_for();
        assert!(asked.len() > 30, "{asked:?}");
        let missing: Vec<&String> = asked
            .iter()
            .filter(|name| !text.contains(&format!("\"name\":\"{name}\"")))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn the_reference_is_the_snapshot_of_the_document() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../docs/reference/openapi.json"
        );
        let mut text = serde_json::to_string_pretty(&document()).unwrap();
        text.push('\n');
        if std::env::var_os("HAKONE_BLESS").is_some() {
            let durability = hakone_store::Durability::Process;
            hakone_store::write_atomic(path.as_ref(), text.as_bytes(), durability).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(kept, text, "cargo xtask bless renews it");
    }
}
