//! The image service: what the API calls, one method for each verb.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
};

use hakone_base::{Digest, ImageRef, Timestamp};
use hakone_engine_api::{Filters, wire};
use hakone_events::Bus;
use hakone_image_model::{ImageConfig, Limits, Platform};
use hakone_registry::Client;
use tokio::io::AsyncRead;

use crate::{
    ChunkReader, Credentials, Error, ImportOptions, ListOptions, Progress, Usage, Users,
    commit::{self, CommitOptions},
    hello, identity, import,
    inner::{Inner, UsersHandle, now},
    inspect, list, load,
    progress::{self, Reporter},
    registry::{self, Flights, LoginResult, PullRequest, PushRequest, TagFile},
    remove::{self, Plan},
    save,
    store::Store,
};

/// Where the images lie and how much they may ask for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data root; blobs, layers and records are folders in it.
    pub root: PathBuf,
    /// The bounds on hostile archives.
    pub limits: Limits,
    /// Who speaks to registries.
    pub registry: hakone_registry::Client,
    /// Whether what is doubtful is refused: a tag that a registry rolls back.
    pub hardened: bool,
    /// Who else keeps blobs in the same folder.
    pub keeper: Option<crate::Kept>,
}

impl Options {
    /// Keeps images in a folder, with the usual limits, and speaks to registries as Docker does when nothing is set.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            limits: Limits::default(),
            registry: hakone_registry::Client::new(hakone_registry::Options::default()),
            hardened: false,
            keeper: None,
        }
    }
}

/// The images of this host; clones share them.
///
/// What only reads answers from memory. What changes something runs on a thread for blocking work and is finished even when
/// the caller's future is dropped: every async method is cancellation safe.
#[derive(Clone, Debug)]
pub struct Service(Arc<Inner>);

/// An image, ready to be a root file system.
#[derive(Clone, Debug)]
pub struct ResolvedImage {
    /// The digest of its config.
    pub id: Digest,
    /// Its name as the user meant it, or its id.
    pub reference: String,
    /// How to run it.
    pub config: ImageConfig,
    /// The folders of its layers, lowest first: unpacked, shared, never to be written.
    pub layers: Vec<PathBuf>,
    /// Bytes of all layers.
    pub size: u64,
    /// When it was made.
    pub created: Timestamp,
}

impl Service {
    /// Opens the store: reads the records and removes what a killed daemon left behind.
    ///
    /// # Errors
    /// When the data root cannot be used; a single unreadable image is left out with a warning.
    pub async fn open(options: Options, events: Bus) -> Result<Self, Error> {
        blocking(move || {
            let store = Store::open(&options.root, options.keeper)?;
            let catalog = store.load(&options.limits)?;
            store.sweep(&catalog);
            Ok(Self(Arc::new(Inner {
                tags: TagFile::open(&options.root),
                flights: Flights::default(),
                registry: options.registry,
                hardened: options.hardened,
                store,
                limits: options.limits,
                host: Platform::of(std::env::consts::ARCH),
                catalog: Mutex::new(catalog),
                changing: Mutex::new(()),
                users: OnceLock::new(),
                events,
            })))
        })
        .await
    }

    /// Tells who knows the containers; before that, no image counts as used and no hidden one is forgotten.
    pub fn join_users(&self, users: Arc<dyn Users>) {
        self.0.users.set(UsersHandle(users)).ok();
    }

    /// Removes the blobs and layers that neither an image nor the keeper needs. Blocks.
    pub fn sweep(&self) {
        let _changing = self.0.change();
        let catalog = self.0.catalog().clone();
        self.0.store.sweep(&catalog);
    }

