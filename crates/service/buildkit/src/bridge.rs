//! The methods of `LLBBridge`: the gateway through which buildx steers a build that it opened.
//!
//! Each call names its build in a header. Results have ids of that build alone: one build cannot name another's.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use hakone_buildkit_model::{
    FRONTEND, LLB, capabilities,
    wire::{Stat, bridge, pb},
};
use prost::Message as _;

use crate::{
    Error, Service,
    frontend::{self, Outcome, Product},
    neighbour::Built,
    solve::Solve,
    writer,
};

/// Bytes of a file that a client reads: of one message.
const LARGEST: u64 = 3 << 20;

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
            let definition = request.definition.unwrap_or_default();
            return self.defined(solve, definition).await;
        }
        match frontend::run(&self.bench(), solve, request).await? {
            Outcome::Answer(documents) => Ok(response(None, documents.into_iter().collect())),
            Outcome::Built(products) => given(solve, products),
        }
    }

    /// Carries out what a client defines itself: nothing at all, or a repository, whose files it then reads.
    async fn defined(
        &self,
        solve: &Arc<Solve>,
        definition: pb::Definition,
    ) -> Result<bridge::SolveResponse, Error> {
        let limits = hakone_buildkit_model::Limits::default();
        let graph = hakone_buildkit_model::Graph::decode(&definition, limits)?;
        let Some(node) = graph.root() else {
            return Ok(response(None, HashMap::new()));
        };
        let address = graph.repository().ok_or_else(|| {
            let what = format!(
                "{} in a build that a client defines itself (LLB)",
                node.operation.kind()
            );
            hakone_buildkit_model::Error::Unsupported(what)
        })?;
        let shown: String = address.chars().take(256).collect();
        let vertex = format!("load git source {shown}");
        let fetch = async |_: &str| self.0.builder.remote(&address, None).await;
        let report = &solve.report;
        let fetched = report.during(&vertex, fetch);
        let id = solve.keep(Product {
            files: Some(fetched.await?.folder),
            ..Product::default()
        })?;
        let result = bridge::Ref {
            id,
            def: Some(definition),
        };
        Ok(response(Some(result), HashMap::new()))
    }

    /// Looks at a result: clients ask for the root of an image to be sure that it was made, and for files that they defined.
    pub(crate) fn stat(
        solve: &Solve,
        request: &bridge::StatFileRequest,
    ) -> Result<bridge::StatFileResponse, Error> {
        let stat = match request.path.trim_matches('/') {
            "" | "." => {
                known(solve, &request.r#ref)?;
                hakone_buildkit_model::folder()
            }
            path => {
                let text = content(solve, &request.r#ref, path)?;
                Stat {
                    path: path.to_owned(),
                    mode: 0o644,
                    size: i64::try_from(text.len()).unwrap_or(i64::MAX),
                    ..Stat::default()
                }
            }
        };
        Ok(bridge::StatFileResponse { stat: Some(stat) })
    }

    /// Reads a file of what a client defined.
    pub(crate) fn read(
        solve: &Solve,
        request: &bridge::ReadFileRequest,
    ) -> Result<bridge::ReadFileResponse, Error> {
        let mut data = content(solve, &request.r#ref, &request.file_path)?;
        if let Some(range) = request.range {
            let number = |number: i64| usize::try_from(number).unwrap_or(0);
            let begin = number(range.offset).min(data.len());
            data.drain(..begin);
            if range.length > 0 {
                data.truncate(number(range.length));
            }
        }
        Ok(bridge::ReadFileResponse { data })
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

fn known(solve: &Solve, id: &str) -> Result<Arc<Product>, Error> {
    let unknown = || Error::NoBuild(id.chars().take(64).collect());
    solve.result(id).ok_or_else(unknown)
}

/// Reads a file of a result, beneath its folder and without following what leads out.
fn content(solve: &Solve, id: &str, path: &str) -> Result<Vec<u8>, Error> {
    let product = known(solve, id)?;
    let folder = product.files.as_ref().ok_or_else(|| {
        let what = "a look at the files of a result".to_owned();
        hakone_buildkit_model::Error::Unsupported(what)
    })?;
    let read = writer::read(folder.path(), path.trim_start_matches('/'), LARGEST);
    let text = read.map_err(Error::host("read a file of a result"))?;
    text.ok_or_else(|| Error::NoFile(path.chars().take(256).collect()))
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

/// Keeps results and says which there are: one, or one for each platform.
fn given(solve: &Solve, products: Vec<Product>) -> Result<bridge::SolveResponse, Error> {
    const CONFIG: &str = "containerimage.config";
    let (mut refs, mut metadata, mut listed) = (HashMap::new(), HashMap::new(), Vec::new());
    for product in products {
        let (config, platform) = (product.built.config.clone(), product.platform.clone());
        let definition = definition(&product.built);
        let one = bridge::Ref {
            id: solve.keep(product)?,
            def: Some(definition),
        };
        let Some(name) = platform else {
            return Ok(response(Some(one), [(CONFIG.to_owned(), config)].into()));
        };
        let platform = frontend::platform(&name)?;
        metadata.insert(format!("{CONFIG}/{name}"), config);
        listed.push(serde_json::json!({"ID": name, "Platform": platform}));
        refs.insert(name, one);
    }
    let listed = serde_json::json!({ "Platforms": listed });
    metadata.insert("refs.platforms".into(), listed.to_string().into_bytes());
    Ok(bridge::SolveResponse {
        r#ref: String::new(),
        result: Some(bridge::Result {
            result: Some(Kind::Refs(bridge::RefMap { refs })),
            metadata,
            attestations: HashMap::new(),
        }),
    })
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
        Kind::Refs(map) => {
            let sorted: BTreeMap<_, _> = map.refs.into_iter().collect();
            sorted.into_values().map(|one| one.id).collect()
        }
    };
    ids.into_iter().filter(|id| !id.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
