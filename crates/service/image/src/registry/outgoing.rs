//! Images that leave otherwise than they are kept: attested, for several platforms, annotated, packed anew.
//!
//! What a builder made for registries is kept beside its image, as blobs that nobody unpacks, named by the image's record: who
//! pushes the image, now or later, pushes these. They go with the image. A later build of it without such wishes takes them away.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use bytes::Bytes;
use hakone_base::{Digest, ImageRef};
use hakone_image_model::Descriptor;
use hakone_registry::{Reference, Source};

use super::push::Pushing;
use crate::{Error, Service, inner::Inner, record::OutgoingRecord, store::Store};

/// What is pushed in an image's place.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// Blobs that lie in files, which are moved into the store.
    pub files: Vec<(Descriptor, PathBuf)>,
    /// Small blobs.
    pub documents: Vec<Vec<u8>>,
    /// Manifests and indexes in the order in which they go; the last is what the name means.
    pub manifests: Vec<(Descriptor, Vec<u8>)>,
}

impl OutgoingRecord {
    /// Lists all that the store keeps for it.
    pub(crate) fn digests(&self) -> impl Iterator<Item = &Digest> {
        let manifests = self.manifests.iter().map(|(digest, _)| digest);
        self.blobs.keys().chain(manifests)
    }
}

impl Service {
    /// Says how an image is pushed from now on: otherwise than it is kept, or as it is.
    ///
    /// # Errors
    /// When there is no such image, or the disk fails.
    pub async fn send_as(&self, image: &Digest, outgoing: Option<Outgoing>) -> Result<(), Error> {
        let image = image.clone();
        self.work(move |inner| send_as(inner, &image, outgoing))
            .await
    }
}

fn send_as(inner: &Inner, image: &Digest, outgoing: Option<Outgoing>) -> Result<(), Error> {
    let _changing = inner.change();
    let found = inner.catalog().images.get(image).cloned();
    let mut entry = found.ok_or_else(|| Error::NotFound(image.to_string()))?;
    let outgoing = outgoing.map(|all| keep(&inner.store, all)).transpose()?;
    if entry.record.outgoing == outgoing {
        return Ok(());
    }
    entry.record.outgoing = outgoing;
    // Blobs without a record are the next sweep's; a record without its blobs there is never.
    inner.store.save(&entry.record)?;
    let mut catalog = inner.catalog();
    catalog.images.insert(image.clone(), entry);
    Ok(())
}

fn keep(store: &Store, outgoing: Outgoing) -> Result<OutgoingRecord, Error> {
    let mut blobs = BTreeMap::new();
    for (blob, file) in outgoing.files {
        Store::install(&file, &store.blob(&blob.digest))?;
        blobs.insert(blob.digest, blob.size);
    }
    for text in outgoing.documents {
        let digest = Digest::of(&text);
        write(store, &digest, &text)?;
        blobs.insert(digest, text.len() as u64);
    }
    let mut manifests = Vec::new();
    for (described, text) in outgoing.manifests {
        write(store, &described.digest, &text)?;
        manifests.push((described.digest, described.media_type));
    }
    Ok(OutgoingRecord { blobs, manifests })
}

fn write(store: &Store, digest: &Digest, text: &[u8]) -> Result<(), Error> {
    let staged = store.staged("document");
    hakone_store::write_atomic(&staged, text, hakone_store::Durability::Power)
        .map_err(Error::disk("write", &staged))?;
    Store::install(&staged, &store.blob(digest))
}

impl Pushing {
    /// Sends what is pushed in an image's place; gives what the name means then.
    pub(super) async fn outgoing(
        &self,
        name: &ImageRef,
        outgoing: &OutgoingRecord,
    ) -> Result<Descriptor, Error> {
        for (digest, size) in &outgoing.blobs {
            self.blob(name.path(), digest, *size).await?;
        }
        let mut meant = None;
        let last = outgoing.manifests.len().saturating_sub(1);
        for (place, (digest, kind)) in outgoing.manifests.iter().enumerate() {
            let path = self.inner.store.blob(digest);
            let text = tokio::fs::read(&path).await;
            let text = Bytes::from(text.map_err(Error::disk("read", &path))?);
            let described = Descriptor::new(kind, digest.clone(), text.len() as u64);
            let reference = match place == last {
                true => Reference::Tag(name.tag().unwrap_or("latest").to_owned()),
                false => Reference::Digest(digest.clone()),
            };
            let body = (kind.as_str(), text);
            self.session
                .put_manifest(name.path(), &reference, body)
                .await?;
            meant = Some(described);
        }
        meant.ok_or_else(|| Error::NoTag(name.to_string()))
    }

    async fn blob(&self, repository: &str, digest: &Digest, size: u64) -> Result<(), Error> {
        let step = self.reporter.of_layer(digest, size);
        if self.session.has_blob(repository, digest).await? {
            step.say("Layer already exists").await;
            return Ok(());
        }
        let source = Source {
            path: self.inner.store.blob(digest),
            digest: digest.clone(),
            size,
        };
        let place = self.session.begin(repository).await?;
        let moving = step.clone();
        let report = Arc::new(move |sent: u64| moving.at("Pushing", sent));
        self.session.send_file(place, &source, report).await?;
        step.say("Pushed").await;
        Ok(())
    }
}
