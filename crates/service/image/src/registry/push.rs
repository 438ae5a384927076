//! `POST /images/{name}/push`: an image goes to a registry, with the bytes and digests that it is stored with.
//!
//! Blobs first, then the config, then the manifest: what a registry lists is whole. A blob that the registry has, here or in
//! another repository of it that we know, is not sent.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use hakone_base::{Digest, EventKind, ImageRef};
use hakone_image_model::Descriptor;
use hakone_registry::{Access, Credentials, Mounted, Reference, Session, Source};
use serde_json::json;
use tokio::{sync::Semaphore, task::JoinSet};

use super::manifest::{Described, describe};
use crate::{
    Error,
    inner::Inner,
    progress::{Reporter, Step},
    record::{ImageRecord, LayerRecord},
};

/// A progress line is worth sending after so many bytes.
const STEP: u64 = 512 * 1024;
/// Repositories that a layer is asked for in.
const MOUNTS: usize = 3;

/// What is to be pushed.
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// The image; without tag all tags of the repository.
    pub name: ImageRef,
    /// Who the user is at the registry.
    pub credentials: Credentials,
}

/// Pushes; says what it does.
pub(crate) async fn push(
    inner: &Arc<Inner>,
    request: &PushRequest,
    reporter: &Reporter,
) -> Result<(), Error> {
    let name = &request.name;
    let line = format!("The push refers to repository [{}]", name.familiar_name());
    reporter.tell(line).await;
    let chosen = choose(inner, name)?;
    let endpoint = inner.registry.origin(name.domain()).await?;
    let others = repositories(inner, name);
    let mut scopes = vec![(name.path(), Access::Push)];
    scopes.extend(others.iter().map(|other| (other.as_str(), Access::Pull)));
    let opened = inner
        .registry
        .open(&endpoint, request.credentials.clone(), &scopes)
        .await;
    let session = opened.map_err(|error| Error::unreachable(error, &endpoint.url))?;
    let pushing = Pushing {
        inner: Arc::clone(inner),
        session: Arc::new(session),
        reporter: reporter.clone(),
        domain: name.domain().into(),
        others: Arc::new(others),
    };
    for (name, record) in chosen {
        pushing.one(&name, &record).await?;
    }
    Ok(())
}

/// Finds the image of a tag, or of all tags of a repository.
fn choose(inner: &Inner, name: &ImageRef) -> Result<Vec<(ImageRef, ImageRecord)>, Error> {
    let catalog = inner.catalog();
    let wanted = |other: &ImageRef| {
        let same = other.same_repository(name) && other.digest().is_none();
        same && (name.tag().is_none() || other.tag() == name.tag())
    };
    let names = catalog.names.iter().filter(|(other, _)| wanted(other));
    let found: Vec<_> = names
        .filter_map(|(name, id)| Some((name.clone(), catalog.images.get(id)?.record.clone())))
        .collect();
    match (found.is_empty(), name.tag()) {
        (false, _) => Ok(found),
        (true, Some(_)) => Err(Error::NoTag(name.to_string())),
        (true, None) => Err(Error::NoLocalTag(name.familiar_name())),
    }
}

/// Finds other repositories of the same registry that we know to hold layers: those that we pulled from or pushed to.
fn repositories(inner: &Inner, name: &ImageRef) -> BTreeSet<String> {
    let catalog = inner.catalog();
    let others = catalog.names.keys().filter(|other| {
        other.digest().is_some() && other.domain() == name.domain() && other.path() != name.path()
    });
    others
        .map(|other| other.path().to_owned())
        .take(MOUNTS)
        .collect()
}

#[derive(Clone)]
pub(super) struct Pushing {
    pub(super) inner: Arc<Inner>,
    pub(super) session: Arc<Session>,
    pub(super) reporter: Reporter,
    pub(super) domain: Arc<str>,
    pub(super) others: Arc<BTreeSet<String>>,
}

impl Pushing {
    async fn one(&self, name: &ImageRef, record: &ImageRecord) -> Result<(), Error> {
        if let Some(outgoing) = &record.outgoing {
            let described = self.outgoing(name, outgoing).await?;
            return self.pushed(name, record, &described).await;
        }
        let described = describe(&self.inner.store, record)?;
        self.layers(name, record).await?;
        self.config(name, record).await?;
        self.manifest(name, record, &described).await
    }

