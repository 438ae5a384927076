//! Lends the builder to build clients: their orders become its requests, its events their story, their files its sources.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use hakone_base::{Digest, Fault, ImageRef, Kind, Secret, Timestamp};
use hakone_build::{CacheEntry, Progress, Sources, Wanted};
use hakone_buildkit::{
    Archive, BoxFuture, Builder, Built, Dockerfile, Failure, Job, Materials, Prune, Reader,
    Remembered,
};
use hakone_buildkit_model::{CacheSource, Fresh, Network, Order, Platforms, Pull, Ulimit};
use hakone_engine_api::{Filters, wire::ResourcesUlimits};
use hakone_http::About;
use hakone_image_model::Descriptor;

use super::{build_caches, build_story::Story};
use crate::resolve::Resolved;

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
            let several = matches!(job.order.platforms, Platforms::Several(_));
            let one_of_several = job.platform.clone().filter(|_| several);
            let story = Story::new(job.report.clone(), Arc::clone(&job.dockerfile));
            let story = Arc::new(story.of_platform(one_of_several));
            let sources = Arc::new(Client(Arc::clone(&job.materials)));
            let mut request = request(job.order, &job.dockerfile);
            request.platform = job.platform;
            if !job.image {
                request.export = hakone_build::Export::Nothing;
            }
            let listener = Arc::clone(&story) as Arc<dyn Progress>;
            let built = self.builds.build(request, sources, listener).await;
            let built = built.map_err(|error| story.failure(&error))?;
            Ok(Built {
                image: built.image.as_str().to_owned(),
                config: built.config,
                materials: story.materials(&self.images),
                trail: built.trail,
                trails: built.trails,
                hold: Some(Arc::new(built.hold)),
            })
        })
    }

    fn push<'a>(
        &'a self,
        name: &'a ImageRef,
        credentials: Option<Secret<String>>,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let request = hakone_image::PushRequest {
                name: name.clone(),
                credentials: build_caches::user(credentials),
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

    fn load(&self, archive: Reader) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let loaded = self.images.load(archive, None, true).finish().await;
            loaded.map(drop).map_err(|error| plain(&error))
        })
    }

    fn store<'a>(
        &'a self,
        name: &'a ImageRef,
        credentials: Option<Secret<String>>,
    ) -> BoxFuture<'a, Result<Arc<dyn hakone_buildkit::Store>, Failure>> {
        Box::pin(build_caches::open(&self.images, name, credentials))
    }

    fn remote<'a>(
        &'a self,
        address: &'a str,
        dockerfile: Option<&'a str>,
    ) -> BoxFuture<'a, Result<hakone_buildkit::Remote, Failure>> {
        Box::pin(async move {
            let fetched = remote(&self.builds, address, dockerfile).await;
            fetched.map_err(|error| plain(&error))
        })
    }

    fn layer(&self, layer: &Digest) -> Result<(Descriptor, PathBuf), Failure> {
        self.images.layer_blob(layer).map_err(|error| plain(&error))
    }

    fn put<'a>(
        &'a self,
        name: &'a ImageRef,
        credentials: Option<Secret<String>>,
        parcel: hakone_buildkit::Parcel,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(build_caches::put(&self.images, name, credentials, parcel))
    }

    fn send_as<'a>(
        &'a self,
        image: &'a str,
        delivery: Option<hakone_buildkit::Delivery>,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let outgoing = delivery.map(|delivery| hakone_image::Outgoing {
                files: delivery.files,
                documents: delivery.documents,
                manifests: delivery.manifests,
            });
            let kept = self.images.send_as(&digest(image)?, outgoing).await;
            kept.map_err(|error| plain(&error))
        })
    }

    fn files<'a>(&'a self, built: &'a Built) -> BoxFuture<'a, Result<Reader, Failure>> {
        Box::pin(async move {
            let files = self.builds.root(&built.image).await;
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

pub(super) fn plain(fault: &impl Fault) -> Failure {
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
        network: network(order.network),
        reuse: reuse(order.fresh),
        cache_from: images(&order.cache_from),
        inline_cache: order.inline_cache,
        trail: order.leaves_cache,
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

/// Fetches a context, with its Dockerfile or without.
async fn remote(
    builds: &hakone_build::Service,
    address: &str,
    dockerfile: Option<&str>,
) -> Result<hakone_buildkit::Remote, hakone_build::ContextError> {
    let (place, dockerfile) = match dockerfile {
        Some(name) => {
            let context = hakone_build::Context::fetch(builds, address, name).await?;
            (context.folder(), context.dockerfile().to_vec())
        }
        None => {
            let place = hakone_build::fetch_files(builds, address).await?;
            (Arc::new(place), Vec::new())
        }
    };
    Ok(hakone_buildkit::Remote {
        folder: hakone_buildkit::Folder::new(place.path().to_owned(), place),
        dockerfile,
    })
}

/// Images of this engine that have the name of a cache lend what they show, too.
fn images(caches: &[CacheSource]) -> Vec<String> {
    let names = caches.iter().filter_map(|cache| match cache {
        CacheSource::Image(name) => Some(name.to_string()),
        CacheSource::Client(..) => None,
    });
    names.collect()
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

    fn caches(&self) -> hakone_build::BoxFuture<'_, Vec<hakone_build::Lender>> {
        Box::pin(async move {
            let lent = self.0.caches().await;
            lent.into_iter().map(build_caches::lender).collect()
        })
    }

    fn credentials<'a>(&'a self, host: &'a str) -> Asked<'a, Option<Secret<String>>> {
        Box::pin(async move { self.0.credentials(host).await.map_err(boxed) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
