//! Finds out which image a name means: manifest, index, config, each verified before the next is asked for.

use std::sync::Arc;

use bytes::Bytes;
use hakone_base::{Digest, ImageRef};
use hakone_image_model::{
    Descriptor, Document, Error as Refused, Image, Manifest, MediaType, Platform,
};
use hakone_registry::{Blob, Found, Reference, Session};

use crate::{Error, inner::Inner};

/// Indexes within indexes.
const DEPTH: usize = 3;

/// An image as a registry describes it.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    /// What the name means: the digest of an index, or of the manifest itself.
    pub(super) digest: Digest,
    /// The manifest for this platform.
    pub(super) manifest: Manifest,
    /// Its bytes.
    pub(super) bytes: Bytes,
    /// The config's bytes.
    pub(super) config: Bytes,
    /// The config, parsed.
    pub(super) image: Image,
}

/// Gives what a name asks a registry for.
pub(super) fn reference(name: &ImageRef) -> Reference {
    match (name.digest(), name.tag()) {
        (Some(digest), _) => Reference::Digest(digest.clone()),
        (None, tag) => Reference::Tag(tag.unwrap_or("latest").to_owned()),
    }
}

/// Resolves a name to an image for a platform.
pub(super) async fn resolve(
    inner: &Inner,
    session: &Arc<Session>,
    name: &ImageRef,
    platform: Option<&Platform>,
) -> Result<Remote, Error> {
    let wanted = platform.unwrap_or(&inner.host);
    let top = session.manifest(name.path(), &reference(name)).await?;
    let digest = top.digest.clone();
    let mut document = parse(inner, &top)?;
    let mut bytes = top.bytes;
    for _ in 0..DEPTH {
        let manifest = match document {
            Document::Manifest(manifest) => manifest,
            Document::Index(index) => {
                let entry = index.select(wanted)?;
                let found = fetch(session, name, entry).await?;
                document = parse(inner, &found)?;
                bytes = found.bytes;
                continue;
            }
        };
        manifest.require_image()?;
        let config = config(inner, session, name, &manifest).await?;
        let image = Image::parse(&config, &inner.limits)?;
        check(name, &manifest, &image, platform)?;
        return Ok(Remote {
            digest,
            manifest,
            bytes,
            config,
            image,
        });
    }
    Err(Refused::Nested.into())
}

/// Parses a document and holds it to what the registry says that it is.
pub(super) fn parse(inner: &Inner, found: &Found) -> Result<Document, Error> {
    let document = Document::parse(&found.bytes, &inner.limits)?;
    let (kind, written) = match &document {
        Document::Manifest(manifest) => (MediaType::Manifest, &manifest.media_type),
        Document::Index(index) => (MediaType::Index, &index.media_type),
    };
    let announced = match found.media_type.as_str() {
        // Said by static file servers: nothing.
        "" | "application/json" | "application/octet-stream" | "text/plain" => None,
        other => Some(other),
    };
    let other = announced.filter(|announced| MediaType::of(announced) != kind);
    let contradicted =
        announced.filter(|announced| written.as_ref().is_some_and(|written| written != announced));
    match other.or(contradicted) {
        Some(announced) => Err(Refused::MediaType {
            announced: announced.to_owned(),
            found: written.clone().unwrap_or_default(),
        }
        .into()),
        None => Ok(document),
    }
}

/// Fetches what an index names, with the size and the kind that it names.
async fn fetch(session: &Session, name: &ImageRef, entry: &Descriptor) -> Result<Found, Error> {
    let reference = Reference::Digest(entry.digest.clone());
    let found = session.manifest(name.path(), &reference).await?;
    let size = found.bytes.len() as u64;
    if size != entry.size {
        return Err(Refused::Size {
            what: "manifest",
            announced: entry.size,
            found: size,
        }
        .into());
    }
    Ok(Found {
        media_type: entry.media_type.clone(),
        ..found
    })
}

async fn config(
    inner: &Inner,
    session: &Arc<Session>,
    name: &ImageRef,
    manifest: &Manifest,
) -> Result<Bytes, Error> {
    let Descriptor { digest, size, .. } = &manifest.config;
    let blob = Blob::new(Arc::clone(session), name.path(), digest.clone(), *size);
    Ok(blob.document("image config", inner.limits.document).await?)
}

fn check(
    name: &ImageRef,
    manifest: &Manifest,
    image: &Image,
    platform: Option<&Platform>,
) -> Result<(), Error> {
    let (layers, diff_ids) = (manifest.layers.len(), image.rootfs.diff_ids.len());
    if layers != diff_ids {
        return Err(Refused::LayerCount {
            config: diff_ids,
            manifest: layers,
        }
        .into());
    }
    let own = Platform {
        architecture: image.architecture.clone(),
        os: "linux".to_owned(),
        variant: image.variant.clone(),
    };
    match platform.filter(|wanted| !own.runs(wanted)) {
        Some(wanted) => Err(Error::OtherPlatform {
            name: name.to_string(),
            has: own.to_string(),
            wanted: wanted.to_string(),
        }),
        None => Ok(()),
    }
}
