//! Blobs: read, taken over from another repository, taken away. A blob belongs to a repository or is not there at all:
//! that the content exists for somebody else is never told.

use std::{fs::File, io::ErrorKind};

use hakone_registry_api::{Code, ContentDigest, Happening, Refusal, RepositoryName};
use hakone_store::Durability;
use serde_json::json;

use crate::{
    Caller, Error, Registry,
    layout::forget,
    record::LinkRecord,
    service::{Inner, OCTETS, Told, now},
};

/// A blob, open.
#[derive(Debug)]
pub struct BlobFile {
    /// Its bytes.
    pub file: File,
    /// How many.
    pub size: u64,
}

impl Registry {
    /// Opens a blob of a repository.
    ///
    /// # Errors
    /// When the repository has no such blob.
    pub async fn blob(
        &self,
        name: &RepositoryName,
        digest: &ContentDigest,
    ) -> Result<BlobFile, Error> {
        let (name, digest) = (name.clone(), digest.clone());
        self.work(move |inner| inner.open_blob(&name, &digest))
            .await
    }

    /// Tells that somebody read a blob.
    pub fn read_blob(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &ContentDigest,
        size: u64,
    ) {
        self.0.announce(
            caller,
            Told {
                happening: Happening::Pull,
                repository: name,
                digest: Some(digest),
                media_type: OCTETS,
                size,
                tag: None,
            },
        );
    }

    /// Takes a blob over from another repository that the caller may read; reports whether that one has it.
    ///
    /// # Errors
    /// When there is no room, or the disk fails.
    pub async fn mount(
        &self,
        caller: &Caller,
        (name, from): (&RepositoryName, &RepositoryName),
        digest: &ContentDigest,
    ) -> Result<bool, Error> {
        let (caller, name, from, digest) =
            (caller.clone(), name.clone(), from.clone(), digest.clone());
        self.work(move |inner| {
            let _changing = inner.change();
            let held = inner
                .catalog()
                .repositories
                .get(&from)
                .and_then(|other| other.blob(&digest));
            let Some(size) = held.filter(|_| inner.layout.blob(&digest).exists()) else {
                return Ok(false);
            };
            inner.link(&name, &digest, size)?;
            inner.announce(
                &caller,
                Told {
                    happening: Happening::Mount(from),
                    repository: &name,
                    digest: Some(&digest),
                    media_type: OCTETS,
                    size,
                    tag: None,
                },
            );
            Ok(true)
        })
        .await
    }

    /// Takes a blob away from a repository.
    ///
    /// # Errors
    /// When it is not there, a manifest needs it, or nothing may be deleted.
    pub async fn delete_blob(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        digest: &ContentDigest,
    ) -> Result<(), Error> {
        let (caller, name, digest) = (caller.clone(), name.clone(), digest.clone());
        self.work(move |inner| {
            inner.may_delete()?;
            let _changing = inner.change();
            let size = inner.blob_size(&name, &digest)?;
            if let Some(user) = inner
                .catalog()
                .repositories
                .get(&name)
                .and_then(|one| one.users_of(&digest).cloned())
            {
                let why = format!("the manifest {user} needs this blob");
                return Err(Refusal::new(Code::Unsupported).because(why).into());
            }
            forget(&inner.layout.link(&name, &digest))?;
            if let Some(repository) = inner.catalog_mut().repositories.get_mut(&name) {
                repository.remove(&[], std::slice::from_ref(&digest));
            }
            inner.announce(
                &caller,
                Told {
                    happening: Happening::Delete,
                    repository: &name,
                    digest: Some(&digest),
                    media_type: OCTETS,
                    size,
                    tag: None,
                },
            );
            Ok(())
        })
        .await
    }
}

impl Inner {
    pub(crate) fn blob_size(
        &self,
        name: &RepositoryName,
        digest: &ContentDigest,
    ) -> Result<u64, Error> {
        let catalog = self.catalog();
        let known = catalog
            .repositories
            .get(name)
            .and_then(|repository| repository.blob(digest));
        known.ok_or_else(|| unknown_blob(digest))
    }

    fn open_blob(&self, name: &RepositoryName, digest: &ContentDigest) -> Result<BlobFile, Error> {
        self.blob_size(name, digest)?;
        let path = self.layout.blob(digest);
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(unknown_blob(digest)),
            opened => opened.map_err(Error::disk("open", &path))?,
        };
        let size = file.metadata().map_err(Error::disk("read", &path))?.len();
        Ok(BlobFile { file, size })
    }

    /// Notes that a repository has content that lies in its place; called with `changing` held.
    pub(crate) fn link(
        &self,
        name: &RepositoryName,
        digest: &ContentDigest,
        size: u64,
    ) -> Result<(), Error> {
        let known = |this: &Self| {
            this.catalog()
                .repositories
                .get(name)
                .and_then(|one| one.blob(digest))
                .is_some()
        };
        if !known(self) {
            self.admit(name, size)?;
        }
        self.layout.prepare(name)?;
        let record = LinkRecord {
            digest: digest.clone(),
            size,
            since: now(),
        };
        // A power cut may lose it: the manifest that comes last is synced, and leads to the blob as well.
        hakone_store::save(
            &self.layout.link(name, digest),
            &record,
            Durability::Process,
        )?;
        let mut catalog = self.catalog_mut();
        let repository = catalog.repositories.entry(name.clone()).or_default();
        repository.link(record.digest, size, record.since);
        Ok(())
    }

    pub(crate) fn may_delete(&self) -> Result<(), Error> {
        match self.options.delete {
            true => Ok(()),
            false => Err(Code::Unsupported.into()),
        }
    }
}

fn unknown_blob(digest: &ContentDigest) -> Error {
    Refusal::new(Code::BlobUnknown)
        .about(json!({"digest": digest.as_str()}))
        .into()
}
