//! Takes over the folder of Docker's own registry. Everything is verified on the way: content that is not what its name says,
//! and manifests that lack something, are left out and said.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use hakone_registry_api::{ContentDigest, Hasher, Reference, RepositoryName, Tag};

use crate::{Error, Registry, service::Inner};

/// What came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Repositories.
    pub repositories: usize,
    /// Blobs, each counted in each repository.
    pub blobs: usize,
    /// Manifests.
    pub manifests: usize,
    /// Tags.
    pub tags: usize,
    /// What was left out, and why.
    pub left_out: Vec<String>,
}

/// Folders within folders: a repository's name has at most so many parts.
const DEPTH: usize = 32;
/// Bytes copied at once.
const BLOCK: usize = 1 << 20;

/// Imports from the folder that holds `docker/registry/v2`, or from that itself. Blocks.
///
/// # Errors
/// When the folder is none of Docker's registry, or our own disk fails.
pub fn import(registry: &Registry, folder: &Path) -> Result<Imported, Error> {
    let inner = folder.join("docker/registry/v2");
    let root = if inner.is_dir() {
        inner
    } else {
        folder.to_owned()
    };
    let repositories = root.join("repositories");
    let mut names = Vec::new();
    find(&repositories, &repositories, &mut names, DEPTH)?;
    let mut import = Import {
        inner: &registry.0,
        root,
        imported: Imported::default(),
    };
    for name in names {
        import.repository(&name)?;
    }
    Ok(import.imported)
}

/// Finds the folders that have `_manifests`: those are repositories, and others may lie below them.
fn find(
    top: &Path,
    folder: &Path,
    names: &mut Vec<RepositoryName>,
    depth: usize,
) -> Result<(), Error> {
    for entry in fs::read_dir(folder)
        .map_err(Error::disk("read", folder))?
        .flatten()
    {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if entry.file_name() == "_manifests" {
            let name = folder.strip_prefix(top).ok().and_then(Path::to_str);
            names.extend(name.and_then(|name| name.parse().ok()));
        } else if is_folder && depth > 0 && !entry.file_name().as_encoded_bytes().starts_with(b"_")
        {
            find(top, &path, names, depth - 1)?;
        }
    }
    Ok(())
}

struct Import<'a> {
    inner: &'a Inner,
    root: PathBuf,
    imported: Imported,
}

impl Import<'_> {
    fn repository(&mut self, name: &RepositoryName) -> Result<(), Error> {
        let folder = self.root.join("repositories").join(name.as_str());
        self.imported.repositories += 1;
        for digest in links(&folder.join("_layers")) {
            match self.blob(name, &digest) {
                Ok(()) => self.imported.blobs += 1,
                Err(error) => self.leave_out(name, &digest, &error),
            }
        }
        self.manifests(name, links(&folder.join("_manifests/revisions")));
        let tags = folder.join("_manifests/tags");
        for entry in fs::read_dir(&tags).into_iter().flatten().flatten() {
            let digest = link(&entry.path().join("current/link"));
            let tag = entry
                .file_name()
                .to_str()
                .and_then(|text| text.parse::<Tag>().ok());
            if let (Some(tag), Some(digest)) = (tag, digest) {
                match self.put(name, &Reference::Tag(tag), &digest) {
                    Ok(()) => self.imported.tags += 1,
                    Err(error) => self.leave_out(name, &digest, &error),
                }
            }
        }
        Ok(())
    }

    /// Takes manifests over, those first that need no other: an index comes when all its images are there.
    fn manifests(&mut self, name: &RepositoryName, mut waiting: Vec<ContentDigest>) {
        loop {
            let before = waiting.len();
            let mut failed = Vec::new();
            for digest in waiting {
                match self.put(name, &Reference::Digest(digest.clone()), &digest) {
                    Ok(()) => self.imported.manifests += 1,
                    Err(error) => failed.push((digest, error)),
                }
            }
            if failed.len() == before {
                return failed
                    .iter()
                    .for_each(|(digest, error)| self.leave_out(name, digest, error));
            }
            waiting = failed.into_iter().map(|(digest, _)| digest).collect();
        }
    }

    fn put(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        digest: &ContentDigest,
    ) -> Result<(), Error> {
        let path = self.data(digest);
        let bytes = fs::read(&path).map_err(Error::disk("read", &path))?;
        if ContentDigest::with(digest.algorithm(), &bytes) != *digest {
            return Err(hakone_registry_api::Code::DigestInvalid.into());
        }
        self.inner.put(name, reference, (kind(&bytes), &bytes))?;
        Ok(())
    }

    /// Copies a blob, hashing what is written.
    fn blob(&self, name: &RepositoryName, digest: &ContentDigest) -> Result<(), Error> {
        let path = self.data(digest);
        let mut source = File::open(&path).map_err(Error::disk("open", &path))?;
        let staged = self.inner.layout.staged();
        let copied = copy(&mut source, &staged, Hasher::new(digest.algorithm()));
        let (found, size) = copied.map_err(Error::disk("copy", &path))?;
        if found != *digest {
            fs::remove_file(&staged).ok();
            return Err(hakone_registry_api::Code::DigestInvalid.into());
        }
        let _changing = self.inner.change();
        self.inner.layout.install(&staged, digest)?;
        self.inner.link(name, digest, size)
    }

    fn data(&self, digest: &ContentDigest) -> PathBuf {
        let first = digest.hex().get(..2).unwrap_or_default();
        let folder = self.root.join("blobs").join(digest.algorithm().as_str());
        folder.join(first).join(digest.hex()).join("data")
    }

    fn leave_out(&mut self, name: &RepositoryName, digest: &ContentDigest, error: &Error) {
        self.imported
            .left_out
            .push(format!("{name}@{digest}: {error}"));
    }
}

fn copy(source: &mut File, to: &Path, mut hasher: Hasher) -> std::io::Result<(ContentDigest, u64)> {
    let mut file = File::create_new(to)?;
    let (mut size, mut block) = (0, vec![0; BLOCK]);
    loop {
        let count = source.read(&mut block)?;
        let bytes = block.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            file.sync_all()?;
            return Ok((hasher.finish(), size));
        }
        file.write_all(bytes)?;
        hasher.update(bytes);
        size += bytes.len() as u64;
    }
}

/// Reads the digests of `ALGORITHM/HEX/link` files.
fn links(folder: &Path) -> Vec<ContentDigest> {
    let algorithms = fs::read_dir(folder).into_iter().flatten().flatten();
    let entries =
        algorithms.flat_map(|entry| fs::read_dir(entry.path()).into_iter().flatten().flatten());
    entries
        .filter_map(|entry| link(&entry.path().join("link")))
        .collect()
}

fn link(path: &Path) -> Option<ContentDigest> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Docker's registry keeps no Content-Type: what does not say its own type is what its members make it.
fn kind(bytes: &[u8]) -> Option<&'static str> {
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    match (value.get("mediaType"), value.get("manifests")) {
        (Some(_), _) => None,
        (None, Some(_)) => Some("application/vnd.oci.image.index.v1+json"),
        (None, None) => Some("application/vnd.oci.image.manifest.v1+json"),
    }
}
