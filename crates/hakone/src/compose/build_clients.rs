//! Lends the builder to build clients: their orders become its requests, its events their story, their files its sources.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hakone_base::{Digest, Fault, ImageRef, Kind, Secret, Timestamp};
use hakone_build::{CacheEntry, Event, Progress, Sources, Wanted};
use hakone_buildkit::{
    Archive, BoxFuture, Builder, Built, Count, Dockerfile, Failure, Job, Materials, Prune, Reader,
    Remembered, Report, Warning,
};
use hakone_buildkit_model::{Fresh, Moment, Network, Order, Pull, Ulimit};
use hakone_engine_api::{Filters, wire::ResourcesUlimits};
use hakone_http::About;

use crate::resolve::Resolved;

/// What the builder calls the vertex that the transfer tells of.
const CONTEXT: &str = "[internal] load build context";

/// Opens the service; its folder is beside those of the containers.
pub(crate) fn open(
    resolved: &Resolved,
    about: &About,
    images: &hakone_image::Service,
    builds: &hakone_build::Service,
) -> Result<hakone_buildkit::Service, hakone_buildkit::Error> {
    let joined = Joined {
        builds: builds.clone(),
        images: images.clone(),
    };
    let facts = hakone_buildkit::Facts {
        id: about.id.clone(),
        host_name: about.host_name.clone(),
        gateway: String::new(),
        platforms: vec![format!("linux/{}", about.architecture)],
    };
    let folder = resolved.data_root.join("build-clients");
    hakone_buildkit::Service::open(Arc::new(joined), facts, folder)
}

/// The builder and the images as build clients see them.
pub(crate) struct Joined {
    pub(crate) builds: hakone_build::Service,
    pub(crate) images: hakone_image::Service,
}

impl Builder for Joined {
    fn build(&self, job: Job) -> BoxFuture<'_, Result<Built, Failure>> {
        Box::pin(async move {
            let story = Arc::new(Story::new(job.report.clone(), Arc::clone(&job.dockerfile)));
            let sources = Arc::new(Client(Arc::clone(&job.materials)));
            let mut request = request(job.order, &job.dockerfile);
            if !job.image {
                request.export = hakone_build::Export::Nothing;
            }
            let listener = Arc::clone(&story) as Arc<dyn Progress>;
            let built = self.builds.build(request, sources, listener).await;
            let built = built.map_err(|error| story.failure(&error))?;
            Ok(Built {
                image: built.image.as_str().to_owned(),
                config: built.config,
            })
        })
    }

    fn push<'a>(
        &'a self,
        name: &'a ImageRef,
        credentials: Option<Secret<String>>,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let document = credentials.and_then(|text| serde_json::from_str(text.expose()).ok());
            let request = hakone_image::PushRequest {
                name: name.clone(),
                credentials: document
                    .map(hakone_image::Credentials::from_json)
                    .unwrap_or_default(),
            };
            let pushed = self.images.push(request).finish().await;
            pushed.map(|_| ()).map_err(|error| plain(&error))
        })
    }

    fn name<'a>(
        &'a self,
        image: &'a str,
        names: &'a [ImageRef],
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            for name in names {
                let tagged = self.images.tag(image, &name.to_string()).await;
                tagged.map_err(|error| plain(&error))?;
            }
            Ok(())
        })
    }

    fn files<'a>(&'a self, built: &'a Built) -> BoxFuture<'a, Result<Reader, Failure>> {
        Box::pin(async move {
            let result = hakone_build::Built {
                image: digest(&built.image)?,
                names: Vec::new(),
                config: built.config.clone(),
            };
            let files = self.builds.root(&result).await;
            Ok(Box::new(files.map_err(|error| plain(&error))?) as Reader)
        })
    }

    /// One archive is both: a docker archive with an OCI layout in it.
    fn archive<'a>(
        &'a self,
        built: &'a Built,
        names: &'a [ImageRef],
        _: Archive,
    ) -> BoxFuture<'a, Result<Reader, Failure>> {
        Box::pin(async move {
            let image = digest(&built.image)?;
            let archive = self.images.save_as(&image, names);
            let archive = archive.map_err(|error| plain(&error))?;
            Ok(Box::new(archive) as Reader)
        })
    }

    fn remembered(&self) -> BoxFuture<'_, Result<Vec<Remembered>, Failure>> {
        Box::pin(async move {
            let entries = self.builds.disk_usage().await;
            Ok(entries.iter().map(remembered).collect())
        })
    }

    fn prune(&self, wish: Prune) -> BoxFuture<'_, Result<Vec<Remembered>, Failure>> {
        Box::pin(async move {
            let before = self.builds.disk_usage().await;
            let options = hakone_build::PruneOptions {
                all: wish.all,
                keep_bytes: wish.keep,
                filters: filters(&wish)?,
            };
            let gone = self
                .builds
                .prune(&options)
                .await
                .map_err(|error| plain(&error))?;
            let is_gone = |entry: &&CacheEntry| gone.ids.contains(&entry.id);
            Ok(before.iter().filter(is_gone).map(remembered).collect())
        })
    }
}

