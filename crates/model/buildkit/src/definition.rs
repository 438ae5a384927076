//! Definitions (LLB): a graph of operations that a client gives directly, decoded with limits.
//!
//! Each operation names its inputs by the digest of their bytes, so a graph cannot have a cycle; that is checked, not believed. The
//! last operation stands for the result alone. What this engine cannot do is told by name.

use std::collections::BTreeMap;

use hakone_base::Digest;
use prost::Message as _;

use crate::{
    Error,
    wire::pb::{self, op},
};

/// What a definition may hold at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Operations.
    pub operations: usize,
    /// Bytes of all of them.
    pub bytes: usize,
    /// Inputs of one.
    pub inputs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            operations: 10_000,
            bytes: 16 << 20,
            inputs: 1_000,
        }
    }
}

/// A definition, in an order in which inputs come first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// The operations.
    pub nodes: Vec<Node>,
    /// The node and the output of it that the definition stands for; nothing is an empty folder.
    pub result: Option<(usize, i64)>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The digest of its bytes.
    pub digest: String,
    /// Nodes and outputs that it reads.
    pub inputs: Vec<(usize, i64)>,
    /// What it does.
    pub operation: Operation,
    /// What the client calls it.
    pub name: Option<String>,
}

/// The kinds of operations.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// A folder of the client, an image, a repository, an address.
    Source {
        /// Its kind and place, `local://context`.
        identifier: String,
        /// Its attributes.
        attributes: BTreeMap<String, String>,
    },
    /// A process.
    Exec(Box<pb::ExecOp>),
    /// Changes to files.
    File(Box<pb::FileOp>),
    /// Trees laid over each other.
    Merge,
    /// What one tree has more than another.
    Diff,
    /// A build inside of a build.
    Build,
}

impl Graph {
    /// Decodes a definition.
    ///
    /// # Errors
    /// When it exceeds the limits, does not decode, or names inputs that do not come before.
    pub fn decode(definition: &pb::Definition, limits: Limits) -> Result<Self, Error> {
        let bytes: usize = definition.def.iter().map(Vec::len).sum();
        if definition.def.len() > limits.operations || bytes > limits.bytes {
            return Err(Error::Definition("it is too large"));
        }
        let mut graph = Self::default();
        let mut known = BTreeMap::new();
        for (at, bytes) in definition.def.iter().enumerate() {
            let op = pb::Op::decode(bytes.as_slice());
            let op = op
                .ok()
                .ok_or(Error::Definition("an operation does not decode"))?;
            let inputs = inputs(&op, &known, limits)?;
            match op.op {
                Some(kind) => {
                    let digest = Digest::of(bytes).as_str().to_owned();
                    known.insert(digest.clone(), graph.nodes.len());
                    let name = name(definition, &digest);
                    let operation = operation(kind)?;
                    graph.nodes.push(Node {
                        digest,
                        inputs,
                        operation,
                        name,
                    });
                }
                None if at + 1 == definition.def.len() => graph.result = inputs.first().copied(),
                None => return Err(Error::Definition("an operation does nothing")),
            }
        }
        Ok(graph)
    }

    /// Gives the address of the repository that the definition stands for, when it stands for one.
    #[must_use]
    pub fn repository(&self) -> Option<String> {
        let Operation::Source {
            identifier,
            attributes,
        } = &self.root()?.operation
        else {
            return None;
        };
        let place = identifier.strip_prefix("git://")?;
        let (bare, fragment) = match place.split_once('#') {
            Some((bare, fragment)) => (bare, format!("#{fragment}")),
            None => (place, String::new()),
        };
        let whole = attributes.get("git.fullurl").cloned();
        let whole = whole.unwrap_or_else(|| format!("https://{bare}"));
        Some(format!("{whole}{fragment}"))
    }

    /// Gives the node that the definition stands for.
    #[must_use]
    pub fn root(&self) -> Option<&Node> {
        self.result.and_then(|(at, _)| self.nodes.get(at))
    }
}