    /// Makes sure that the embedded image is there as `hakone/hello:latest`.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn ensure_hello(&self) -> Result<Digest, Error> {
        self.work(hello::ensure).await
    }

    /// Finds an image to run, by name, id, or the beginning of an id.
    ///
    /// A full id also finds an image that was removed by force while containers stood on it, so that those can start again.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn resolve(&self, text: &str) -> Result<ResolvedImage, Error> {
        let catalog = self.0.catalog();
        let hidden = || catalog.images.get(&text.parse::<Digest>().ok()?);
        let (entry, name) = match (catalog.find(text), hidden()) {
            (Ok(found), _) => (found.entry, found.name),
            (Err(_), Some(entry)) => (entry, None),
            (Err(error), None) => return Err(error),
        };
        let reference = name.map_or_else(|| entry.record.id.to_string(), |name| name.to_string());
        Ok(self.0.resolved(entry, reference))
    }

    /// Reports whether `image` is the image named `ancestor` or has all its layers at its bottom.
    #[must_use]
    pub fn descends(&self, image: &Digest, ancestor: &str) -> bool {
        let catalog = self.0.catalog();
        let (Ok(ancestor), Some(image)) = (catalog.find(ancestor), catalog.images.get(image))
        else {
            return false;
        };
        let below = &ancestor.entry.image.rootfs.diff_ids;
        ancestor.entry.record.id == image.record.id
            || (!below.is_empty() && image.image.rootfs.diff_ids.starts_with(below))
    }

    /// Lists images, newest first.
    ///
    /// # Errors
    /// When a filter's value is wrong or names no image.
    pub fn list(&self, options: &ListOptions) -> Result<Vec<wire::ImageSummary>, Error> {
        let usages = self.0.usages();
        let mut all = list::list(&self.0.catalog(), &usages, options, now())?;
        if options.descriptors || options.manifests {
            for image in &mut all {
                self.identify(image, &usages, options);
            }
        }
        Ok(all)
    }

    /// Adds what the disk knows of an image; one that has gone meanwhile stays as it is.
    fn identify(&self, image: &mut wire::ImageSummary, usages: &[Usage], options: &ListOptions) {
        let id = image.id.parse().ok();
        let Some(entry) = id.and_then(|id| self.0.catalog().images.get::<Digest>(&id).cloned())
        else {
            return;
        };
        let identity = self.0.identity(&entry, usages);
        if options.descriptors {
            image.descriptor = identity.target().as_ref().map(identity::shown);
        }
        image.manifests = options.manifests.then(|| identity.manifests());
    }

    /// Describes an image, and the manifests below its name when they are asked for.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn inspect(&self, text: &str, manifests: bool) -> Result<wire::ImageInspect, Error> {
        let (mut shown, entry) = {
            let catalog = self.0.catalog();
            let entry = catalog.find(text)?.entry;
            (
                inspect::inspect(&catalog, &self.0.store, entry),
                entry.clone(),
            )
        };
        let usages = if manifests {
            self.0.usages()
        } else {
            Vec::new()
        };
        let identity = self.0.identity(&entry, &usages);
        shown.descriptor = identity.target().as_ref().map(identity::shown);
        shown.manifests = manifests.then(|| identity.manifests());
        Ok(shown)
    }

    /// Describes the manifest of an image, as it runs here. Blocks for a small file.
    #[must_use]
    pub fn manifest(&self, image: &Digest) -> Option<wire::OciDescriptor> {
        let entry = self.0.catalog().images.get(image).cloned()?;
        let found = self.0.identity(&entry, &[]).manifest();
        found.as_ref().map(identity::shown)
    }

    /// Tells how an image came about.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn history(&self, text: &str) -> Result<Vec<wire::ImageHistoryResponseItem>, Error> {
        let catalog = self.0.catalog();
        let found = catalog.find(text)?;
        Ok(inspect::history(&catalog, found.entry))
    }

    /// Counts the images that people see.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.catalog().visible().count()
    }

    /// Sums the bytes of all layers, each counted once.
    #[must_use]
    pub fn layers_size(&self) -> u64 {
        let catalog = self.0.catalog();
        let layers = catalog.layers();
        layers
            .iter()
            .filter_map(|layer| catalog.layer_size(layer))
            .sum()
    }

    /// Gives an image one more name, taking it from the image that had it.
    ///
    /// # Errors
    /// When there is no such image, or the name has a digest.
    pub async fn tag(&self, source: &str, target: &str) -> Result<(), Error> {
        let target: ImageRef = target.parse()?;
        if target.digest().is_some() {
            return Err(Error::DigestAsTag);
        }
        let (source, target) = (source.to_owned(), target.with_default_tag());
        self.work(move |inner| {
            let _changing = inner.change();
            let id = inner.catalog().find(&source)?.entry.record.id.clone();
            inner.rename(std::slice::from_ref(&target), &id)?;
            inner.announce("tag", &id, &target.to_string());
            Ok(())
        })
        .await
    }

    /// Makes an image of another one and a layer; gives its id, and its name as events tell it.
    ///
    /// # Errors
    /// When the name or a change is refused, or the layer is broken.
    pub async fn commit(
        &self,
        layer: Option<hakone_tar::ChunkReader>,
        options: CommitOptions,
    ) -> Result<(Digest, String), Error> {
        let reader = layer.map(hakone_tar::inward);
        self.work(move |inner| {
            let (id, name) = commit::commit(inner, reader, &options)?;
            Ok((id, name.map(|name| name.to_string()).unwrap_or_default()))
        })
        .await
    }

    /// Removes a name of an image, and the image with its last name.
    ///
    /// Images have no parents here, so `noprune` has nothing to spare.
    ///
    /// # Errors
    /// When there is no such image, or containers stand on it.
    pub async fn remove(
        &self,
        text: &str,
        force: bool,
        _noprune: bool,
    ) -> Result<Vec<wire::ImageDeleteResponseItem>, Error> {
        let text = text.to_owned();
        self.work(move |inner| {
            let _changing = inner.change();
            let plan = remove::plan(&inner.catalog(), &inner.usages(), &text, force)?;
            inner.remove(&plan)
        })
        .await
    }

    /// Removes the images that nobody needs; filters `dangling`, `until`, `label`, `label!`.
    ///
    /// # Errors
    /// When a filter's value is wrong.
    pub async fn prune(&self, filters: &Filters) -> Result<wire::ImagePruneResponse, Error> {
        let filters = filters.clone();
        self.work(move |inner| inner.prune(&filters)).await
    }

    /// Forgets images that were removed by force and whose last container is gone; cheap when there are none.
    ///
    /// Called when a container was removed or a build ended; each removal of an image does it too.
    ///
    /// # Errors
    /// When a record cannot be removed.
    pub async fn collect(&self) -> Result<(), Error> {
        let hidden = self.0.catalog().hidden();
        if self.0.unneeded(hidden).is_empty() {
            return Ok(());
        }
        self.work(|inner| {
            let _changing = inner.change();
            inner.remove(&Plan::default()).map(drop)
        })
        .await
    }

    /// Loads an archive made by `save`, by Docker, or in OCI layout; bare, gzip or zstd. Of several platforms this machine's is
    /// taken, or the one that is asked for.
    pub fn load(
        &self,
        archive: impl AsyncRead + Send + Unpin + 'static,
        platform: Option<Platform>,
        quiet: bool,
    ) -> Progress {
        let (reporter, progress) = progress::channel();
        let (reader, inner) = (hakone_tar::inward(archive), Arc::clone(&self.0));
        tokio::task::spawn_blocking(move || {
            if let Err(error) = load::load(&inner, reader, (platform.as_ref(), quiet), &reporter) {
                reporter.fail(error);
            }
        });
        progress
    }

    /// Makes an image of one layer from the tar of a root file system; bare, gzip or zstd.
    pub fn import(
        &self,
        root: impl AsyncRead + Send + Unpin + 'static,
        options: ImportOptions,
    ) -> Progress {
        let (reporter, progress) = progress::channel();
        let (reader, inner) = (hakone_tar::inward(root), Arc::clone(&self.0));
        tokio::task::spawn_blocking(move || {
            if let Err(error) = import::import(&inner, reader, options, &reporter) {
                reporter.fail(error);
            }
        });
        progress
    }

    /// Gives who fetches files to import, by the rules of a file that a Dockerfile names.
    #[must_use]
    pub fn registries(&self) -> &Client {
        &self.0.registry
    }

    /// Pulls an image; ends when nobody reads its progress any more, as a client that goes away means it.
    pub fn pull(&self, request: PullRequest) -> Progress {
        let inner = Arc::clone(&self.0);
        spoken(move |reporter| async move { registry::pull(&inner, &request, &reporter).await })
    }

    /// Pushes an image; ends when nobody reads its progress any more.
    pub fn push(&self, request: PushRequest) -> Progress {
        let inner = Arc::clone(&self.0);
        spoken(move |reporter| async move { registry::push(&inner, &request, &reporter).await })
    }

    /// Checks a user's credentials at a registry.
    ///
    /// # Errors
    /// When they are refused, or no registry answers.
    pub async fn login(
        &self,
        server: &str,
        credentials: Credentials,
    ) -> Result<LoginResult, Error> {
        registry::login(&self.0, server, credentials).await
    }

    /// Describes what a name means at its registry.
    ///
    /// # Errors
    /// When the registry has no such image.
    pub async fn distribution(
        &self,
        name: &ImageRef,
        credentials: Credentials,
    ) -> Result<serde_json::Value, Error> {
        registry::distribution(&self.0, name, credentials).await
    }

    /// Searches a registry.
    ///
    /// # Errors
    /// When it has no search.
    pub async fn search(
        &self,
        term: &str,
        limit: Option<u32>,
    ) -> Result<Vec<serde_json::Value>, Error> {
        registry::search(&self.0, term, limit).await
    }

    /// Writes images as one archive, an OCI layout that is a docker-archive too; the same images give the same bytes.
    ///
    /// # Errors
    /// When a name is unknown. A failure later breaks the stream off with an error.
    pub fn save(&self, names: &[String]) -> Result<ChunkReader, Error> {
        let chosen = save::choose(&self.0.catalog(), names)?;
        Ok(self.stream(chosen))
    }

    /// Refuses images of another platform than the one that was asked for.
    ///
    /// # Errors
    /// When a name is unknown or an image is of another platform.
    pub fn require(&self, names: &[String], platform: &Platform) -> Result<(), Error> {
        save::require(&save::choose(&self.0.catalog(), names)?, platform)
    }

    /// As [`Self::save`], but one image under names that it need not have here.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn save_as(&self, image: &Digest, names: &[ImageRef]) -> Result<ChunkReader, Error> {
        let mut chosen = save::choose(&self.0.catalog(), &[image.as_str().to_owned()])?;
        for one in &mut chosen {
            one.names = names.iter().cloned().collect();
        }
        Ok(self.stream(chosen))
    }

    fn stream(&self, chosen: Vec<save::Chosen>) -> ChunkReader {
        for image in &chosen {
            self.0
                .announce("save", &image.record.id, image.record.id.as_str());
        }
        let (writer, reader) = hakone_tar::outward();
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || save::write(&inner.store, &chosen, writer));
        reader
    }

    pub(crate) fn shared(&self) -> Arc<Inner> {
        Arc::clone(&self.0)
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    pub(crate) async fn work<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.0);
        blocking(move || job(&inner)).await
    }
}

/// Runs something that speaks while it works, until it ends or nobody listens.
fn spoken<W>(work: impl FnOnce(Reporter) -> W) -> Progress
where
    W: Future<Output = Result<(), Error>> + Send + 'static,
{
    let (reporter, progress) = progress::channel();
    let work = work(reporter.clone());
    tokio::spawn(async move {
        let ended = tokio::select! {
            ended = work => ended,
            () = reporter.closed() => Ok(()),
        };
        if let Err(error) = ended {
            reporter.refuse(error).await;
        }
    });
    progress
}

async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(job).await {
        Ok(result) => result,
        Err(_) => Err(Error::Stopping),
    }
}