/// Writes a wish in the words of the Engine API; containerd's `type==regular` is `type=regular` there.
fn filters(wish: &Prune) -> Result<Filters, Failure> {
    let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for filter in &wish.filters {
        let (key, value) = match filter.split_once("==") {
            Some((key, value)) => (key, value),
            None => (filter.as_str(), "true"),
        };
        map.entry(key.trim().to_owned())
            .or_default()
            .push(value.trim().to_owned());
    }
    if wish.unused_for > 0 {
        let age = format!("{}s", wish.unused_for / 1_000_000_000);
        map.entry("until".to_owned()).or_default().push(age);
    }
    let text = serde_json::json!(map).to_string();
    Filters::parse_any(&text)
        .map_err(|error| Failure::new(Kind::InvalidParameter, error.to_string()))
}

fn remembered(entry: &CacheEntry) -> Remembered {
    let nanos = |at: Timestamp| u64::try_from(at.nanos()).unwrap_or(0);
    Remembered {
        id: entry.id.clone(),
        description: entry.description.clone(),
        size: entry.size,
        created: nanos(entry.created),
        used: nanos(entry.last_used),
        uses: 1,
        in_use: entry.in_use,
        shared: entry.shared,
        kind: entry.kind.to_owned(),
    }
}

fn digest(image: &str) -> Result<Digest, Failure> {
    let parsed: Result<Digest, _> = image.parse();
    parsed.map_err(|error| Failure::new(Kind::System, error.to_string()))
}

fn plain(fault: &impl Fault) -> Failure {
    Failure::new(fault.kind(), fault.to_string())
}

fn request(order: Order, dockerfile: &Dockerfile) -> hakone_build::Request {
    let own = order.arguments.into_iter();
    let arguments = own.filter(|(name, _)| !name.starts_with("BUILDKIT_"));
    hakone_build::Request {
        dockerfile: dockerfile.text.clone(),
        target: order.target,
        arguments: arguments.map(|(name, value)| (name, Some(value))).collect(),
        labels: order.labels,
        platform: order.platform,
        network: network(order.network),
        reuse: reuse(order.fresh),
        cache_from: order.cache_from,
        pull: match order.pull {
            Pull::Missing => hakone_build::Pull::Missing,
            Pull::Always => hakone_build::Pull::Always,
        },
        resources: hakone_build::Resources {
            cgroup_parent: order.cgroup_parent.unwrap_or_default(),
            shm_size: order
                .shm_size
                .and_then(|size| i64::try_from(size).ok())
                .unwrap_or(0),
            ulimits: order.ulimits.into_iter().map(ulimit).collect(),
            ..hakone_build::Resources::default()
        },
        extra_hosts: order
            .hosts
            .into_iter()
            .map(|(name, address)| format!("{name}:{address}"))
            .collect(),
        style: hakone_build::Style::Buildkit,
        cleanup: hakone_build::Cleanup::All,
        ..hakone_build::Request::default()
    }
}

fn network(network: Network) -> Option<String> {
    match network {
        Network::Default => None,
        Network::None => Some("none".into()),
        Network::Host => Some("host".into()),
    }
}

fn reuse(fresh: Fresh) -> hakone_build::Reuse {
    match fresh {
        Fresh::Nothing => hakone_build::Reuse::All,
        Fresh::All => hakone_build::Reuse::Nothing,
        Fresh::Stages(names) => hakone_build::Reuse::Except(names),
    }
}

fn ulimit(limit: Ulimit) -> ResourcesUlimits {
    ResourcesUlimits {
        name: Some(limit.name),
        soft: Some(limit.soft),
        hard: Some(limit.hard),
    }
}

/// The client as the builder's sources.
struct Client(Arc<Materials>);

type Asked<'a, T> = hakone_build::BoxFuture<'a, Result<T, hakone_build::Refusal>>;

fn boxed(error: hakone_buildkit::Error) -> hakone_build::Refusal {
    Box::new(error)
}

