//! Folders for the time of a build, and notes of what must not outlive it.
//!
//! Everything here is swept when the daemon starts: what is found then belonged to a build that was killed.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::Error;

/// The folders of the builder.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    root: PathBuf,
    memory: PathBuf,
    next: Arc<AtomicU64>,
}

/// A folder that goes when it is dropped.
#[derive(Debug)]
pub struct Temporary(PathBuf);

impl Scratch {
    /// Makes the folders anew: those for files, below the data root, and those for secrets, in memory.
    pub(crate) fn open(data: &Path, run: &Path) -> Result<Self, Error> {
        let scratch = Self {
            root: data.join("scratch"),
            memory: run.join("build"),
            next: Arc::new(AtomicU64::new(0)),
        };
        for folder in [&scratch.root, &scratch.memory] {
            match hakone_mount::remove_tree(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::disk("clear", folder)(error));
                }
                _ => make(folder)?,
            }
        }
        Ok(scratch)
    }

    /// Makes a folder on the file system of the images.
    pub(crate) fn folder(&self, what: &str) -> Result<Temporary, Error> {
        self.below(&self.root, what)
    }

    /// Makes a folder in memory, for what must never reach a disk.
    pub(crate) fn secret(&self) -> Result<Temporary, Error> {
        self.below(&self.memory, "secret")
    }

    fn below(&self, root: &Path, what: &str) -> Result<Temporary, Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = root.join(format!("{what}-{number}"));
        make(&path)?;
        Ok(Temporary(path))
    }
}

fn make(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(path);
    made.map_err(Error::disk("make", path))
}

impl Temporary {
    /// Tells where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.0);
        let work = move || {
            if let Err(error) = hakone_mount::remove_tree(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "a folder of a build was left");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(work)),
            Err(_) => work(),
        }
    }
}
