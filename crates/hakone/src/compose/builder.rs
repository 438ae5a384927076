//! Lends images, containers and downloads to the builder.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use hakone_base::{ContainerId, Digest, Fault, ImageRef, Kind, Secret};
use hakone_build::{
    BoxFuture, Claim, Cloned, Containers, Downloads, Fetch, Fetched, GitSource, Ground, Images,
    Made, Refusal, Running, Top,
};
use hakone_container::{AttachOptions, CreateRequest, ListOptions, RemoveOptions, WaitCondition};
use hakone_engine_api::{Filters, wire};
use hakone_image::{Credentials, PullRequest, Step};
use hakone_registry::{Client, Url};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::refused::Refused;

/// How long a whole download may take.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The image service as the builder sees it.
pub(crate) struct Store(pub(crate) hakone_image::Service);

impl Images for Store {
    fn find(&self, reference: &str) -> Result<Ground, Refusal> {
        self.0.ground(reference).map(ground).map_err(boxed)
    }

    fn find_above(&self, image: &Digest, below: &Ground) -> Result<Ground, Refusal> {
        let found = self.0.ground_above(image, &below.id);
        found.map(ground).map_err(boxed)
    }

    fn layers(&self, image: &Digest) -> Result<Vec<PathBuf>, Refusal> {
        self.0.layers(image).map_err(boxed)
    }

    fn pull(&self, pull: Fetch) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move {
            let mut progress = self.0.pull(request(&pull)?);
            while let Some(line) = progress.next().await {
                pass_on(&line.map_err(boxed)?, &pull);
            }
            Ok(())
        })
    }

    fn enter(&self, made: Made, claim: Claim) -> BoxFuture<'_, Result<Ground, Refusal>> {
        Box::pin(async move {
            let (top, keep) = match made.top {
                Top::Nothing => (hakone_image::Top::Nothing, None),
                Top::Known(digest) => (hakone_image::Top::Known(digest), None),
                Top::Folder { path, keep } => (hakone_image::Top::Folder { path }, keep),
                Top::Lent {
                    diff_id,
                    blob,
                    source,
                } => {
                    let source = hakone_tar::inward(source);
                    let lent = hakone_image::Top::Lent {
                        diff_id,
                        blob,
                        source,
                    };
                    (lent, None)
                }
            };
            let step = Step {
                parent: made.parent,
                top,
                image: made.image,
                visible: false,
                names: Vec::new(),
            };
            let entered = self.0.enter_step(step, move |id| {
                // By now the folder was moved, and its surroundings may go.
                drop(keep);
                claim(id);
            });
            entered.await.map(ground).map_err(boxed)
        })
    }

    fn publish<'a>(
        &'a self,
        image: &'a Digest,
        names: Vec<ImageRef>,
    ) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move { self.0.publish(image, names).await.map_err(boxed) })
    }

    fn is_visible(&self, image: &Digest) -> bool {
        self.0.is_visible(image)
    }

    fn collect(&self) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move { self.0.collect().await.map_err(boxed) })
    }
}

fn pass_on(line: &Value, pull: &Fetch) {
    let detail = line.get("progressDetail");
    let number = |key: &str| detail?.get(key)?.as_u64();
    if let Some(id) = line.get("id").and_then(Value::as_str) {
        let (current, total) = (number("current"), number("total"));
        (pull.tell)(id, current.unwrap_or(0), total.unwrap_or(0));
    }
}

fn request(pull: &Fetch) -> Result<PullRequest, Refusal> {
    let name: ImageRef = pull
        .reference
        .parse()
        .map_err(|error: hakone_base::ImageRefError| boxed(Refused(error.to_string())))?;
    let platform = pull
        .platform
        .as_deref()
        .map(str::parse::<hakone_image::Platform>);
    let credentials = pull.credentials.as_ref().and_then(|text| {
        let value = serde_json::from_str(text.expose()).ok()?;
        Some(Credentials::from_json(value))
    });
    Ok(PullRequest {
        name: name.with_default_tag(),
        platform: platform
            .transpose()
            .map_err(|error| boxed(Refused(error.to_string())))?,
        credentials: credentials.unwrap_or_default(),
    })
}

fn ground(ground: hakone_image::Ground) -> Ground {
    Ground {
        id: ground.id,
        image: ground.image,
    }
}

/// The container service as the builder sees it.
pub(crate) struct Joined(pub(crate) hakone_container::Service);

