//! `GET /images/get`: images become one archive, an OCI layout with Docker's `manifest.json` beside.
//!
//! Blobs go out as they came in, in the order of their digests, with owners and times of zero: what is saved twice is equal.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read, Write},
};

use hakone_base::{Digest, ImageRef};
use hakone_image_model::{Descriptor, Index, Platform};
use hakone_tar::ChunkWriter;
use serde_json::json;
use tar::{Builder, EntryType, Header};

use crate::{
    Error,
    catalog::{Catalog, Entry},
    record::ImageRecord,
    registry::{Described, describe},
    store::Store,
};

/// An image to save, with the names to save it under.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) record: ImageRecord,
    platform: Platform,
    pub(crate) names: BTreeSet<ImageRef>,
}

/// The documents of an archive, made before the first byte goes out.
#[derive(Default)]
struct Contents {
    /// Blobs that are made here: manifests of images that came without one.
    made: BTreeMap<Digest, Vec<u8>>,
    stored: BTreeSet<Digest>,
    index: Vec<Descriptor>,
    table: Vec<serde_json::Value>,
}

/// Says that nothing has this name, in the words for names with a tag or those for others.
fn missing(text: &str) -> Error {
    let last = text.rsplit('/').next().unwrap_or_default();
    match last.contains(':') {
        true => Error::NoReference,
        false => Error::NotFound(text.to_owned()),
    }
}

/// Refuses what is of another platform than the one that was asked for: an image is of one here.
pub(crate) fn require(chosen: &[Chosen], wanted: &Platform) -> Result<(), Error> {
    let name = |one: &Chosen| {
        let first = one.names.first().map(ToString::to_string);
        first.unwrap_or_else(|| one.record.id.to_string())
    };
    match chosen.iter().find(|one| !one.platform.runs(wanted)) {
        None => Ok(()),
        Some(other) => Err(Error::OtherPlatform {
            name: name(other),
            has: other.platform.to_string(),
            wanted: wanted.to_string(),
        }),
    }
}

/// Finds the images: a name with a tag means itself, one without all tags of the repository, an id no name.
pub(crate) fn choose(catalog: &Catalog, texts: &[String]) -> Result<Vec<Chosen>, Error> {
    let mut chosen: Vec<Chosen> = Vec::new();
    for text in texts {
        let tags = all_tags(catalog, text);
        if tags.is_empty() {
            let found = catalog.find(text).ok().ok_or_else(|| missing(text))?;
            add(
                &mut chosen,
                found.entry,
                found.name.filter(|name| name.digest().is_none()),
            );
        }
        for tag in tags {
            add(
                &mut chosen,
                catalog.find(&tag.to_string())?.entry,
                Some(tag),
            );
        }
    }
    Ok(chosen)
}

fn all_tags(catalog: &Catalog, text: &str) -> Vec<ImageRef> {
    let bare = text.parse::<ImageRef>().ok();
    let Some(bare) = bare.filter(|name| name.tag().is_none() && name.digest().is_none()) else {
        return Vec::new();
    };
    let same =
        |name: &&ImageRef| name.digest().is_none() && name.familiar_name() == bare.familiar_name();
    catalog.names.keys().filter(same).cloned().collect()
}

fn add(chosen: &mut Vec<Chosen>, entry: &Entry, name: Option<ImageRef>) {
    let same = |other: &&mut Chosen| other.record.id == entry.record.id;
    if let Some(present) = chosen.iter_mut().find(same) {
        present.names.extend(name);
        return;
    }
    chosen.push(Chosen {
        record: entry.record.clone(),
        platform: Platform {
            architecture: entry.image.architecture.clone(),
            os: "linux".to_owned(),
            variant: entry.image.variant.clone(),
        },
        names: name.into_iter().collect(),
    });
}

/// Writes the archive; a failure breaks the stream off.
pub(crate) fn write(store: &Store, chosen: &[Chosen], mut writer: ChunkWriter) {
    let written = archive(store, chosen, &mut writer);
    match written {
        Ok(()) => drop(writer.finish()),
        Err(error) => {
            tracing::warn!(error = %error, "image archive broken off");
            writer.fail(io::Error::other(error));
        }
    }
}