fn folder(folder: hakone_buildkit::Folder) -> hakone_build::Folder {
    hakone_build::Folder {
        path: folder.path().to_owned(),
        ignored: Vec::new(),
        keep: Arc::new(folder),
    }
}

impl Sources for Client {
    fn context<'a>(&'a self, wanted: &'a Wanted) -> Asked<'a, hakone_build::Folder> {
        Box::pin(async move {
            let given = self.0.context(&wanted.patterns).await;
            given.map(folder).map_err(boxed)
        })
    }

    fn named<'a>(&'a self, name: &'a str) -> Asked<'a, Option<hakone_build::Named>> {
        Box::pin(async move {
            Ok(match self.0.named(name).await.map_err(boxed)? {
                None => None,
                Some(hakone_buildkit::Named::Image(image)) => {
                    Some(hakone_build::Named::Image(image))
                }
                Some(hakone_buildkit::Named::Folder(given)) => {
                    Some(hakone_build::Named::Folder(folder(given)))
                }
            })
        })
    }

    fn secret<'a>(&'a self, id: &'a str) -> Asked<'a, Option<Secret<Vec<u8>>>> {
        Box::pin(async move { self.0.secret(id).await.map_err(boxed) })
    }

    fn agent<'a>(&'a self, id: &'a str) -> Asked<'a, Option<hakone_build::Agent>> {
        Box::pin(async move {
            let agent = self.0.agent(id).await.map_err(boxed)?;
            Ok(agent.map(|agent| hakone_build::Agent {
                path: agent.path.clone(),
                keep: Arc::new(agent),
            }))
        })
    }

    fn credentials<'a>(&'a self, host: &'a str) -> Asked<'a, Option<Secret<String>>> {
        Box::pin(async move { self.0.credentials(host).await.map_err(boxed) })
    }
}

/// The builder's events as the story of a client's build.
struct Story {
    report: Report,
    dockerfile: Arc<Dockerfile>,
    known: Mutex<Known>,
}

/// What the story must remember of its vertices.
#[derive(Default)]
struct Known {
    /// What they are called in it: the same work of two builds is one vertex to the builder, and two to clients.
    names: HashMap<Digest, String>,
    /// Which instruction they are: its stage and its text.
    steps: HashMap<Digest, (Option<usize>, String)>,
    failed: Option<(Option<usize>, String)>,
}

