//! The manifest of a stored image: the one it came with, or one made of what is stored.

use std::fs;

use bytes::Bytes;
use hakone_base::Digest;
use hakone_image_model::{Descriptor, Document, Limits, Manifest};

use crate::{Error, record::ImageRecord, store::Store};

/// A manifest ready to be sent or saved.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    /// What it is.
    pub(crate) descriptor: Descriptor,
    /// Its bytes, exactly as they came.
    pub(crate) bytes: Bytes,
    /// Whether it had to be made.
    pub(crate) made: bool,
}

/// Reads or makes an image's manifest; made twice it is the same.
pub(crate) fn describe(store: &Store, record: &ImageRecord) -> Result<Described, Error> {
    if let Some(digest) = &record.manifest {
        let path = store.blob(digest);
        let bytes = fs::read(&path).map_err(Error::disk("read", &path))?;
        let kind = match Document::parse(&bytes, &Limits::default())? {
            Document::Manifest(manifest) => manifest.media_type,
            Document::Index(index) => index.media_type,
        };
        return Ok(Described {
            descriptor: Descriptor::manifest(kind.as_deref(), digest.clone(), bytes.len() as u64),
            bytes: bytes.into(),
            made: false,
        });
    }
    let path = store.blob(&record.id);
    let size = fs::metadata(&path)
        .map_err(Error::disk("read", &path))?
        .len();
    let layers = record
        .layers
        .iter()
        .map(|layer| Descriptor::new(&layer.media_type, layer.blob.clone(), layer.blob_size));
    let manifest = Manifest::new(
        Descriptor::config(record.id.clone(), size),
        layers.collect(),
    );
    let bytes = Bytes::from(serde_json::to_vec(&manifest)?);
    Ok(Described {
        descriptor: Descriptor::manifest(None, Digest::of(&bytes), bytes.len() as u64),
        bytes,
        made: true,
    })
}
