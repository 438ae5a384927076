//! Caches that a client names with `--cache-from`: found, read, and lent to the build.
//!
//! A cache is a help: one that is away, broken or something else is told, and the build goes on without. What it says that a
//! layer is holds for no byte of it; who takes the layer verifies that.

use std::sync::Arc;

use data_encoding::BASE64;
use hakone_base::Digest;
use hakone_build_model::{Shelf, shelf};
use hakone_buildkit_model::CacheSource;
use hakone_image_model::{Document, Image, Limits, Manifest, Platform};

use crate::{Error, content::Content, materials::Materials, neighbour::Store};

/// Documents that lead to each other.
const DEPTH: usize = 3;

/// A cache that was read, and where its layers are.
#[derive(Clone)]
pub struct Lender {
    /// What stands after which step.
    pub shelf: Arc<Shelf>,
    /// Where the layers are.
    pub store: Arc<dyn Store>,
}

impl std::fmt::Debug for Lender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lender").field(&self.shelf).finish()
    }
}

impl Materials {
    /// Reads the caches that the client named; those that cannot be had are told and left out.
    ///
    /// Cancellation safe.
    pub async fn caches(&self) -> Vec<Lender> {
        let mut lenders = Vec::new();
        for source in &self.caches {
            let vertex = match source {
                CacheSource::Image(name) => format!("importing cache manifest from {name}"),
                CacheSource::Client(store, _) => format!("importing cache manifest from {store}"),
            };
            let read = self
                .report
                .during(&vertex, async |_| self.lender(source).await);
            lenders.extend(read.await.ok());
        }
        lenders
    }

    async fn lender(&self, source: &CacheSource) -> Result<Lender, Error> {
        let store: Arc<dyn Store> = match source {
            CacheSource::Image(name) => {
                let credentials = self.credentials(name.domain()).await?;
                self.builder.store(name, credentials).await?
            }
            CacheSource::Client(id, digest) => {
                let session = Arc::clone(&self.session);
                Arc::new(Content::new(session, id.clone(), Some(digest.clone())))
            }
        };
        let shelf = Arc::new(read(&*store).await?);
        Ok(Lender { shelf, store })
    }
}

/// Reads a cache that stands on its own, or the one that an image has in its config.
async fn read(store: &dyn Store) -> Result<Shelf, Error> {
    let limits = Limits::default();
    let mut next: Option<Digest> = None;
    for _ in 0..DEPTH {
        let text = store.manifest(next.as_ref()).await?;
        let index = match Document::parse(&text, &limits)? {
            Document::Manifest(manifest) => return of_manifest(store, &manifest, &limits).await,
            Document::Index(index) => index,
        };
        if let Some((config, blobs)) = shelf::parts(&index.manifests) {
            let text = store.document(config, shelf::LARGEST_CONFIG).await?;
            return Ok(Shelf::parse(&text, &blobs)?);
        }
        let own = Platform::of(std::env::consts::ARCH);
        next = Some(index.select(&own)?.digest.clone());
    }
    Err(Error::NoCache)
}

async fn of_manifest(
    store: &dyn Store,
    manifest: &Manifest,
    limits: &Limits,
) -> Result<Shelf, Error> {
    if manifest.config.media_type == shelf::CACHE_CONFIG {
        let text = store
            .document(&manifest.config, shelf::LARGEST_CONFIG)
            .await?;
        return Ok(Shelf::parse(&text, &manifest.layers)?);
    }
    manifest.require_image()?;
    let text = store.document(&manifest.config, limits.document).await?;
    let image = Image::parse(&text, limits)?;
    let records = image.cache.as_deref().ok_or(Error::NoCache)?;
    let records = BASE64.decode(records.as_bytes());
    let records = records.map_err(|_invalid| Error::NoCache)?;
    let diff_ids = &image.rootfs.diff_ids;
    match diff_ids.len() == manifest.layers.len() {
        true => Ok(Shelf::inline(&records, diff_ids, &manifest.layers)?),
        false => Err(Error::NoCache),
    }
}
