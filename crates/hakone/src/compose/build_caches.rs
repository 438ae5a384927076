//! Lends the places of build caches: registries to build clients, and what these found to the builder.

use std::{io, sync::Arc};

use futures_util::stream;
use hakone_base::{Digest, Fault, ImageRef, Kind, Secret};
use hakone_build::{Blobs, Bytes, Lender, Refusal};
use hakone_buildkit::{BoxFuture, Failure, Parcel, Reader, Store};
use hakone_image::Credentials;
use hakone_image_model::Descriptor;
use hakone_registry::{Access, Blob, Client, Reference, Session};
use tokio_util::io::StreamReader;

use super::build_clients::plain;

/// Reads the credentials that a client gave.
pub(super) fn user(credentials: Option<Secret<String>>) -> Credentials {
    let document = credentials.and_then(|text| serde_json::from_str(text.expose()).ok());
    document.map(Credentials::from_json).unwrap_or_default()
}

/// Begins a conversation about a name in its registry.
pub(super) async fn open(
    images: &hakone_image::Service,
    name: &ImageRef,
    credentials: Option<Secret<String>>,
) -> Result<Arc<dyn Store>, Failure> {
    let opened = talk(&images.registry(), name, user(credentials)).await;
    let session = opened.map_err(|error| plain(&error))?;
    Ok(Arc::new(Remote {
        session: Arc::new(session),
        name: name.clone(),
    }))
}

async fn talk(
    client: &Client,
    name: &ImageRef,
    credentials: Credentials,
) -> Result<Session, hakone_registry::Error> {
    let endpoint = client.origin(name.domain()).await?;
    let scopes = [(name.path(), Access::Pull)];
    client.open(&endpoint, credentials, &scopes).await
}

/// Puts a cache into a registry.
pub(super) async fn put(
    images: &hakone_image::Service,
    name: &ImageRef,
    credentials: Option<Secret<String>>,
    parcel: Parcel,
) -> Result<(), Failure> {
    let (kind, text) = parcel.manifest;
    let parcel = hakone_image::Parcel {
        layers: parcel.layers,
        config: parcel.config.into(),
        manifest: (kind, text.into()),
    };
    let done = images.put_shelf(name, user(credentials), parcel).await;
    done.map_err(|error| plain(&error))
}

/// A name in its registry.
struct Remote {
    session: Arc<Session>,
    name: ImageRef,
}

impl Remote {
    fn blob(&self, blob: &Descriptor) -> Blob {
        let (digest, size) = (blob.digest.clone(), blob.size);
        Blob::new(Arc::clone(&self.session), self.name.path(), digest, size)
    }

    /// What its own name asks for.
    fn own(&self) -> Reference {
        match (self.name.digest(), self.name.tag()) {
            (Some(digest), _) => Reference::Digest(digest.clone()),
            (None, tag) => Reference::Tag(tag.unwrap_or("latest").to_owned()),
        }
    }
}

impl Store for Remote {
    fn manifest<'a>(
        &'a self,
        digest: Option<&'a Digest>,
    ) -> BoxFuture<'a, Result<Vec<u8>, Failure>> {
        Box::pin(async move {
            let by_digest = digest.map(|digest| Reference::Digest(digest.clone()));
            let wanted = by_digest.unwrap_or_else(|| self.own());
            let found = self.session.manifest(self.name.path(), &wanted).await;
            found
                .map(|found| found.bytes.into())
                .map_err(|error| plain(&error))
        })
    }

    fn document<'a>(
        &'a self,
        blob: &'a Descriptor,
        limit: u64,
    ) -> BoxFuture<'a, Result<Vec<u8>, Failure>> {
        Box::pin(async move {
            let found = self.blob(blob).document("cache config", limit).await;
            found.map(Vec::from).map_err(|error| plain(&error))
        })
    }

    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<Reader, Failure>> {
        let chunks = stream::try_unfold(self.blob(blob), async |mut blob| {
            let chunk = blob.chunk().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>(chunk.map(|chunk| (chunk, blob)))
        });
        let reader = StreamReader::new(Box::pin(chunks));
        Box::pin(async move { Ok(Box::new(reader) as Reader) })
    }
}

/// Gives the builder what a client named.
pub(super) fn lender(lent: hakone_buildkit::Lender) -> Lender {
    Lender {
        shelf: lent.shelf,
        blobs: Arc::new(Lent(lent.store)),
    }
}

/// Where a cache's layers are.
struct Lent(Arc<dyn Store>);

impl Blobs for Lent {
    fn open<'a>(
        &'a self,
        blob: &'a Descriptor,
    ) -> hakone_build::BoxFuture<'a, Result<Bytes, Refusal>> {
        Box::pin(async move {
            let opened = self.0.open(blob).await;
            opened.map_err(|failure| Box::new(Away(failure)) as Refusal)
        })
    }
}

/// A layer of a cache that does not come.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Away(Failure);

impl Fault for Away {
    fn kind(&self) -> Kind {
        self.0.kind
    }
}
