//! Where everything lies: content by digest, perhaps shared with the engine, and the registry's own records beside it.
//!
//! A repository is a folder whose name has `+` for `/`: no name contains that. Whatever is written is made whole in `staging`
//! and renamed; nothing half-made ever stands among the content, where whoever shares it would take it for rubbish.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use hakone_registry_api::{Algorithm, ContentDigest, RepositoryName, Tag};

use crate::Error;

/// The folders.
#[derive(Debug)]
pub(crate) struct Layout {
    blobs: PathBuf,
    state: PathBuf,
    next: AtomicU64,
}

impl Layout {
    /// Makes the folders and empties the staging folder.
    pub(crate) fn open(blobs: &Path, state: &Path) -> Result<Self, Error> {
        let layout = Self {
            blobs: blobs.to_owned(),
            state: state.to_owned(),
            next: AtomicU64::new(0),
        };
        let staging = layout.staging();
        if staging.exists() {
            fs::remove_dir_all(&staging).map_err(Error::disk("clear", &staging))?;
        }
        let algorithms = [Algorithm::Sha256, Algorithm::Sha512];
        let mut folders = algorithms
            .map(|algorithm| layout.content(algorithm))
            .to_vec();
        folders.extend([layout.repositories(), layout.uploads(), staging]);
        for folder in folders {
            fs::create_dir_all(&folder).map_err(Error::disk("make", &folder))?;
        }
        Ok(layout)
    }

    pub(crate) fn content(&self, algorithm: Algorithm) -> PathBuf {
        self.blobs.join(algorithm.as_str())
    }

    pub(crate) fn blob(&self, digest: &ContentDigest) -> PathBuf {
        self.content(digest.algorithm()).join(digest.hex())
    }

    pub(crate) fn repositories(&self) -> PathBuf {
        self.state.join("repositories")
    }

    pub(crate) fn uploads(&self) -> PathBuf {
        self.state.join("uploads")
    }

    fn staging(&self) -> PathBuf {
        self.state.join("staging")
    }

    pub(crate) fn repository(&self, name: &RepositoryName) -> PathBuf {
        self.repositories().join(name.as_str().replace('/', "+"))
    }

    pub(crate) fn tags(&self, name: &RepositoryName) -> PathBuf {
        self.repository(name).join("tags")
    }

    pub(crate) fn manifests(&self, name: &RepositoryName) -> PathBuf {
        self.repository(name).join("manifests")
    }

    pub(crate) fn links(&self, name: &RepositoryName) -> PathBuf {
        self.repository(name).join("blobs")
    }

    pub(crate) fn tag(&self, name: &RepositoryName, tag: &Tag) -> PathBuf {
        self.tags(name).join(format!("{tag}.json"))
    }

    pub(crate) fn manifest(&self, name: &RepositoryName, digest: &ContentDigest) -> PathBuf {
        self.manifests(name).join(record_name(digest))
    }

    pub(crate) fn link(&self, name: &RepositoryName, digest: &ContentDigest) -> PathBuf {
        self.links(name).join(record_name(digest))
    }

    /// Makes the folders of a repository.
    pub(crate) fn prepare(&self, name: &RepositoryName) -> Result<(), Error> {
        for folder in [self.tags(name), self.manifests(name), self.links(name)] {
            fs::create_dir_all(&folder).map_err(Error::disk("make", &folder))?;
        }
        Ok(())
    }

    /// Gives a path in the staging folder that nobody has used.
    pub(crate) fn staged(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.staging().join(number.to_string())
    }

    /// Writes content, safe from a power cut; content that is there already is left alone.
    pub(crate) fn keep(&self, digest: &ContentDigest, bytes: &[u8]) -> Result<(), Error> {
        let staged = self.staged();
        let written = File::create_new(&staged).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.map_err(Error::disk("write", &staged))?;
        self.install(&staged, digest)
    }

    /// Puts synced content in its place.
    pub(crate) fn install(&self, staged: &Path, digest: &ContentDigest) -> Result<(), Error> {
        let place = self.blob(digest);
        if place.exists() {
            return fs::remove_file(staged).map_err(Error::disk("remove", staged));
        }
        fs::rename(staged, &place).map_err(Error::disk("install", &place))?;
        let folder = self.content(digest.algorithm());
        let synced = File::open(&folder).and_then(|folder| folder.sync_all());
        synced.map_err(Error::disk("sync", &folder))
    }
}

/// Gives the repository of a folder of [`Layout::repositories`].
pub(crate) fn repository_of(folder: &Path) -> Option<RepositoryName> {
    folder.file_name()?.to_str()?.replace('+', "/").parse().ok()
}

fn record_name(digest: &ContentDigest) -> String {
    format!("{}-{}.json", digest.algorithm().as_str(), digest.hex())
}

/// Removes a record; one that is gone already is as good.
pub(crate) fn forget(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::disk("remove", path)(error))
        }
        _ => Ok(()),
    }
}
