//! The image service: what the API calls, one method for each verb.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::SystemTime,
};

use hakone_base::{Digest, EventKind, ImageRef, Timestamp};
use hakone_engine_api::{Filters, wire};
use hakone_events::Bus;
use hakone_image_model::{ImageConfig, Limits, Platform};
use tokio::io::AsyncRead;
use tracing::info;

use crate::{
    ChunkReader, Credentials, Error, ImportOptions, ListOptions, Progress, Usage, Users,
    catalog::{Catalog, Entry},
    commit::{self, CommitOptions},
    hello, import, inspect, list, load,
    progress::{self, Reporter},
    prune,
    record::{ImageRecord, LayerRecord},
    registry::{self, Flights, LoginResult, PullRequest, PushRequest, TagFile},
    remove::{self, Plan},
    save,
    stage::Staged,
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

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) limits: Limits,
    pub(crate) host: Platform,
    pub(crate) registry: hakone_registry::Client,
    pub(crate) hardened: bool,
    pub(crate) tags: TagFile,
    pub(crate) flights: Flights,
    catalog: Mutex<Catalog>,
    /// Held while the disk and the catalog are changed together; taken before the catalog's own lock.
    changing: Mutex<()>,
    users: OnceLock<UsersHandle>,
    pub(crate) events: Bus,
}

struct UsersHandle(Arc<dyn Users>);