fn archive(store: &Store, chosen: &[Chosen], writer: &mut impl Write) -> Result<(), Error> {
    let mut contents = Contents::default();
    for image in chosen {
        contents.add(store, image)?;
    }
    let mut tar = Builder::new(writer);
    for folder in ["blobs/", "blobs/sha256/"] {
        let mut header = header(EntryType::Directory, 0);
        tar.append_data(&mut header, folder, io::empty())
            .map_err(Error::Stream)?;
    }
    let blobs: BTreeSet<&Digest> = contents.stored.iter().chain(contents.made.keys()).collect();
    for digest in blobs {
        contents.blob(store, digest, &mut tar)?;
    }
    let index = serde_json::to_vec(&Index::new(contents.index.clone()))?;
    let table = serde_json::to_vec(&contents.table)?;
    let layout = br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec();
    for (name, bytes) in [
        ("index.json", index),
        ("manifest.json", table),
        ("oci-layout", layout),
    ] {
        document(&mut tar, name, &bytes)?;
    }
    tar.finish().map_err(Error::Stream)
}

impl Contents {
    fn add(&mut self, store: &Store, image: &Chosen) -> Result<(), Error> {
        let record = &image.record;
        self.stored.insert(record.id.clone());
        self.stored
            .extend(record.layers.iter().map(|layer| layer.blob.clone()));
        let manifest = self.manifest(store, record)?;
        let descriptor = Descriptor {
            platform: Some(image.platform.clone()),
            ..manifest
        };
        self.index.extend(entries(&descriptor, &image.names));
        let path = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
        let layers: Vec<String> = record
            .layers
            .iter()
            .map(|layer| path(&layer.blob))
            .collect();
        let tags: Vec<String> = image.names.iter().map(ToString::to_string).collect();
        let tags = (!tags.is_empty()).then_some(tags);
        let config = path(&record.id);
        self.table
            .push(json!({"Config": config, "RepoTags": tags, "Layers": layers}));
        Ok(())
    }

    /// Takes the manifest that came with the image, or makes one.
    fn manifest(&mut self, store: &Store, record: &ImageRecord) -> Result<Descriptor, Error> {
        let Described {
            descriptor,
            bytes,
            made,
        } = describe(store, record)?;
        let digest = descriptor.digest.clone();
        match made {
            true => drop(self.made.insert(digest, bytes.into())),
            false => drop(self.stored.insert(digest)),
        }
        Ok(descriptor)
    }

    fn blob<W: Write>(
        &self,
        store: &Store,
        digest: &Digest,
        tar: &mut Builder<W>,
    ) -> Result<(), Error> {
        let name = format!("blobs/sha256/{}", digest.hex());
        if let Some(bytes) = self.made.get(digest) {
            return document(tar, &name, bytes);
        }
        let path = store.blob(digest);
        let file = File::open(&path).map_err(Error::disk("open", &path))?;
        let size = file.metadata().map_err(Error::disk("read", &path))?.len();
        let mut header = header(EntryType::Regular, size);
        tar.append_data(&mut header, name, file.take(size))
            .map_err(Error::Stream)
    }
}

/// One entry of the index for each name, or one without a name.
fn entries(descriptor: &Descriptor, names: &BTreeSet<ImageRef>) -> Vec<Descriptor> {
    let named = |name: &ImageRef| {
        let whole = format!(
            "{}/{}:{}",
            name.domain(),
            name.path(),
            name.tag().unwrap_or("latest")
        );
        let tag = name.tag().unwrap_or("latest").to_owned();
        let notes = [
            ("io.containerd.image.name".to_owned(), whole),
            ("org.opencontainers.image.ref.name".to_owned(), tag),
        ];
        Descriptor {
            annotations: Some(notes.into()),
            ..descriptor.clone()
        }
    };
    match names.is_empty() {
        true => vec![descriptor.clone()],
        false => names.iter().map(named).collect(),
    }
}

fn document<W: Write>(tar: &mut Builder<W>, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let mut header = header(EntryType::Regular, bytes.len() as u64);
    tar.append_data(&mut header, name, bytes)
        .map_err(Error::Stream)
}

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_mode(match kind {
        EntryType::Directory => 0o755,
        _ => 0o644,
    });
    header
}