    async fn layers(&self, name: &ImageRef, record: &ImageRecord) -> Result<(), Error> {
        let mut layers: Vec<&LayerRecord> = Vec::new();
        for layer in &record.layers {
            if layers.iter().all(|other| other.blob != layer.blob) {
                layers.push(layer);
            }
        }
        // Shown by what they unpack to, the topmost first, as Docker does.
        for layer in layers.iter().rev() {
            self.step(layer).say("Preparing").await;
        }
        let at_once = self.inner.registry.settings().uploads.max(1);
        let gate = Arc::new(Semaphore::new(at_once));
        for layer in layers.iter().rev().skip(at_once) {
            self.step(layer).say("Waiting").await;
        }
        let mut running = JoinSet::new();
        for layer in layers.into_iter().rev() {
            let layer = layer.clone();
            let (this, gate, repository) =
                (self.clone(), Arc::clone(&gate), name.path().to_owned());
            running.spawn(async move {
                let _turn = gate.acquire_owned().await.ok().ok_or(Error::Stopping)?;
                this.layer(&repository, &layer).await
            });
        }
        while let Some(done) = running.join_next().await {
            done.ok().ok_or(Error::Stopping)??;
        }
        Ok(())
    }

    fn step(&self, layer: &LayerRecord) -> Step {
        self.reporter.of_layer(&layer.diff_id, layer.blob_size)
    }

    pub(super) async fn layer(&self, repository: &str, layer: &LayerRecord) -> Result<(), Error> {
        let step = self.step(layer);
        if self.session.has_blob(repository, &layer.blob).await? {
            step.say("Layer already exists").await;
            return Ok(());
        }
        // One repository that has it is as good as any other: a registry that does not take it waits for an upload.
        let mounted = match self.holder(&layer.blob) {
            Some(other) => Some((
                self.session.mount(repository, &layer.blob, &other).await?,
                other,
            )),
            None => None,
        };
        let place = match mounted {
            Some((Mounted::Yes, other)) => {
                step.say(&format!("Mounted from {other}")).await;
                return Ok(());
            }
            Some((Mounted::No(place), _)) => place,
            None => self.session.begin(repository).await?,
        };
        let source = Source {
            path: self.inner.store.blob(&layer.blob),
            digest: layer.blob.clone(),
            size: layer.blob_size,
        };
        let (shown, moving) = (AtomicU64::new(0), step.clone());
        let report = move |sent: u64| {
            if sent - shown.load(Ordering::Relaxed).min(sent) >= STEP || sent == moving.total() {
                shown.store(sent, Ordering::Relaxed);
                moving.at("Pushing", sent);
            }
        };
        self.session
            .send_file(place, &source, Arc::new(report))
            .await?;
        step.say("Pushed").await;
        Ok(())
    }

    /// Finds a repository of the registry with an image that has this blob.
    fn holder(&self, blob: &Digest) -> Option<String> {
        let catalog = self.inner.catalog();
        let holds = |id: &Digest| {
            let image = catalog.images.get(id);
            image.is_some_and(|entry| entry.record.layers.iter().any(|layer| layer.blob == *blob))
        };
        let mut named = catalog.names.iter().filter(|(name, id)| {
            let known = *name.domain() == *self.domain && self.others.contains(name.path());
            name.digest().is_some() && known && holds(id)
        });
        named.next().map(|(name, _)| name.path().to_owned())
    }

    async fn config(&self, name: &ImageRef, record: &ImageRecord) -> Result<(), Error> {
        if self.session.has_blob(name.path(), &record.id).await? {
            return Ok(());
        }
        let path = self.inner.store.blob(&record.id);
        let bytes = tokio::fs::read(&path)
            .await
            .map_err(Error::disk("read", &path))?;
        Ok(self.session.put_blob(name.path(), bytes.into()).await?)
    }

    async fn manifest(
        &self,
        name: &ImageRef,
        record: &ImageRecord,
        described: &Described,
    ) -> Result<(), Error> {
        let (tag, descriptor) = (name.tag().unwrap_or("latest"), &described.descriptor);
        let body = (descriptor.media_type.as_str(), described.bytes.clone());
        let reference = Reference::Tag(tag.to_owned());
        self.session
            .put_manifest(name.path(), &reference, body)
            .await?;
        self.pushed(name, record, descriptor).await
    }

    /// Notes under which digest the registry has it, and tells of it.
    async fn pushed(
        &self,
        name: &ImageRef,
        record: &ImageRecord,
        descriptor: &Descriptor,
    ) -> Result<(), Error> {
        let tag = name.tag().unwrap_or("latest");
        let by_digest = name.clone().with_digest(descriptor.digest.clone());
        let (inner, id) = (Arc::clone(&self.inner), record.id.clone());
        let named = tokio::task::spawn_blocking(move || {
            let _changing = inner.change();
            inner.add_name(&by_digest, &id)
        });
        named.await.ok().ok_or(Error::Stopping)??;
        let (digest, size) = (&descriptor.digest, descriptor.size);
        self.reporter
            .tell(format!("{tag}: digest: {digest} size: {size}"))
            .await;
        let aux =
            json!({"progressDetail": {}, "aux": {"Tag": tag, "Digest": digest, "Size": size}});
        self.reporter.line(aux).await;
        let attributes = BTreeMap::from([("name".to_owned(), name.familiar_name())]);
        let actor = name.to_string();
        self.inner
            .events
            .publish(EventKind::Image, "push", &actor, attributes);
        Ok(())
    }
}
