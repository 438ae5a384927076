//! A small client of our own speaks the protocol over pipes: a build from the first call to its image, and a client that lies.

#[cfg(test)]
mod tests {
    use std::{
        collections::HashMap,
        path::PathBuf,
        sync::{
            Arc, Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use futures_util::{Stream, StreamExt as _, stream};
    use hakone_base::{Digest, ImageRef, Kind, Secret};
    use hakone_buildkit::{
        Archive, BoxFuture, Builder, Built, Delivery, Facts, Failure, Job, Offer, Parcel, Prune,
        Reader, Remembered, Remote, Service, Store,
    };
    use hakone_buildkit_model::wire::{Packet, PacketType, Stat, bridge, control, secrets};
    use hakone_image_model::Descriptor;
    use hyper::{Request, Response, body::Incoming, service::service_fn};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use prost::Message;
    use tokio::{io::DuplexStream, sync::mpsc};
    use tokio_stream::wrappers::ReceiverStream;
    use tonic::{Status, Streaming, body::Body};
    use tonic_prost::ProstCodec;

    /// A builder that reads everything a build may read, and remembers what it saw.
    #[derive(Default)]
    struct Reads {
        seen: Mutex<Vec<String>>,
    }

    impl Reads {
        fn saw(&self, what: String) {
            self.seen.lock().unwrap().push(what);
        }

        async fn perform(&self, job: Job) -> Result<Built, Failure> {
            if job.order.arguments.contains_key("SLEEP") {
                let _told = Told(self);
                self.saw("asleep".into());
                std::future::pending::<()>().await;
            }
            let read = self.read(&job).await;
            read.map_err(|error| Failure::new(Kind::InvalidParameter, error.to_string()))?;
            Ok(Built {
                image: format!("sha256:{}", "1".repeat(64)),
                config: b"{}".to_vec(),
                ..Built::default()
            })
        }

        async fn read(&self, job: &Job) -> Result<(), hakone_buildkit::Error> {
            self.saw(String::from_utf8_lossy(&job.dockerfile.text).into_owned());
            let folder = job.materials.context(&["kept".into()]).await?;
            let read = |name| std::fs::read_to_string(folder.path().join(name));
            for (name, text) in ["kept/file", "ignored"].map(|name| (name, read(name))) {
                text.into_iter()
                    .for_each(|text| self.saw(format!("{name}={text}")));
            }
            if let Some(secret) = job.materials.secret("key").await? {
                self.saw(String::from_utf8_lossy(secret.expose()).into_owned());
            }
            Ok(())
        }
    }

    impl Builder for Reads {
        fn build(&self, job: Job) -> BoxFuture<'_, Result<Built, Failure>> {
            Box::pin(self.perform(job))
        }

        fn push<'a>(
            &'a self,
            _: &'a ImageRef,
            _: Option<Secret<String>>,
        ) -> BoxFuture<'a, Result<(), Failure>> {
            Box::pin(async { Ok(()) })
        }

