//! Manifests: stored as the bytes that came, listed only when all they need is here, and what tags mean.

use std::fs;

use bytes::Bytes;
use hakone_registry_api::{
    Code, ContentDigest, Happening, Kind, Manifest, Reference, Refusal, RepositoryName, Tag,
};
use hakone_store::Durability;
use serde_json::json;

use crate::{
    Ask, Caller, Error, Registry,
    catalog::{Entry, Repository},
    layout::forget,
    record::{ManifestRecord, TagRecord},
    service::{Inner, Told, now},
};

/// A manifest, read.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its name.
    pub digest: ContentDigest,
    /// What it is.
    pub media_type: String,
    /// As it came.
    pub bytes: Bytes,
}

/// What storing a manifest gave.
#[derive(Clone, Debug)]
pub struct Put {
    /// Its name.
    pub digest: ContentDigest,
    /// What it is about: the client need not keep the fallback tag.
    pub subject: Option<ContentDigest>,
}

impl Registry {
    /// Gives a manifest, when the gate lets it through.
    ///
    /// # Errors
    /// When it is not there or must not be had.
    pub async fn manifest(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Stored, Error> {
        let (digest, media_type) = self.0.resolve(name, reference)?;
        let ask = Ask {
            repository: name,
            digest: &digest,
            tag: tag_of(reference),
            media_type: &media_type,
            subject: &caller.subject,
        };
        let judged = self.0.gate().judge(ask).await;
        judged.map_err(|why| Refusal::new(Code::Denied).because(why))?;
        let wanted = digest.clone();
        let read = self.work(move |inner| {
            let path = inner.layout.blob(&wanted);
            fs::read(&path).map_err(Error::disk("read", &path))
        });
        Ok(Stored {
            bytes: read.await?.into(),
            digest,
            media_type,
        })
    }

    /// Tells that somebody read a manifest.
    pub fn read_manifest(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
        stored: &Stored,
    ) {
        self.0.announce(
            caller,
            Told {
                happening: Happening::Pull,
                repository: name,
                digest: Some(&stored.digest),
                media_type: &stored.media_type,
                size: stored.bytes.len() as u64,
                tag: tag_of(reference),
            },
        );
    }

    /// Stores a manifest under a tag or its digest.
    ///
    /// # Errors
    /// When it is none, something that it needs is missing, its tag stands for ever, or there is no room.
    pub async fn put_manifest(
        &self,
        caller: &Caller,
        (name, reference): (&RepositoryName, &Reference),
        (media_type, bytes): (Option<String>, Bytes),
    ) -> Result<Put, Error> {
        let (caller, name, reference) = (caller.clone(), name.clone(), reference.clone());
        self.work(move |inner| {
            let put = inner.put(&name, &reference, (media_type.as_deref(), &bytes))?;
            inner.announce(
                &caller,
                Told {
                    happening: Happening::Push,
                    repository: &name,
                    digest: Some(&put.0.digest),
                    media_type: &put.1,
                    size: bytes.len() as u64,
                    tag: tag_of(&reference),
                },
            );
            Ok(put.0)
        })
        .await
    }

    /// Takes a tag away, or a manifest with all its tags.
    ///
    /// # Errors
    /// When it is not there, stands for ever, or nothing may be deleted.
    pub async fn delete_manifest(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<(), Error> {
        let (caller, name, reference) = (caller.clone(), name.clone(), reference.clone());
        self.work(move |inner| {
            inner.may_delete()?;
            let _changing = inner.change();
            let (digest, media_type) = inner.resolve(&name, &reference)?;
            let size = inner.remove(&name, &reference, &digest)?;
            let whole = matches!(reference, Reference::Digest(_));
            inner.announce(
                &caller,
                Told {
                    happening: Happening::Delete,
                    repository: &name,
                    digest: whole.then_some(&digest),
                    media_type: &media_type,
                    size,
                    tag: tag_of(&reference),
                },
            );
            Ok(())
        })
        .await
    }
}

impl Inner {
    /// Finds what a reference means.
    pub(crate) fn resolve(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<(ContentDigest, String), Error> {
        let catalog = self.catalog();
        let found = catalog.repositories.get(name).and_then(|repository| {
            let digest = match reference {
                Reference::Tag(tag) => repository.tags.get(tag)?,
                Reference::Digest(digest) => digest,
            };
            let entry = repository.manifests.get(digest)?;
            Some((digest.clone(), entry.media_type.clone()))
        });
        let detail = match reference {
            Reference::Tag(tag) => json!({"Tag": tag.as_str()}),
            Reference::Digest(digest) => json!({"Digest": digest.as_str()}),
        };
        found.ok_or_else(|| Refusal::new(Code::ManifestUnknown).about(detail).into())
    }

    pub(crate) fn put(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        (media_type, bytes): (Option<&str>, &[u8]),
    ) -> Result<(Put, String), Error> {
        let digest = named(reference, bytes)?;
        let manifest = Manifest::parse(bytes, media_type)?;
        let (media_type, subject) = (manifest.media_type.clone(), manifest.subject.as_ref());
        let put = Put {
            digest: digest.clone(),
            subject: subject.map(|subject| subject.digest.clone()),
        };
        let _changing = self.change();
        self.check_tag(name, reference, &digest)?;
        self.check_parts(name, &manifest)?;
        let known = self
            .catalog()
            .repositories
            .get(name)
            .is_some_and(|one| one.manifests.contains_key(&digest));
        if !known {
            self.admit(name, bytes.len() as u64)?;
            self.enter(name, &digest, (manifest, bytes))?;
        }
        if let Reference::Tag(tag) = reference {
            self.tag(name, tag, &digest)?;
        }
        Ok((put, media_type))
    }

    fn check_tag(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        digest: &ContentDigest,
    ) -> Result<(), Error> {
        let Reference::Tag(tag) = reference else {
            return Ok(());
        };
        let catalog = self.catalog();
        let means = catalog
            .repositories
            .get(name)
            .and_then(|one| one.tags.get(tag));
        match means {
            Some(other) if other != digest && self.is_immutable(name) => Err(immutable(tag)),
            _ => Ok(()),
        }
    }

    /// Checks that all that a manifest needs is here, with the sizes that it says.
    fn check_parts(&self, name: &RepositoryName, manifest: &Manifest) -> Result<(), Error> {
        let catalog = self.catalog();
        let nothing = Repository::default();
        let repository = catalog.repositories.get(name).unwrap_or(&nothing);
        let missing = |digest: &ContentDigest| {
            let detail = json!({"digest": digest.as_str()});
            Refusal::new(Code::ManifestBlobUnknown).about(detail)
        };
        for blob in &manifest.blobs {
            let held = repository
                .blob(&blob.digest)
                .filter(|_| self.layout.blob(&blob.digest).exists());
            check_size(
                held.ok_or_else(|| missing(&blob.digest))?,
                (&blob.digest, blob.size),
            )?;
        }
        for part in &manifest.manifests {
            let held = repository
                .manifests
                .get(&part.digest)
                .map(|entry| entry.size);
            check_size(
                held.ok_or_else(|| missing(&part.digest))?,
                (&part.digest, part.size),
            )?;
        }
        Ok(())
    }

    /// Writes a manifest and its record; called with `changing` held.
    fn enter(
        &self,
        name: &RepositoryName,
        digest: &ContentDigest,
        (manifest, bytes): (Manifest, &[u8]),
    ) -> Result<(), Error> {
        let record = ManifestRecord {
            digest: digest.clone(),
            media_type: manifest.media_type.clone(),
            pushed: now(),
        };
        self.layout.prepare(name)?;
        self.layout.keep(digest, bytes)?;
        hakone_store::save(
            &self.layout.manifest(name, digest),
            &record,
            Durability::Power,
        )?;
        let entry = Entry::new(manifest, bytes.len() as u64, record.pushed);
        let mut catalog = self.catalog_mut();
        catalog
            .repositories
            .entry(name.clone())
            .or_default()
            .insert(digest.clone(), entry);
        Ok(())
    }

    /// Lets a tag mean a manifest; called with `changing` held.
    fn tag(&self, name: &RepositoryName, tag: &Tag, digest: &ContentDigest) -> Result<(), Error> {
        let record = TagRecord {
            tag: tag.clone(),
            digest: digest.clone(),
        };
        hakone_store::save(&self.layout.tag(name, tag), &record, Durability::Power)?;
        let mut catalog = self.catalog_mut();
        let repository = catalog.repositories.entry(name.clone()).or_default();
        repository.tags.insert(record.tag, record.digest);
        Ok(())
    }

    /// Removes a tag, or a manifest with its tags; the record of the manifest goes last, so that a crash leaves no tag without one.
    fn remove(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        digest: &ContentDigest,
    ) -> Result<u64, Error> {
        let (tags, size) = {
            let catalog = self.catalog();
            let repository = catalog.repositories.get(name);
            let tags = match reference {
                Reference::Tag(tag) => vec![tag.clone()],
                Reference::Digest(_) => repository
                    .map(|one| one.tags_of(digest))
                    .unwrap_or_default(),
            };
            let size = repository.and_then(|one| Some(one.manifests.get(digest)?.size));
            (tags, size.unwrap_or_default())
        };
        if let (true, Some(tag)) = (self.is_immutable(name), tags.first()) {
            return Err(immutable(tag));
        }
        for tag in &tags {
            forget(&self.layout.tag(name, tag))?;
        }
        let whole = matches!(reference, Reference::Digest(_));
        if whole {
            forget(&self.layout.manifest(name, digest))?;
        }
        if let Some(repository) = self.catalog_mut().repositories.get_mut(name) {
            repository.tags.retain(|tag, _| !tags.contains(tag));
            if whole {
                repository.remove(std::slice::from_ref(digest), &[]);
            }
        }
        Ok(size)
    }

    /// Reads an index of a repository under a tag, if there is one.
    pub(crate) fn index(&self, name: &RepositoryName, tag: &Tag) -> Option<Manifest> {
        let digest = {
            let catalog = self.catalog();
            let repository = catalog.repositories.get(name)?;
            let digest = repository.tags.get(tag)?;
            (repository.manifests.get(digest)?.kind == Kind::Index).then(|| digest.clone())?
        };
        let bytes = fs::read(self.layout.blob(&digest)).ok()?;
        Manifest::parse(&bytes, None).ok()
    }
}

fn tag_of(reference: &Reference) -> Option<&Tag> {
    match reference {
        Reference::Tag(tag) => Some(tag),
        Reference::Digest(_) => None,
    }
}

/// Gives the digest that bytes have, which must be the one that they are stored by.
fn named(reference: &Reference, bytes: &[u8]) -> Result<ContentDigest, Error> {
    match reference {
        Reference::Tag(_) => Ok(ContentDigest::of(bytes)),
        Reference::Digest(wanted) => {
            match ContentDigest::with(wanted.algorithm(), bytes) == *wanted {
                true => Ok(wanted.clone()),
                false => Err(Code::DigestInvalid.into()),
            }
        }
    }
}

fn check_size(held: u64, (digest, told): (&ContentDigest, u64)) -> Result<(), Error> {
    match held == told {
        true => Ok(()),
        false => {
            let detail = json!({"digest": digest.as_str(), "size": told, "actual": held});
            Err(Refusal::new(Code::ManifestInvalid)
                .because("a size is not that of the content")
                .about(detail)
                .into())
        }
    }
}

fn immutable(tag: &Tag) -> Error {
    let why = format!("tags of this repository are immutable, and {tag} exists");
    Refusal::new(Code::Denied).because(why).into()
}
