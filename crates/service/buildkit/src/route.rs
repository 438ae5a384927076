//! Which call is which method.
//!
//! One place knows the names; what is not here is unimplemented, as clients expect of an engine that lacks something.

use std::sync::Arc;

use hakone_buildkit_model::wire::{bridge, control, health};
use hyper::{Request, Response, body::Incoming};
use tonic::{Status, body::Body, metadata::MetadataMap};
use tracing::debug;

use crate::{Error, Service, control::version, grpc, solve::Solve};

/// The header that names the build of a gateway's call.
const BUILD: &str = "buildkit-controlapi-buildid";

impl Service {
    /// Answers one call.
    pub(crate) async fn route(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        debug!(path, "a build client calls");
        match path.rsplit_once('/') {
            Some(("/moby.buildkit.v1.Control", method)) => self.control(method, request).await,
            Some(("/moby.buildkit.v1.frontend.LLBBridge", method)) => {
                self.gateway_call(method, request).await
            }
            Some(("/grpc.health.v1.Health", "Check")) => {
                grpc::unary(
                    request,
                    async |_: tonic::Request<health::HealthCheckRequest>| {
                        let status = health::health_check_response::ServingStatus::Serving.into();
                        Ok(tonic::Response::new(health::HealthCheckResponse { status }))
                    },
                )
                .await
            }
            _ => grpc::unknown(&path),
        }
    }

    async fn control(&self, method: &str, request: Request<Incoming>) -> Response<Body> {
        match method {
            "Info" => {
                let info = control::InfoResponse {
                    buildkit_version: Some(version()),
                };
                grpc::unary(request, async |_: tonic::Request<control::InfoRequest>| {
                    answer(Ok(info.clone()))
                })
                .await
            }
            "ListWorkers" => {
                let workers = control::ListWorkersResponse {
                    record: self.workers(),
                };
                grpc::unary(
                    request,
                    async |_: tonic::Request<control::ListWorkersRequest>| {
                        answer(Ok(workers.clone()))
                    },
                )
                .await
            }
            "Solve" => {
                grpc::unary(request, async |request: tonic::Request<_>| {
                    answer(Box::pin(self.solve(request.into_inner())).await)
                })
                .await
            }
            "Status" => {
                grpc::streaming(
                    request,
                    async |request: tonic::Request<control::StatusRequest>| {
                        let story = self.0.solves.story(&request.into_inner().r#ref).await;
                        answer(story.map(|story| story.listen()))
                    },
                )
                .await
            }
            _ => self.kept(method, request).await,
        }
    }

    /// Calls about what is kept: remembered results, and records of builds.
    async fn kept(&self, method: &str, request: Request<Incoming>) -> Response<Body> {
        match method {
            "DiskUsage" => {
                grpc::unary(request, async |request: tonic::Request<_>| {
                    answer(self.usage(request.into_inner()).await)
                })
                .await
            }
            "Prune" => {
                grpc::streaming(request, async |request: tonic::Request<_>| {
                    answer(self.prune(request.into_inner()).await)
                })
                .await
            }
            "ListenBuildHistory" => {
                grpc::streaming(request, async |request: tonic::Request<_>| {
                    answer(Ok(self.listen(request.get_ref())))
                })
                .await
            }
            "UpdateBuildHistory" => {
                grpc::unary(request, async |request: tonic::Request<_>| {
                    let updated = self.0.history.update(request.get_ref());
                    answer(updated.map(|()| control::UpdateBuildHistoryResponse {}))
                })
                .await
            }
            other => grpc::unknown(other),
        }
    }

    async fn gateway_call(&self, method: &str, request: Request<Incoming>) -> Response<Body> {
        match method {
            "Ping" => {
                grpc::unary(
                    request,
                    async |request: tonic::Request<bridge::PingRequest>| {
                        answer(self.build(request.metadata()).await.map(|_| self.ping()))
                    },
                )
                .await
            }
            "Solve" => {
                grpc::unary(request, async |request: tonic::Request<_>| {
                    let solve = self
                        .build(request.metadata())
                        .await
                        .map_err(|error| error.status())?;
                    answer(Box::pin(self.bridge_solve(&solve, request.into_inner())).await)
                })
                .await
            }
            "Return" => {
                grpc::unary(request, async |request: tonic::Request<_>| {
                    let solve = self
                        .build(request.metadata())
                        .await
                        .map_err(|error| error.status())?;
                    Self::give_back(&solve, request.into_inner());
                    answer(Ok(bridge::ReturnResponse {}))
                })
                .await
            }
            "Inputs" => {
                grpc::unary(
                    request,
                    async |request: tonic::Request<bridge::InputsRequest>| {
                        let solve = self.build(request.metadata()).await;
                        answer(solve.map(|solve| bridge::InputsResponse {
                            definitions: solve.request.frontend_inputs.clone(),
                        }))
                    },
                )
                .await
            }
            _ => self.look(method, request).await,
        }
    }

    /// Calls about results that are there.
    async fn look(&self, method: &str, request: Request<Incoming>) -> Response<Body> {
        match method {
            "Evaluate" => {
                grpc::unary(
                    request,
                    async |request: tonic::Request<bridge::EvaluateRequest>| {
                        // Results are never lazy here.
                        answer(
                            self.build(request.metadata())
                                .await
                                .map(|_| bridge::EvaluateResponse {}),
                        )
                    },
                )
                .await
            }
            "StatFile" => {
                grpc::unary(request, async |request: tonic::Request<_>| {
                    let solve = self.build(request.metadata()).await;
                    answer(solve.and_then(|solve| Self::stat(&solve, request.get_ref())))
                })
                .await
            }
            "ReadFile" => {
                grpc::unary(request, async |request: tonic::Request<_>| {
                    let solve = self.build(request.metadata()).await;
                    answer(solve.and_then(|solve| Self::read(&solve, request.get_ref())))
                })
                .await
            }
            other => grpc::unknown(other),
        }
    }

    /// Gives the build that a gateway's call belongs to.
    async fn build(&self, headers: &MetadataMap) -> Result<Arc<Solve>, Error> {
        let id = headers.get(BUILD).and_then(|value| value.to_str().ok());
        let id = id.ok_or_else(|| Error::NoBuild(String::new()))?;
        self.0.solves.wait(id).await
    }
}

fn answer<T>(done: Result<T, Error>) -> Result<tonic::Response<T>, Status> {
    done.map(tonic::Response::new).map_err(|error| {
        debug!(%error, "a build client's call failed");
        error.status()
    })
}