impl Story {
    fn new(report: Report, dockerfile: Arc<Dockerfile>) -> Self {
        Self {
            report,
            dockerfile,
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells why a build failed, and at which lines.
    fn failure(&self, error: &hakone_build::Error) -> Failure {
        let place = self.known().failed.clone();
        let lines = place.and_then(|(stage, text)| lines(&self.dockerfile, stage, &text));
        Failure {
            message: words(&error.to_string()),
            place: lines.map(|(first, last)| (Arc::clone(&self.dockerfile), first, last)),
            ..plain(error)
        }
    }

    fn digest(&self, vertex: &Digest) -> String {
        let name = self.known().names.get(vertex).cloned();
        name.unwrap_or_else(|| self.report.digest(vertex.as_str()))
    }

    fn enter(&self, vertex: &hakone_build::Vertex) -> String {
        let digest = match vertex.name.as_str() {
            CONTEXT => self.report.digest(CONTEXT),
            _ => self.report.digest(vertex.id.as_str()),
        };
        let mut known = self.known();
        known.names.insert(vertex.id.clone(), digest.clone());
        if let Some(step) = &vertex.step {
            let place = (step.stage, step.text.clone());
            known.steps.insert(vertex.id.clone(), place);
        }
        digest
    }

    /// Reports whether an event is about the transfer of the context, which tells of itself.
    fn is_context(&self, event: &Event) -> bool {
        let vertex = match event {
            Event::Vertex(vertex) if vertex.name == CONTEXT => {
                self.enter(vertex);
                return true;
            }
            Event::Started { vertex, .. }
            | Event::Completed { vertex, .. }
            | Event::Status { vertex, .. } => vertex,
            Event::Vertex(_)
            | Event::Log { .. }
            | Event::Warning { .. }
            | Event::Image { .. }
            | Event::Running { .. }
            | Event::Removed { .. } => return false,
        };
        self.digest(vertex) == self.report.digest(CONTEXT)
    }

    fn tell_one(&self, event: Event) {
        if self.is_context(&event) {
            return;
        }
        let report = &self.report;
        match event {
            Event::Vertex(vertex) => {
                let digest = self.enter(&vertex);
                let inputs = vertex
                    .inputs
                    .iter()
                    .map(|input| self.digest(input))
                    .collect();
                report.vertex(&digest, &vertex.name, inputs);
            }
            Event::Started { vertex, at } => report.started(&self.digest(&vertex), moment(at)),
            Event::Completed {
                vertex,
                at,
                cached,
                error,
            } => {
                if error.is_some() {
                    let mut known = self.known();
                    known.failed = known.steps.get(&vertex).cloned();
                }
                let error = error.map(|text| words(&text));
                report.completed(&self.digest(&vertex), moment(at), cached, error.as_deref());
            }
            other => self.tell_more(other),
        }
    }

    /// What a vertex says while it is worked on.
    fn tell_more(&self, event: Event) {
        let report = &self.report;
        match event {
            Event::Log {
                vertex,
                stream,
                bytes,
                at,
            } => {
                let stream = match stream {
                    hakone_build::Stream::Output => 1,
                    hakone_build::Stream::Error => 2,
                };
                report.log(&self.digest(&vertex), stream, &bytes, moment(at));
            }
            Event::Status {
                vertex,
                id,
                current,
                total,
                started,
                completed,
            } => {
                let count = Count {
                    id,
                    current,
                    total,
                    started: Some(moment(started)),
                    completed: completed.map(moment),
                };
                report.count(&self.digest(&vertex), count);
            }
            Event::Warning {
                vertex,
                message,
                detail,
                url,
                lines,
            } => {
                let place = lines.map(|(first, last)| (Arc::clone(&self.dockerfile), first, last));
                report.warn(
                    &self.digest(&vertex),
                    Warning {
                        message,
                        detail,
                        url,
                        place,
                    },
                );
            }
            // Told already, and the words of the classic builder.
            Event::Vertex(_)
            | Event::Started { .. }
            | Event::Completed { .. }
            | Event::Image { .. }
            | Event::Running { .. }
            | Event::Removed { .. } => {}
        }
    }
}

impl Progress for Story {
    fn tell(&self, event: Event) -> hakone_build::BoxFuture<'_, ()> {
        self.tell_one(event);
        Box::pin(std::future::ready(()))
    }
}

fn moment(at: Timestamp) -> Moment {
    Moment(u64::try_from(at.nanos()).unwrap_or(0))
}

/// Says what the builder says in the words of BuildKit, which its clients' users look for.
fn words(text: &str) -> String {
    let parts = || {
        let rest = text.strip_prefix("The command '")?;
        rest.rsplit_once("' returned a non-zero code: ")
    };
    match parts() {
        Some((command, code)) => {
            format!("process \"{command}\" did not complete successfully: exit code: {code}")
        }
        None => text.to_owned(),
    }
}

/// Finds the lines of an instruction by its stage and text.
fn lines(dockerfile: &Dockerfile, stage: Option<usize>, text: &str) -> Option<(usize, usize)> {
    let file = hakone_dockerfile::Dockerfile::parse(&dockerfile.text).ok()?;
    let stage = file.stages.get(stage?)?;
    let mut steps = std::iter::once(&stage.head).chain(&stage.steps);
    let span = steps.find(|step| step.text == text)?.span;
    Some((
        usize::try_from(span.first).ok()?,
        usize::try_from(span.last).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_told_as_buildkit_does() {
        assert_eq!(
            words("The command '/bin/sh -c it's' returned a non-zero code: 7"),
            "process \"/bin/sh -c it's\" did not complete successfully: exit code: 7"
        );
        assert_eq!(words("other"), "other");
    }

    #[test]
    fn the_lines_of_a_step_are_found_by_its_text() {
        let dockerfile = Dockerfile {
            name: "Dockerfile".into(),
            text: b"FROM a\nRUN x\nFROM b\n\nRUN x && \\\n  y\n".to_vec(),
        };
        assert_eq!(lines(&dockerfile, Some(0), "RUN x"), Some((2, 2)));
        assert_eq!(lines(&dockerfile, Some(1), "RUN y"), None);
    }

    #[test]
    fn filters_of_containerd_are_those_of_the_api() {
        let wish = Prune {
            filters: vec!["type==regular".into(), "shared".into()],
            unused_for: 60_000_000_000,
            ..Prune::default()
        };
        let filters = filters(&wish).unwrap();
        assert_eq!(filters.get("type").collect::<Vec<_>>(), ["regular"]);
        assert_eq!(filters.get("until").collect::<Vec<_>>(), ["60s"]);
        assert!(filters.has("shared"));
    }
}
