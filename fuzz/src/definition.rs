//! Definitions that a build client gives: any bytes are a graph or a refusal, and inputs always come first.
#![no_main]

use hakone_buildkit_model::{Graph, Limits, wire::pb};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

fuzz_target!(|data: &[u8]| {
    let Ok(definition) = pb::Definition::decode(data) else {
        return;
    };
    if let Ok(graph) = Graph::decode(&definition, Limits::default()) {
        for (at, node) in graph.nodes.iter().enumerate() {
            assert!(node.inputs.iter().all(|(input, _)| *input < at));
        }
    }
});