impl std::fmt::Debug for UsersHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Users")
    }
}

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
        list::list(&self.0.catalog(), &self.0.usages(), options, now())
    }

    /// Describes an image.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn inspect(&self, text: &str) -> Result<wire::ImageInspect, Error> {
        let catalog = self.0.catalog();
        let found = catalog.find(text)?;
        Ok(inspect::inspect(&catalog, &self.0.store, found.entry))
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
    /// Called when a container was removed; each removal of an image does it too.
    ///
    /// # Errors
    /// When a record cannot be removed.
    pub async fn collect(&self) -> Result<(), Error> {
        if self
            .0
            .catalog()
            .images
            .values()
            .all(|entry| !entry.record.hidden)
        {
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

    /// As [`Self::save`], but refuses images of another platform.
    ///
    /// # Errors
    /// When a name is unknown or an image is of another platform.
    pub fn save_of(&self, names: &[String], platform: &Platform) -> Result<ChunkReader, Error> {
        let chosen = save::choose(&self.0.catalog(), names)?;
        save::require(&chosen, platform)?;
        Ok(self.stream(chosen))
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

impl Inner {
    pub(crate) fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a layer that the store has already by its blob: it need not be fetched or unpacked again.
    pub(crate) fn known_layer(&self, blob: &Digest) -> Option<LayerRecord> {
        let catalog = self.catalog();
        let mut layers = catalog
            .images
            .values()
            .flat_map(|entry| &entry.record.layers);
        let record = layers.find(|layer| layer.blob == *blob)?.clone();
        let whole = self.store.layer(&record.diff_id).exists() && self.store.blob(blob).exists();
        whole.then_some(record)
    }

    fn usages(&self) -> Vec<Usage> {
        self.users
            .get()
            .map(|users| users.0.usages())
            .unwrap_or_default()
    }

    fn kept(&self) -> Vec<Digest> {
        self.users
            .get()
            .map(|users| users.0.kept())
            .unwrap_or_default()
    }

    /// Gives the folders of an image's layers, lowest first. An overlay takes none twice; of a layer that an image has twice
    /// the upper one hides all of the lower.
    pub(crate) fn folders(&self, record: &ImageRecord) -> Vec<PathBuf> {
        let mut seen = BTreeSet::new();
        let layers = record.layers.iter().rev();
        let single = layers.filter(|layer| seen.insert(&layer.diff_id));
        let mut folders: Vec<PathBuf> = single
            .map(|layer| self.store.layer(&layer.diff_id))
            .collect();
        folders.reverse();
        folders
    }

    fn resolved(&self, entry: &Entry, reference: String) -> ResolvedImage {
        ResolvedImage {
            id: entry.record.id.clone(),
            reference,
            config: entry.image.config.clone().unwrap_or_default(),
            layers: self.folders(&entry.record),
            size: entry.size(),
            created: entry.image.created(),
        }
    }

    /// Puts a staged image and its names in place, under the lock [`Self::change`]; gives the images that lost a name.
    pub(crate) fn commit(
        &self,
        staged: Staged,
        names: &[ImageRef],
    ) -> Result<Vec<(ImageRef, Digest)>, Error> {
        let id = staged.entry.record.id.clone();
        let present = self.catalog().images.get(&id).cloned();
        let entry = match present.filter(|entry| self.store.is_whole(&entry.record)) {
            // Loaded again: its blobs stay as they first came, so that its digests do not change.
            Some(mut entry) => {
                entry.record.hidden = false;
                entry
            }
            None => staged.install(&self.store)?,
        };
        self.store.save(&entry.record)?;
        self.catalog().images.insert(id.clone(), entry);
        self.rename(names, &id)
    }

    /// Puts an image of a builder in place, under the lock [`Self::change`]: one that people see already stays seen.
    pub(crate) fn commit_step(&self, staged: Staged, names: &[ImageRef]) -> Result<(), Error> {
        let id = staged.entry.record.id.clone();
        let hidden = staged.entry.record.hidden;
        let present = self.catalog().images.get(&id).cloned();
        match present.filter(|entry| self.store.is_whole(&entry.record)) {
            Some(_) if hidden => Ok(()),
            Some(_) => {
                self.show(&id)?;
                self.rename(names, &id).map(drop)
            }
            None => self.commit(staged, names).map(drop),
        }
    }

    /// Shows a hidden image to people, under the lock [`Self::change`].
    pub(crate) fn show(&self, id: &Digest) -> Result<(), Error> {
        let found = self.catalog().images.get(id).cloned();
        let mut entry = found.ok_or_else(|| Error::NotFound(id.to_string()))?;
        if !entry.record.hidden {
            return Ok(());
        }
        entry.record.hidden = false;
        self.store.save(&entry.record)?;
        self.catalog().images.insert(id.clone(), entry);
        Ok(())
    }

    /// Gives an image one more name, under the lock [`Self::change`].
    pub(crate) fn add_name(&self, name: &ImageRef, id: &Digest) -> Result<(), Error> {
        self.rename(std::slice::from_ref(name), id).map(drop)
    }

    /// Finds the digests under which the image that has this name now came from its registry.
    pub(crate) fn known_digests(&self, name: &ImageRef) -> Vec<Digest> {
        let catalog = self.catalog();
        let Some(id) = catalog.names.get(name) else {
            return Vec::new();
        };
        let entry = catalog.images.get(id);
        if !entry.is_some_and(|entry| !entry.record.hidden && self.store.is_whole(&entry.record)) {
            return Vec::new();
        }
        let same = |other: &&ImageRef| other.same_repository(name);
        catalog
            .names_of(id)
            .filter(same)
            .filter_map(|other| other.digest().cloned())
            .collect()
    }

    /// Gives names to an image, under the lock [`Self::change`].
    fn rename(&self, targets: &[ImageRef], id: &Digest) -> Result<Vec<(ImageRef, Digest)>, Error> {
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        let mut names = self.catalog().names.clone();
        let mut lost = Vec::new();
        for target in targets {
            match names.insert(target.clone(), id.clone()) {
                Some(old) if old != *id => lost.push((target.clone(), old)),
                _ => {}
            }
        }
        self.store.save_names(&names)?;
        let mut catalog = self.catalog();
        catalog.names = names;
        let Some(entry) = catalog.images.get_mut(id) else {
            return Ok(lost);
        };
        entry.record.tagged = now();
        let record = entry.record.clone();
        drop(catalog);
        self.store.save(&record)?;
        Ok(lost)
    }

    /// Carries a removal out, under the lock [`Self::change`].
    pub(crate) fn remove(&self, plan: &Plan) -> Result<Vec<wire::ImageDeleteResponseItem>, Error> {
        let mut wanted = self.catalog().clone();
        let id = plan
            .untag
            .first()
            .and_then(|name| wanted.names.get(name))
            .or(plan.delete.as_ref());
        let id = id.cloned();
        wanted.names.retain(|name, _| !plan.untag.contains(name));
        if !plan.untag.is_empty() {
            self.store.save_names(&wanted.names)?;
        }
        if let Some(delete) = &plan.delete {
            self.delete(&mut wanted, delete, plan.hide)?;
        }
        self.forget_hidden(&mut wanted)?;
        // Told of what was, labels included, though it is gone by then.
        let labels = id.as_ref().map(|id| self.labels(id)).unwrap_or_default();
        let fewer = wanted.images.len() < self.catalog().images.len();
        *self.catalog() = wanted.clone();
        if fewer {
            self.store.sweep(&wanted);
        }
        for id in plan.untag.iter().filter_map(|_| id.as_ref()) {
            self.tell("untag", id, id.as_str(), labels.clone());
        }
        if let Some(id) = &plan.delete {
            self.announce("delete", id, id.as_str());
        }
        Ok(report(plan))
    }

    fn delete(&self, wanted: &mut Catalog, id: &Digest, hide: bool) -> Result<(), Error> {
        match wanted.images.get_mut(id) {
            Some(entry) if hide || (!entry.record.hidden && self.kept().contains(id)) => {
                entry.record.hidden = true;
                self.store.save(&entry.record)
            }
            Some(_) => {
                self.store.forget(id)?;
                wanted.images.remove(id);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Forgets removed images whose last container is gone.
    fn forget_hidden(&self, wanted: &mut Catalog) -> Result<(), Error> {
        if self.users.get().is_none() {
            return Ok(());
        }
        let (usages, kept) = (self.usages(), self.kept());
        let free = |entry: &&Entry| {
            entry.record.hidden
                && usages.iter().all(|usage| usage.image != entry.record.id)
                && !kept.contains(&entry.record.id)
        };
        let free: Vec<Digest> = wanted
            .images
            .values()
            .filter(free)
            .map(|e| e.record.id.clone())
            .collect();
        free.iter()
            .try_for_each(|id| self.delete(wanted, id, false))
    }

    fn prune(&self, filters: &Filters) -> Result<wire::ImagePruneResponse, Error> {
        let _changing = self.change();
        let chosen = prune::plan(&self.catalog(), &self.usages(), filters, now())?;
        let before = self.disk();
        self.remove(&Plan::default())?;
        let mut deleted = Vec::new();
        for id in chosen {
            let plan = remove::plan(&self.catalog(), &self.usages(), id.as_str(), true)?;
            deleted.extend(self.remove(&plan)?);
        }
        let reclaimed = before.saturating_sub(self.disk());
        let attributes = BTreeMap::from([("reclaimed".to_owned(), reclaimed.to_string())]);
        self.events
            .publish(EventKind::Image, "prune", "", attributes);
        Ok(wire::ImagePruneResponse {
            images_deleted: (!deleted.is_empty()).then_some(deleted),
            space_reclaimed: Some(list::signed(reclaimed)),
        })
    }

    fn disk(&self) -> u64 {
        let catalog = self.catalog();
        let layers = catalog.layers();
        layers
            .iter()
            .filter_map(|layer| catalog.layer_size(layer))
            .sum()
    }

    pub(crate) fn announce(&self, action: &str, id: &Digest, name: &str) {
        self.tell(action, id, name, self.labels(id));
    }

    /// Gives an image's labels, none if it is gone.
    fn labels(&self, id: &Digest) -> BTreeMap<String, String> {
        let catalog = self.catalog();
        let config = catalog.images.get(id).map(|entry| &entry.image.config);
        let labels = config.and_then(|config| config.as_ref()?.labels.clone());
        labels.unwrap_or_default().into_iter().collect()
    }

    fn tell(&self, action: &str, id: &Digest, name: &str, labels: BTreeMap<String, String>) {
        let mut attributes = BTreeMap::from([("name".to_owned(), name.to_owned())]);
        attributes.extend(labels);
        info!(digest = %id, image.reference = name, action, "image");
        self.events
            .publish(EventKind::Image, action, id.as_str(), attributes);
    }
}

fn report(plan: &Plan) -> Vec<wire::ImageDeleteResponseItem> {
    let untagged = plan.untag.iter().map(|name| wire::ImageDeleteResponseItem {
        untagged: Some(name.to_string()),
        deleted: None,
    });
    let deleted = plan.delete.iter().chain(&plan.chains);
    let deleted = deleted.map(|digest| wire::ImageDeleteResponseItem {
        untagged: None,
        deleted: Some(digest.to_string()),
    });
    untagged.chain(deleted).collect()
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

pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}

async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(job).await {
        Ok(result) => result,
        Err(_) => Err(Error::Stopping),
    }
}
