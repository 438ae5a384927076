//! Reads all records at start. What a crash left torn costs itself alone: a manifest without its bytes is forgotten, a tag
//! that means nothing too, so that what is listed can be had.

use std::fs;

use hakone_registry_api::{ContentDigest, Manifest, RepositoryName};
use tracing::warn;

use crate::{
    Error,
    catalog::{Catalog, Entry, Repository},
    layout::{Layout, repository_of},
    record::{LinkRecord, ManifestRecord, TagRecord},
};

/// Reads everything.
pub(crate) fn catalog(layout: &Layout) -> Result<Catalog, Error> {
    let folder = layout.repositories();
    let mut catalog = Catalog::default();
    for entry in fs::read_dir(&folder)
        .map_err(Error::disk("read", &folder))?
        .flatten()
    {
        if let Some(name) = repository_of(&entry.path()) {
            let repository = repository(layout, &name)?;
            catalog.repositories.insert(name, repository);
        }
    }
    Ok(catalog)
}

fn repository(layout: &Layout, name: &RepositoryName) -> Result<Repository, Error> {
    let mut repository = Repository::default();
    for record in records::<LinkRecord>(&layout.links(name))? {
        if layout.blob(&record.digest).exists() {
            repository.link(record.digest, record.size, record.since);
        }
    }
    for record in records::<ManifestRecord>(&layout.manifests(name))? {
        match entry(layout, &record) {
            Ok(entry) => repository.insert(record.digest, entry),
            Err(error) => {
                warn!(repository = %name, digest = %record.digest, %error, "manifest left out");
            }
        }
    }
    for record in records::<TagRecord>(&layout.tags(name))? {
        if repository.manifests.contains_key(&record.digest) {
            repository.tags.insert(record.tag, record.digest);
        } else {
            warn!(repository = %name, tag = %record.tag, "tag without its manifest left out");
        }
    }
    Ok(repository)
}

fn entry(layout: &Layout, record: &ManifestRecord) -> Result<Entry, Error> {
    let path = layout.blob(&record.digest);
    let bytes = fs::read(&path).map_err(Error::disk("read", &path))?;
    if ContentDigest::with(record.digest.algorithm(), &bytes) != record.digest {
        return Err(hakone_registry_api::Code::DigestInvalid.into());
    }
    let manifest = Manifest::parse(&bytes, Some(&record.media_type))?;
    Ok(Entry::new(manifest, bytes.len() as u64, record.pushed))
}

fn records<T: hakone_store::Record>(folder: &std::path::Path) -> Result<Vec<T>, Error> {
    let (records, unreadable) =
        hakone_store::load_all(folder).map_err(Error::disk("read", folder))?;
    for error in unreadable {
        warn!(%error, "record left out");
    }
    Ok(records)
}
