//! What this engine says that it can do: clients look here before they ask for something.
//!
//! Only what works is listed: a client that misses a capability says so in its own words, better than a build that fails late.

use crate::wire::ApiCap;

/// Calls of the gateway that are answered.
pub const FRONTEND: &[&str] = &[
    "solve.base",
    "return",
    "returnmap",
    "proto.refarray",
    "importcaches",
    "reference.output",
    "frontend.inputs",
    "frontend.caps",
    "gateway.solve.metadata",
    "gateway.solve.evaluate",
    "gateway.warnings",
    "readfile",
    "statfile",
];

/// Parts of definitions and attributes that are understood.
pub const LLB: &[&str] = &[
    "source.local",
    "source.local.unique",
    "source.local.sessionid",
    "source.local.includepatterns",
    "source.local.followpaths",
    "source.local.excludepatterns",
    "source.local.sharedkeyhint",
    "source.local.differ",
    "source.git",
    "source.git.fullurl",
    "file.base",
    "constraints",
    "platform",
    "meta.ignorecache",
    "meta.description",
    "exporter.multiple",
    "exporter.image.attestations",
];

/// Prints a list as the message that carries it.
#[must_use]
pub fn capabilities(list: &[&str]) -> Vec<ApiCap> {
    let cap = |id: &&str| ApiCap {
        id: (*id).to_owned(),
        enabled: true,
        ..ApiCap::default()
    };
    list.iter().map(cap).collect()
}
