//! Caches of builds, put into registries: layers of ours and documents that are no image.
//!
//! What they mean is the builder's concern; layers go as every push sends them.

use std::sync::Arc;

use bytes::Bytes;
use hakone_base::{Digest, ImageRef};
use hakone_image_model::Descriptor;
use hakone_registry::{Access, Client, Credentials};

use super::{push::Pushing, resolve::reference};
use crate::{Error, Service, progress};

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
        // Nobody listens to how far each layer is.
        let (reporter, _) = progress::channel();
        let pushing = Pushing {
            inner: self.shared(),
            session: Arc::new(session),
            reporter,
            domain: name.domain().into(),
            others: Arc::default(),
        };
        for diff_id in &parcel.layers {
            let layer = self.inner().stored(diff_id)?;
            pushing.layer(name.path(), &layer).await?;
        }
        let (session, path) = (&pushing.session, name.path());
        session.put_blob(path, parcel.config).await?;
        let body = (parcel.manifest.0.as_str(), parcel.manifest.1);
        Ok(session.put_manifest(path, &reference(name), body).await?)
    }

    /// Describes the blob of a layer that the store has, and tells where it is.
    ///
    /// # Errors
    /// When it is gone.
    pub fn layer_blob(&self, diff_id: &Digest) -> Result<(Descriptor, std::path::PathBuf), Error> {
        let layer = self.inner().stored(diff_id)?;
        let place = self.inner().store.blob(&layer.blob);
        let blob = Descriptor::new(&layer.media_type, layer.blob, layer.blob_size);
        Ok((blob, place))
    }
}
