//! Caches of builds, put into registries: layers of ours and documents that are no image.
//!
//! What they mean is the builder's concern; layers go as every push sends them.

use std::sync::Arc;

use bytes::Bytes;
use hakone_base::{Digest, ImageRef};
use hakone_image_model::Descriptor;
use hakone_registry::{Access, Client, Credentials};

use super::{push::Pushing, resolve::reference};
use crate::{Error, Service, progress, record::LayerRecord};

/// A cache to be put into a registry.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The layers by their tars.
    pub layers: Vec<Digest>,
    /// The list of what they stand after.
    pub config: Bytes,
    /// The manifest: its media type and its text.
    pub manifest: (String, Bytes),
}

impl Service {
    /// Gives the client of registries, for what is there and is no image.
    #[must_use]
    pub fn registry(&self) -> Client {
        self.inner().registry.clone()
    }

    /// Puts a cache into a registry: layers first, the manifest last.
    ///
    /// # Errors
    /// When the registry refuses, or a layer is gone.
    pub async fn put_shelf(
        &self,
        name: &ImageRef,
        credentials: Credentials,
        parcel: Parcel,
    ) -> Result<(), Error> {
        let registry = &self.inner().registry;
        let endpoint = registry.origin(name.domain()).await?;
        let scopes = [(name.path(), Access::Push)];
        let opened = registry.open(&endpoint, credentials, &scopes).await;
        let session = opened.map_err(|error| Error::unreachable(error, &endpoint.url))?;
        let session = Arc::new(session);
        // Nobody listens to how far each layer is.
        let (reporter, _) = progress::channel();
        let pushing = Pushing {
            inner: self.shared(),
            session: Arc::clone(&session),
            reporter,
            domain: name.domain().into(),
            others: Arc::default(),
        };
        for diff_id in &parcel.layers {
            let layer = self.stored(diff_id)?;
            pushing.layer(name.path(), &layer).await?;
        }
        session.put_blob(name.path(), parcel.config).await?;
        let (kind, text) = parcel.manifest;
        let body = (kind.as_str(), text);
        Ok(session
            .put_manifest(name.path(), &reference(name), body)
            .await?)
    }

    fn stored(&self, diff_id: &Digest) -> Result<LayerRecord, Error> {
        let catalog = self.inner().catalog();
        let mut all = catalog.images.values().flat_map(|one| &one.record.layers);
        let found = all.find(|layer| layer.diff_id == *diff_id).cloned();
        found.ok_or_else(|| Error::NotFound(diff_id.to_string()))
    }

    /// Describes the blob of a layer that the store has, and tells where it is.
    ///
    /// # Errors
    /// When it is gone.
    pub fn layer_blob(&self, diff_id: &Digest) -> Result<(Descriptor, std::path::PathBuf), Error> {
        let layer = self.stored(diff_id)?;
        let place = self.inner().store.blob(&layer.blob);
        let blob = Descriptor::new(&layer.media_type, layer.blob, layer.blob_size);
        Ok((blob, place))
    }
}