impl Containers for Joined {
    fn create(
        &self,
        body: wire::ContainerCreateBody,
    ) -> BoxFuture<'_, Result<ContainerId, Refusal>> {
        Box::pin(async move {
            let request = CreateRequest {
                body,
                engine: true,
                ..CreateRequest::default()
            };
            let created = self.0.create(request).await.map_err(boxed)?;
            Ok(created.id)
        })
    }

    fn start<'a>(
        &'a self,
        container: &'a ContainerId,
        secrets: Vec<Secret<String>>,
    ) -> BoxFuture<'a, Result<Running, Refusal>> {
        Box::pin(async move {
            let id = container.as_str();
            let options = AttachOptions {
                stream: true,
                stdout: true,
                stderr: true,
                ..AttachOptions::default()
            };
            let streams = self.0.attach(id, options).await.map_err(boxed)?;
            let ended = self.0.wait(id, WaitCondition::NextExit).map_err(boxed)?;
            self.0.start_with(id, secrets).await.map_err(boxed)?;
            Ok(Running {
                output: streams.output,
                exit: Box::pin(async move { ended.await.code }),
            })
        })
    }

    fn take<'a>(
        &'a self,
        container: &'a ContainerId,
        place: PathBuf,
    ) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let inside = self.0.enter(container.as_str()).await.map_err(boxed)?;
            let upper = inside.folder.join("upper");
            let moved = match inside.place {
                hakone_container::Place::Resting => tokio::fs::rename(&upper, &place).await,
                hakone_container::Place::Running { .. } => {
                    Err(std::io::Error::other("the container still runs"))
                }
            };
            self.0.leave(inside).await;
            let failed = |error| {
                boxed(Failed(format!(
                    "could not take the files of a step: {error}"
                )))
            };
            moved.map_err(failed)
        })
    }

    fn remove<'a>(&'a self, container: &'a ContainerId) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let options = RemoveOptions {
                volumes: true,
                force: true,
                link: false,
            };
            match self.0.remove(container.as_str(), options).await {
                Err(error) if error.kind() != Kind::NotFound => Err(boxed(error)),
                _ => Ok(()),
            }
        })
    }

    fn labelled<'a>(
        &'a self,
        label: &'a str,
        value: &'a str,
    ) -> BoxFuture<'a, Result<Vec<ContainerId>, Refusal>> {
        Box::pin(async move {
            let filters = serde_json::json!({ "label": [format!("{label}={value}")] });
            let filters = Filters::parse(&filters.to_string(), &["label"]);
            let options = ListOptions {
                all: true,
                filters: filters.map_err(|error| boxed(Refused(error.to_string())))?,
                ..ListOptions::default()
            };
            let found = self.0.list(options).await.map_err(boxed)?;
            let ids = found.iter();
            Ok(ids.filter_map(|one| one.id.parse().ok()).collect())
        })
    }
}

/// The client of registries as the builder sees it: it fetches files by the same rules.
pub(crate) struct Files(pub(crate) Client);

impl Downloads for Files {
    fn fetch<'a>(
        &'a self,
        url: &'a str,
        place: PathBuf,
        limit: u64,
    ) -> BoxFuture<'a, Result<Fetched, Refusal>> {
        Box::pin(async move {
            let fetching = fetch(&self.0, url, place, limit);
            match tokio::time::timeout(PATIENCE, fetching).await {
                Ok(fetched) => fetched,
                Err(_late) => Err(boxed(Failed(format!("{url}: takes too long")))),
            }
        })
    }

    fn repository<'a>(
        &'a self,
        source: &'a GitSource,
        place: PathBuf,
    ) -> BoxFuture<'a, Result<Cloned, Refusal>> {
        Box::pin(cloned(&self.0, source, place))
    }
}

/// Repositories that one context may be made of, and how deep they may lie in each other.
const REPOSITORIES: usize = 256;
const DEPTH: usize = 8;

/// A repository, and where its files belong.
struct Wanted {
    source: GitSource,
    inside: Option<String>,
    depth: usize,
}

/// Fetches a repository and the submodules in what is wanted of it.
async fn cloned(client: &Client, source: &GitSource, place: PathBuf) -> Result<Cloned, Refusal> {
    let top = Wanted {
        source: source.clone(),
        inside: None,
        depth: 0,
    };
    let (mut waiting, mut fetched) = (vec![top], Vec::new());
    let mut budget = hakone_git::Budget::default();
    while let Some(wanted) = waiting.pop() {
        let number = fetched.len();
        let at = match number {
            0 => place.clone(),
            _ => place
                .join(hakone_git::SUBMODULE_FOLDERS)
                .join(number.to_string()),
        };
        let begun = Instant::now();
        let one = clone_one(client, &wanted, at, budget).await?;
        budget = budget.after(one.bytes, begun.elapsed()).map_err(boxed)?;
        waiting.extend(below(&wanted, &one)?);
        fetched.push(one);
        if fetched.len() + waiting.len() > REPOSITORIES {
            let text = "the repository has too many submodules".to_owned();
            return Err(boxed(Refused(text)));
        }
    }
    let commit = fetched.first().map(|one| one.commit.clone());
    let archives: Vec<PathBuf> = fetched.into_iter().map(|one| one.archive).collect();
    let archive = archives.first().cloned();
    let joining = tokio::task::spawn_blocking(move || hakone_git::join(&archives));
    joining.await.map_err(|_panic| given_up())?.map_err(boxed)?;
    let (commit, archive) = commit.zip(archive).ok_or_else(given_up)?;
    Ok(Cloned { commit, archive })
}