        fn name<'a>(
            &'a self,
            image: &'a str,
            names: &'a [ImageRef],
        ) -> BoxFuture<'a, Result<(), Failure>> {
            for name in names {
                self.saw(format!("{name} is {}", &image[..9]));
            }
            Box::pin(async { Ok(()) })
        }

        fn load(&self, _: Reader) -> BoxFuture<'_, Result<(), Failure>> {
            Box::pin(async { Err(away()) })
        }

        fn store<'a>(
            &'a self,
            _: &'a ImageRef,
            _: Option<Secret<String>>,
        ) -> BoxFuture<'a, Result<Arc<dyn Store>, Failure>> {
            Box::pin(async { Err(away()) })
        }

        fn remote<'a>(
            &'a self,
            _: &'a str,
            _: Option<&'a str>,
        ) -> BoxFuture<'a, Result<Remote, Failure>> {
            Box::pin(async { Err(away()) })
        }

        fn layer(&self, _: &Digest) -> Result<(Descriptor, PathBuf), Failure> {
            Err(away())
        }

        fn send_as<'a>(
            &'a self,
            _: &'a str,
            delivery: Option<Delivery>,
        ) -> BoxFuture<'a, Result<(), Failure>> {
            if delivery.is_some() {
                self.saw("sent as something else".into());
            }
            Box::pin(async { Ok(()) })
        }

        fn put<'a>(
            &'a self,
            _: &'a ImageRef,
            _: Option<Secret<String>>,
            _: Parcel,
        ) -> BoxFuture<'a, Result<(), Failure>> {
            Box::pin(async { Err(away()) })
        }

        fn files<'a>(&'a self, _: &'a Built) -> BoxFuture<'a, Result<Reader, Failure>> {
            Box::pin(async { Ok(Box::new(&b"tar"[..]) as Reader) })
        }

        fn archive<'a>(
            &'a self,
            built: &'a Built,
            _: &'a [ImageRef],
            _: Archive,
        ) -> BoxFuture<'a, Result<Reader, Failure>> {
            self.files(built)
        }

        fn remembered(&self) -> BoxFuture<'_, Result<Vec<Remembered>, Failure>> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn prune(&self, _: Prune) -> BoxFuture<'_, Result<Vec<Remembered>, Failure>> {
            Box::pin(async { Ok(Vec::new()) })
        }
    }

    fn away() -> Failure {
        Failure::new(Kind::Unavailable, "no registry here")
    }

    /// Says when a build that never ends was dropped.
    struct Told<'a>(&'a Reads);

    impl Drop for Told<'_> {
        fn drop(&mut self) {
            self.0.saw("dropped".into());
        }
    }

    /// What a client has in its folders: path, mode, content.
    type Files = Vec<(&'static str, u32, &'static str)>;

    /// A folder asked for, and what was to be left out.
    type Asked = (String, Vec<String>);

    /// The client's side of a session.
    #[derive(Clone)]
    struct Client {
        folders: HashMap<&'static str, Files>,
        asked: Arc<Mutex<Vec<Asked>>>,
        /// How often contents were sent.
        sent: Arc<AtomicUsize>,
    }

    impl Client {
        async fn answer(self, request: Request<Incoming>) -> Response<Body> {
            let path = request.uri().path().to_owned();
            if path.ends_with("/GetSecret") {
                let codec =
                    ProstCodec::<secrets::GetSecretResponse, secrets::GetSecretRequest>::default();
                return tonic::server::Grpc::new(codec).unary(Vault, request).await;
            }
            let texts = |key: &str| -> Vec<String> {
                let values = request.headers().get_all(key).iter();
                values
                    .map(|value| value.to_str().unwrap().to_owned())
                    .collect()
            };
            let folder = texts("dir-name").remove(0);
            self.asked
                .lock()
                .unwrap()
                .push((folder.clone(), texts("exclude-patterns")));
            let files = self
                .folders
                .get(folder.as_str())
                .cloned()
                .unwrap_or_default();
            let codec = ProstCodec::<Packet, Packet>::default();
            tonic::server::Grpc::new(codec)
                .streaming(Folder(files, Arc::clone(&self.sent)), request)
                .await
        }
    }

    struct Vault;

    impl tower_service::Service<tonic::Request<secrets::GetSecretRequest>> for Vault {
        type Response = tonic::Response<secrets::GetSecretResponse>;
        type Error = Status;
        type Future = std::future::Ready<Result<Self::Response, Status>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Status>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: tonic::Request<secrets::GetSecretRequest>) -> Self::Future {
            let data = b"open sesame".to_vec();
            std::future::ready(Ok(tonic::Response::new(secrets::GetSecretResponse {
                data,
            })))
        }
    }

    /// Sends a folder as the real clients do.
    struct Folder(Files, Arc<AtomicUsize>);

    impl tower_service::Service<tonic::Request<Streaming<Packet>>> for Folder {
        type Response = tonic::Response<ReceiverStream<Result<Packet, Status>>>;
        type Error = Status;
        type Future = std::future::Ready<Result<Self::Response, Status>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Status>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: tonic::Request<Streaming<Packet>>) -> Self::Future {
            let (sender, packets) = mpsc::channel(64);
            let asked = request.into_inner();
            tokio::spawn(send(self.0.clone(), Arc::clone(&self.1), asked, sender));
            std::future::ready(Ok(tonic::Response::new(ReceiverStream::new(packets))))
        }
    }

    async fn send(
        files: Files,
        sent: Arc<AtomicUsize>,
        mut asked: Streaming<Packet>,
        sender: mpsc::Sender<Result<Packet, Status>>,
    ) {
        for (path, mode, _) in &files {
            let stat = Stat {
                path: (*path).into(),
                mode: *mode,
                ..Stat::default()
            };
            let packet = Packet {
                stat: Some(stat),
                ..Packet::default()
            };
            sender.send(Ok(packet)).await.ok();
        }
        sender.send(Ok(Packet::default())).await.ok();
        while let Ok(Some(packet)) = asked.message().await {
            let answers = match packet.r#type() {
                PacketType::PacketReq => {
                    sent.fetch_add(1, Ordering::Relaxed);
                    contents(&files, packet.id)
                }
                _ => vec![of(PacketType::PacketFin, 0, Vec::new())],
            };
            for answer in answers {
                sender.send(Ok(answer)).await.ok();
            }
        }
    }

    fn contents(files: &Files, id: u32) -> Vec<Packet> {
        let text = files[usize::try_from(id).unwrap()].2.as_bytes().to_vec();
        [text, Vec::new()]
            .map(|data| of(PacketType::PacketData, id, data))
            .into()
    }

    fn of(kind: PacketType, id: u32, data: Vec<u8>) -> Packet {
        Packet {
            r#type: kind.into(),
            id,
            data,
            ..Packet::default()
        }
    }

    /// The engine, and a client on two connections to it.
    struct Stage {
        reads: Arc<Reads>,
        calls: hyper::client::conn::http2::SendRequest<Body>,
        client: Client,
        scratch: tempfile::TempDir,
        connections: tokio::task::JoinSet<()>,
    }

    const FOLDER: u32 = 1 << 31 | 0o755;

    impl Stage {
        async fn new(context: Files) -> Self {
            Self::with_key(context, "").await
        }

        async fn with_key(context: Files, key: &str) -> Self {
            let scratch = tempfile::tempdir().unwrap();
            let reads = Arc::new(Reads::default());
            let service = Service::open(
                Arc::clone(&reads) as Arc<dyn Builder>,
                Facts::default(),
                scratch.path().join("b"),
            )
            .unwrap();
            let dockerfile = vec![
                ("Dockerfile", 0o644, "FROM scratch\n"),
                ("Dockerfile.dockerignore", 0o644, "/ignored\n"),
            ];
            let client = Client {
                folders: HashMap::from([("dockerfile", dockerfile), ("context", context)]),
                asked: Arc::default(),
                sent: Arc::default(),
            };
            let mut connections = tokio::task::JoinSet::new();
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let offer = Offer {
                id: "session".into(),
                key: key.into(),
                methods: [
                    "/moby.filesync.v1.FileSync/DiffCopy",
                    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
                ]
                .map(str::to_owned)
                .into(),
            };
            service.admit(&offer).unwrap();
            let holder = service.clone();
            connections.spawn(async move { holder.session(offer, ours).await });
            connections.spawn(answer(theirs, client.clone()));
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            connections.spawn(async move { service.calls(ours).await });
            let (calls, driver) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(theirs))
                    .await
                    .unwrap();
            connections.spawn(async move { driver.await.unwrap_or_default() });
            Self {
                reads,
                calls,
                client,
                scratch,
                connections,
            }
        }

        async fn call<M, R>(&self, path: &'static str, message: M) -> Result<R, Status>
        where
            M: Message + 'static,
            R: Message + Default + 'static,
        {
            let mut request = tonic::Request::new(message);
            request
                .metadata_mut()
                .insert("buildkit-controlapi-buildid", "build".parse().unwrap());
            let mut grpc = tonic::client::Grpc::with_origin(
                Calls(self.calls.clone()),
                "http://engine".parse().unwrap(),
            );
            grpc.ready().await.unwrap();
            let codec = ProstCodec::<M, R>::default();
            let answer = grpc
                .unary(
                    request,
                    hyper::http::uri::PathAndQuery::from_static(path),
                    codec,
                )
                .await;
            answer.map(tonic::Response::into_inner)
        }

        async fn build(
            &self,
            attributes: &[(&str, &str)],
        ) -> Result<control::SolveResponse, Status> {
            let opened = self.call("/moby.buildkit.v1.Control/Solve", solve());
            let steered = async {
                let asked = bridge::SolveRequest {
                    frontend: "dockerfile.v0".into(),
                    frontend_opt: attributes
                        .iter()
                        .map(|(k, v)| ((*k).into(), (*v).into()))
                        .collect(),
                    ..Default::default()
                };
                let answer: Result<bridge::SolveResponse, _> = self
                    .call("/moby.buildkit.v1.frontend.LLBBridge/Solve", asked)
                    .await;
                let returned = match answer {
                    Ok(answer) => bridge::ReturnRequest {
                        result: answer.result,
                        error: None,
                    },
                    Err(status) => bridge::ReturnRequest {
                        result: None,
                        error: Some(hakone_buildkit_model::wire::Status {
                            code: 2,
                            message: status.message().into(),
                            details: Vec::new(),
                        }),
                    },
                };
                let returned: Result<bridge::ReturnResponse, _> = self
                    .call("/moby.buildkit.v1.frontend.LLBBridge/Return", returned)
                    .await;
                returned.unwrap();
            };
            let (opened, ()) = tokio::join!(opened, steered);
            opened
        }

        fn seen(&self) -> Vec<String> {
            self.reads.seen.lock().unwrap().clone()
        }

        async fn until(&self, holds: impl Fn() -> bool) {
            let mut patience = 12_000;
            while !holds() {
                patience -= 1;
                assert!(patience > 0, "it never came true");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }

        fn scratch_is_empty(&self) -> bool {
            std::fs::read_dir(self.scratch.path().join("b"))
                .unwrap()
                .next()
                .is_none()
        }
    }

    fn solve() -> control::SolveRequest {
        control::SolveRequest {
            r#ref: "build".into(),
            session: "session".into(),
            exporters: vec![control::Exporter {
                r#type: "moby".into(),
                attrs: [("name".to_owned(), "app:1".to_owned())].into(),
            }],
            ..Default::default()
        }
    }

    async fn answer(io: DuplexStream, client: Client) {
        let service = service_fn(move |request| {
            let client = client.clone();
            async move { Ok::<_, std::convert::Infallible>(client.answer(request).await) }
        });
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        server
            .serve_connection(TokioIo::new(io), service)
            .await
            .ok();
    }

    struct Calls(hyper::client::conn::http2::SendRequest<Body>);

    impl tower_service::Service<Request<Body>> for Calls {
        type Response = Response<Incoming>;
        type Error = hyper::Error;
        type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

        fn poll_ready(
            &mut self,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), hyper::Error>> {
            self.0.poll_ready(context)
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            Box::pin(self.0.send_request(request))
        }
    }

    fn good() -> Files {
        vec![("kept", FOLDER, ""), ("kept/file", 0o600, "hello")]
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_build_reads_its_client_and_becomes_an_image() {
        let stage = Stage::new(good()).await;
        let done = stage.build(&[]).await.unwrap();
        assert!(done.exporter_response["containerimage.config.digest"].starts_with("sha256:11"));
        let seen = stage.seen();
        assert_eq!(
            seen[..3],
            ["FROM scratch\n", "kept/file=hello", "open sesame"]
        );
        assert!(seen[3].ends_with("app:1 is sha256:11"), "{seen:?}");
        let asked = stage.client.asked.lock().unwrap().clone();
        assert!(
            asked.contains(&("context".into(), vec!["ignored".into()])),
            "{asked:?}"
        );
        // Its folders are removed beside the runtime.
        stage.until(|| stage.scratch_is_empty()).await;
        let story = stories(&stage).await;
        for name in [
            "[internal] load build definition from Dockerfile",
            "[internal] load build context",
            "exporting to image",
        ] {
            assert!(story.iter().any(|one| one == name), "{story:?}");
        }
    }

    async fn stories(stage: &Stage) -> Vec<String> {
        let mut grpc = tonic::client::Grpc::with_origin(
            Calls(stage.calls.clone()),
            "http://engine".parse().unwrap(),
        );
        grpc.ready().await.unwrap();
        let path = hyper::http::uri::PathAndQuery::from_static("/moby.buildkit.v1.Control/Status");
        let request = tonic::Request::new(control::StatusRequest {
            r#ref: "build".into(),
        });
        let codec = ProstCodec::<control::StatusRequest, control::StatusResponse>::default();
        let messages = grpc
            .server_streaming(request, path, codec)
            .await
            .unwrap()
            .into_inner();
        names(messages).await
    }

    async fn names(
        messages: impl Stream<Item = Result<control::StatusResponse, Status>>,
    ) -> Vec<String> {
        let vertices = messages.flat_map(|message| stream::iter(message.unwrap().vertexes));
        vertices.map(|vertex| vertex.name).collect().await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_context_that_did_not_change_is_not_sent_again() {
        for (key, expected) in [("a key", 5), ("", 6)] {
            let stage = Stage::with_key(good(), key).await;
            stage.build(&[]).await.unwrap();
            stage.build(&[]).await.unwrap();
            // Twice the Dockerfile and its ignore file; the context's one file when it is not known.
            assert_eq!(stage.client.sent.load(Ordering::Relaxed), expected, "{key}");
            let read = stage
                .seen()
                .iter()
                .filter(|one| *one == "kept/file=hello")
                .count();
            assert_eq!(read, 2, "the build reads the same");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_client_that_lies_about_its_files_fails_and_leaves_nothing() {
        for (files, words) in [
            (vec![("../up", 0o644, "x")], "leaves the context"),
            (
                vec![("a", 0o644, "x"), ("a/b", 0o644, "x")],
                "not in the list",
            ),
            (vec![("b", 0o644, "x"), ("a", 0o644, "x")], "not in order"),
        ] {
            let stage = Stage::new(files).await;
            let error = stage.build(&[]).await.unwrap_err();
            assert!(error.message().contains(words), "{error}");
            stage.until(|| stage.scratch_is_empty()).await;
            assert!(!stage.scratch.path().join("up").exists());
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_client_that_vanishes_ends_its_build() {
        let mut stage = Stage::new(good()).await;
        let gone = stage.until(|| stage.seen().contains(&"asleep".to_owned()));
        tokio::select! {
            done = stage.build(&[("build-arg:SLEEP", "1")]) => panic!("{done:?}"),
            () = gone => {}
        }
        stage.connections.shutdown().await;
        stage
            .until(|| stage.seen().contains(&"dropped".to_owned()))
            .await;
        stage.until(|| stage.scratch_is_empty()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_not_done_is_refused_by_name() {
        let stage = Stage::new(good()).await;
        let error = stage
            .build(&[("device", "vendor.com/gpu=0")])
            .await
            .unwrap_err();
        assert_eq!(
            error.message(),
            "a CDI device is not supported by this engine"
        );
        let strange: Result<control::SolveResponse, _> = stage
            .call("/moby.buildkit.v1.Control/Nosuch", solve())
            .await;
        assert_eq!(strange.unwrap_err().code(), tonic::Code::Unimplemented);
        let lint = stage
            .build(&[("requestid", "frontend.lint")])
            .await
            .unwrap();
        assert!(
            lint.exporter_response.is_empty(),
            "a question makes no image"
        );
    }
}