fn inputs(
    op: &pb::Op,
    known: &BTreeMap<String, usize>,
    limits: Limits,
) -> Result<Vec<(usize, i64)>, Error> {
    if op.inputs.len() > limits.inputs {
        return Err(Error::Definition("an operation has too many inputs"));
    }
    let find = |input: &pb::Input| {
        let at = known.get(&input.digest).copied();
        at.map(|at| (at, input.index)).ok_or(Error::Definition(
            "an input does not come before what reads it",
        ))
    };
    op.inputs.iter().map(find).collect()
}

fn operation(kind: op::Op) -> Result<Operation, Error> {
    match kind {
        op::Op::Source(source) => match source.identifier.split_once("://") {
            None => Err(Error::Definition("a source has no kind")),
            Some(_) => Ok(Operation::Source {
                identifier: source.identifier,
                attributes: source.attrs.into_iter().collect(),
            }),
        },
        op::Op::Exec(exec) => Ok(Operation::Exec(Box::new(exec))),
        op::Op::File(file) => Ok(Operation::File(Box::new(file))),
        op::Op::Merge(_) => Ok(Operation::Merge),
        op::Op::Diff(_) => Ok(Operation::Diff),
        op::Op::Build(_) => Ok(Operation::Build),
    }
}

fn name(definition: &pb::Definition, digest: &str) -> Option<String> {
    let description = &definition.metadata.get(digest)?.description;
    let name = description.get("llb.customname")?;
    Some(name.chars().take(512).collect())
}

impl Operation {
    /// Names the kind for a refusal.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Source { identifier, .. } => {
                let kind = identifier.split("://").next().unwrap_or_default();
                format!("source {kind:?}")
            }
            Self::Exec(_) => "exec".into(),
            Self::File(_) => "file".into(),
            Self::Merge => "merge".into(),
            Self::Diff => "diff".into(),
            Self::Build => "build".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(identifier: &str) -> Vec<u8> {
        let source = pb::SourceOp {
            identifier: identifier.into(),
            ..Default::default()
        };
        pb::Op {
            op: Some(op::Op::Source(source)),
            ..Default::default()
        }
        .encode_to_vec()
    }

    fn end(digest: &str) -> Vec<u8> {
        let input = pb::Input {
            digest: digest.into(),
            index: 0,
        };
        pb::Op {
            inputs: vec![input],
            ..Default::default()
        }
        .encode_to_vec()
    }

    fn decode(def: Vec<Vec<u8>>) -> Result<Graph, Error> {
        let definition = pb::Definition {
            def,
            ..Default::default()
        };
        Graph::decode(
            &definition,
            Limits {
                operations: 3,
                ..Limits::default()
            },
        )
    }

    #[test]
    fn the_last_operation_stands_for_the_result() {
        let local = source("local://context");
        let digest = Digest::of(&local);
        let graph = decode(vec![local, end(digest.as_str())]).unwrap();
        assert_eq!(graph.root().unwrap().digest, digest.as_str());
        assert_eq!(graph.root().unwrap().operation.kind(), "source \"local\"");
    }

    #[test]
    fn inputs_come_before_their_readers() {
        let local = source("local://context");
        let digest = Digest::of(&local);
        assert!(decode(vec![end(digest.as_str()), local]).is_err());
        assert!(decode(vec![end("sha256:00")]).is_err());
    }

    #[test]
    fn size_and_count_are_limited() {
        assert!(decode(vec![source("a://b"); 4]).is_err());
        assert!(decode(vec![vec![0xff; 10]]).is_err());
        assert!(decode(vec![source("nothing")]).is_err());
    }

    #[test]
    fn an_empty_definition_is_an_empty_folder() {
        assert_eq!(decode(Vec::new()).unwrap().root(), None);
    }

    proptest! {
        /// Whatever the bytes are, the answer is a graph or a refusal.
        #[test]
        fn bytes_never_break_it(def in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..4)) {
            if let Ok(graph) = decode(def) {
                for (at, node) in graph.nodes.iter().enumerate() {
                    prop_assert!(node.inputs.iter().all(|(input, _)| *input < at));
                }
            }
        }
    }
}