/// git connects to the addresses that we judge, and to no others.
async fn clone_one(
    client: &Client,
    wanted: &Wanted,
    place: PathBuf,
    budget: hakone_git::Budget,
) -> Result<hakone_git::Fetched, Refusal> {
    let source = &wanted.source;
    let url = source.url.parse::<Url>();
    let url = url.map_err(|error| boxed(Refused(error.to_string())))?;
    let order = hakone_git::Order {
        url: source.url.clone(),
        host: (url.host().to_owned(), url.port()),
        addresses: client.judged(&url).await.map_err(boxed)?,
        reference: source.reference.clone(),
        folder: source.folder.clone(),
        inside: wanted.inside.clone(),
        budget,
    };
    let fetching = tokio::task::spawn_blocking(move || hakone_git::fetch(&order, &place));
    let fetched = fetching.await.map_err(|_panic| given_up())?;
    fetched.map_err(boxed)
}

/// Judges the submodules of a repository that are in the folder that is wanted of it.
fn below(wanted: &Wanted, fetched: &hakone_git::Fetched) -> Result<Vec<Wanted>, Refusal> {
    let refused = |text: String| boxed(Refused(text));
    let mut all = Vec::new();
    for module in &fetched.submodules {
        let source = wanted
            .source
            .submodule(&module.path, &module.url, &module.commit);
        let source = source.map_err(|error| refused(error.to_string()))?;
        let path = match &wanted.source.folder {
            None => Some(module.path.as_str()),
            Some(folder) => module
                .path
                .strip_prefix(folder)
                .and_then(|path| path.strip_prefix('/')),
        };
        let Some(path) = path else {
            continue;
        };
        if wanted.depth >= DEPTH {
            return Err(refused(
                "git submodules lie too deep in each other".to_owned(),
            ));
        }
        all.push(Wanted {
            source,
            inside: Some(match &wanted.inside {
                Some(above) => format!("{above}/{path}"),
                None => path.to_owned(),
            }),
            depth: wanted.depth + 1,
        });
    }
    Ok(all)
}

fn given_up() -> Refusal {
    boxed(Failed("git was given up".to_owned()))
}

async fn fetch(client: &Client, url: &str, place: PathBuf, limit: u64) -> Result<Fetched, Refusal> {
    let failed = |error: std::io::Error| boxed(Failed(format!("could not keep {url}: {error}")));
    let parsed = url.parse::<Url>();
    let parsed = parsed.map_err(|error| boxed(Refused(error.to_string())))?;
    let mut download = client.download(&parsed).await.map_err(boxed)?;
    let mut file = tokio::fs::File::create_new(&place).await.map_err(failed)?;
    let (mut hasher, mut size) = (Sha256::new(), 0_u64);
    while let Some(bytes) = download.chunk().await.map_err(boxed)? {
        size += bytes.len() as u64;
        if size > limit {
            return Err(boxed(Failed(format!(
                "{url}: is larger than {limit} bytes"
            ))));
        }
        hasher.update(&bytes);
        file.write_all(&bytes).await.map_err(failed)?;
    }
    if download.length().is_some_and(|length| length != size) {
        return Err(boxed(Failed(format!(
            "{url}: broke off after {size} bytes"
        ))));
    }
    file.flush().await.map_err(failed)?;
    let since = download
        .changed()
        .and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    Ok(Fetched {
        digest: Digest::from_bytes(hasher.finalize().into()),
        changed: since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0)),
    })
}

/// A failure at the joint itself.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failed(String);

impl Fault for Failed {
    fn kind(&self) -> Kind {
        Kind::System
    }
}

fn boxed<F: Fault + Send + Sync + 'static>(fault: F) -> Refusal {
    Box::new(fault)
}

/// Gives the builder its neighbours.
pub(crate) fn neighbours(
    images: &hakone_image::Service,
    containers: &hakone_container::Service,
    client: Client,
) -> hakone_build::Neighbours {
    hakone_build::Neighbours {
        images: Arc::new(Store(images.clone())),
        containers: Arc::new(Joined(containers.clone())),
        downloads: Arc::new(Files(client)),
    }
}
