//! The methods of `LLBBridge`: the gateway through which buildx steers a build that it opened.
//!
//! Each call names its build in a header. Results have ids of that build alone: one build cannot name another's.

use std::{collections::HashMap, sync::Arc};

use hakone_buildkit_model::{
    FRONTEND, LLB, capabilities,
    wire::{bridge, pb},
};
use prost::Message as _;

use crate::{
    Error, Service,
    frontend::{self, Outcome},
    neighbour::Built,
    solve::Solve,
};

type Kind = bridge::result::Result;

impl Service {
    pub(crate) fn ping(&self) -> bridge::PongResponse {
        bridge::PongResponse {
            frontend_api_caps: capabilities(FRONTEND),
            llb_caps: capabilities(LLB),
            workers: self.workers(),
        }
    }

    /// Builds for the gateway; ends with its build, whatever becomes of the call.
    pub(crate) async fn bridge_solve(
        &self,
        solve: &Arc<Solve>,
        request: bridge::SolveRequest,
    ) -> Result<bridge::SolveResponse, Error> {
        let work = self.gateway(solve, request);
        tokio::select! {
            done = work => done,
            () = solve.over.cancelled() => Err(Error::Cancelled),
        }
    }

    async fn gateway(
        &self,
        solve: &Arc<Solve>,
        request: bridge::SolveRequest,
    ) -> Result<bridge::SolveResponse, Error> {
        if request.frontend.is_empty() {
            return defined(&request.definition.unwrap_or_default());
        }
        let (result, metadata) = match frontend::run(&self.bench(), solve, request).await? {
            Outcome::Answer(documents) => (None, documents.into_iter().collect()),
            Outcome::Built(product) => {
                let built = &product.built;
                let metadata = [("containerimage.config".to_owned(), built.config.clone())];
                let definition = definition(built);
                let id = solve.keep(*product)?;
                (
                    Some(bridge::Ref {
                        id,
                        def: Some(definition),
                    }),
                    metadata.into(),
                )
            }
        };
        Ok(response(result, metadata))
    }

    /// Looks at a result: clients ask for its root to be sure that it was made. What lies in it is not looked at.
    pub(crate) fn stat(
        solve: &Solve,
        request: &bridge::StatFileRequest,
    ) -> Result<bridge::StatFileResponse, Error> {
        let unknown = || Error::NoBuild(request.r#ref.chars().take(64).collect());
        solve.result(&request.r#ref).ok_or_else(unknown)?;
        match request.path.trim_matches('/') {
            "" | "." => Ok(bridge::StatFileResponse {
                stat: Some(hakone_buildkit_model::folder()),
            }),
            _ => {
                let what = "a look at the files of a result".to_owned();
                Err(hakone_buildkit_model::Error::Unsupported(what).into())
            }
        }
    }

    /// Takes what the gateway says that the results are.
    pub(crate) fn give_back(solve: &Solve, request: bridge::ReturnRequest) {
        let returned = match request.error {
            Some(error) => Err(Error::Returned(Box::new(error))),
            None => Ok(request
                .result
                .and_then(|result| result.result)
                .map(ids)
                .unwrap_or_default()),
        };
        solve.give_back(returned.map(|ids| ids.iter().filter_map(|id| solve.result(id)).collect()));
    }
}

/// Only nothing at all is taken as a definition: an empty folder.
fn defined(definition: &pb::Definition) -> Result<bridge::SolveResponse, Error> {
    let graph =
        hakone_buildkit_model::Graph::decode(definition, hakone_buildkit_model::Limits::default())?;
    match graph.root() {
        None => Ok(response(None, HashMap::new())),
        Some(node) => {
            let what = format!(
                "{} in a build that a client defines itself (LLB)",
                node.operation.kind()
            );
            Err(hakone_buildkit_model::Error::Unsupported(what).into())
        }
    }
}

fn response(
    result: Option<bridge::Ref>,
    metadata: HashMap<String, Vec<u8>>,
) -> bridge::SolveResponse {
    bridge::SolveResponse {
        r#ref: String::new(),
        result: Some(bridge::Result {
            result: Some(Kind::Ref(result.unwrap_or_default())),
            metadata,
            attestations: HashMap::new(),
        }),
    }
}

/// Says what a result is, for another build that reads it: an image by its id.
fn definition(built: &Built) -> pb::Definition {
    let source = pb::Op {
        op: Some(pb::op::Op::Source(pb::SourceOp {
            identifier: format!("docker-image://{}", built.image),
            attrs: std::collections::BTreeMap::new(),
        })),
        ..Default::default()
    };
    let source = source.encode_to_vec();
    let digest = hakone_base::Digest::of(&source).as_str().to_owned();
    let end = pb::Op {
        inputs: vec![pb::Input {
            digest: digest.clone(),
            index: 0,
        }],
        ..Default::default()
    };
    pb::Definition {
        def: vec![source, end.encode_to_vec()],
        metadata: [(digest, pb::OpMetadata::default())].into(),
        source: None,
    }
}

/// Gives the ids of results; an empty one stands for an empty folder.
fn ids(kind: Kind) -> Vec<String> {
    let ids: Vec<String> = match kind {
        Kind::RefDeprecated(id) => vec![id],
        Kind::RefsDeprecated(map) => map.refs.into_values().collect(),
        Kind::Ref(one) => vec![one.id],
        Kind::Refs(map) => map.refs.into_values().map(|one| one.id).collect(),
    };
    ids.into_iter().filter(|id| !id.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::Product;

    #[test]
    fn a_result_is_defined_so_that_our_own_reader_takes_it() {
        let built = Built {
            image: "sha256:12".into(),
            ..Built::default()
        };
        let graph = hakone_buildkit_model::Graph::decode(
            &definition(&built),
            hakone_buildkit_model::Limits::default(),
        );
        assert_eq!(
            graph.unwrap().root().unwrap().operation.kind(),
            "source \"docker-image\""
        );
    }

    #[test]
    fn one_build_cannot_name_the_result_of_another() {
        let (first, _one) = Solve::new(Default::default(), Default::default());
        let (second, mut two) = Solve::new(Default::default(), Default::default());
        let id = first.keep(Product::default()).unwrap();
        let kind = Kind::Ref(bridge::Ref { id, def: None });
        let result = bridge::Result {
            result: Some(kind),
            ..Default::default()
        };
        Service::give_back(
            &second,
            bridge::ReturnRequest {
                result: Some(result),
                error: None,
            },
        );
        assert!(two.try_recv().unwrap().unwrap().is_empty());
    }
}
