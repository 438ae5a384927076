//! The service's public face: builds, their cancellation, what is remembered of them.

use std::{
    collections::HashMap,
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use hakone_base::Digest;
use hakone_events::Bus;
use hakone_tar::ChunkReader;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    Built, Containers, Downloads, Error, Images, Progress, Request, Sources,
    build::Build,
    cache::Cache,
    marks::Marks,
    mounts::Locks,
    root,
    scratch::{Scratch, Temporary},
};

/// The label of the containers of steps.
pub(crate) const LABEL: &str = "dev.hakone.build.step";

/// Where the builder keeps things and what it allows.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data root of the daemon.
    pub data_root: PathBuf,
    /// Where nothing survives a reboot.
    pub run_root: PathBuf,
    /// Whether steps get a network only when they are asked to.
    pub hardened: bool,
}

/// The other capabilities that a builder uses.
#[derive(Clone)]
pub struct Neighbours {
    /// The store of images.
    pub images: Arc<dyn Images>,
    /// Containers for RUN.
    pub containers: Arc<dyn Containers>,
    /// Files for ADD.
    pub downloads: Arc<dyn Downloads>,
}

impl fmt::Debug for Neighbours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Neighbours")
    }
}

/// A handle on the builder; clones share it.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) images: Arc<dyn Images>,
    pub(crate) containers: Arc<dyn Containers>,
    pub(crate) downloads: Arc<dyn Downloads>,
    pub(crate) cache: Cache,
    pub(crate) scratch: Scratch,
    pub(crate) marks: Marks,
    pub(crate) caches: PathBuf,
    pub(crate) hardened: bool,
    pub(crate) events: Bus,
    /// Steps of one build at once; asked for once, because the answer is in files of control groups.
    pub(crate) turns: usize,
    locks: Mutex<Locks>,
    running: Mutex<HashMap<String, CancellationToken>>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("build::Service")
    }
}

impl Inner {
    /// Gives the lock of a cache folder.
    pub(crate) fn lock(&self, path: &std::path::Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(path.to_owned()).or_default())
    }
}

impl Service {
    /// Opens the builder; what a killed build left in its own folders is removed.
    ///
    /// # Errors
    /// When the folders cannot be used.
    pub fn open(options: &Options, neighbours: Neighbours, events: Bus) -> Result<Self, Error> {
        let data = options.data_root.join("build");
        let inner = Inner {
            images: neighbours.images,
            containers: neighbours.containers,
            downloads: neighbours.downloads,
            scratch: Scratch::open(&data, &options.run_root)?,
            cache: Cache::open(data.join("cache"))?,
            marks: Marks::open(data.join("marks"))?,
            caches: data.join("mounts"),
            hardened: options.hardened,
            events,
            turns: std::thread::available_parallelism().map_or(2, |n| n.get().max(2)),
            locks: Mutex::default(),
            running: Mutex::default(),
        };
        std::fs::create_dir_all(&inner.caches).map_err(Error::disk("make", &inner.caches))?;
        Ok(Self(Arc::new(inner)))
    }

    /// Removes the containers of builds that a killed daemon left, and images that nobody remembers.
    pub async fn settle(&self) {
        for mark in self.0.marks.left() {
            if !self.remove_marked(mark.text()).await {
                mark.leave();
            }
        }
        self.collect().await;
    }

    /// Removes the containers with a mark; tells whether all are gone.
    async fn remove_marked(&self, mark: &str) -> bool {
        let containers = &self.0.containers;
        let Ok(found) = containers.labelled(LABEL, mark).await else {
            return false;
        };
        let mut gone = true;
        for container in found {
            let removed = containers.remove(&container).await;
            gone &= removed.is_ok();
            if let Err(error) = removed {
                warn!(container.id = %container, %error, "the container of a step was left");
            }
        }
        gone
    }

    /// Builds an image. Dropping the future ends the build: its containers and folders go.
    ///
    /// # Errors
    /// When the Dockerfile is refused or a step fails.
    pub async fn build(
        &self,
        request: Request,
        sources: Arc<dyn Sources>,
        progress: Arc<dyn Progress>,
    ) -> Result<Built, Error> {
        let ticket = Ticket::new(&self.0, &request.id);
        let build = Build::new(Arc::clone(&self.0), request, sources, progress)?;
        let built = tokio::select! {
            built = Box::pin(build.run()) => built,
            () = ticket.token.cancelled() => Err(Error::Cancelled),
        };
        if let Ok(built) = &built {
            info!(digest = %built.image, "image built");
        }
        self.collect().await;
        built
    }

    /// Ends a build by its id; one that is over is well.
    pub fn cancel(&self, id: &str) {
        let running = self
            .0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = running.get(id) {
            token.cancel();
        }
    }

    /// Lists the images that remembered results and running builds need.
    #[must_use]
    pub fn images(&self) -> Vec<Digest> {
        self.0.cache.images()
    }

    /// Makes a folder for the time of a build, on the file system of the images.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn scratch(&self) -> Result<Temporary, Error> {
        self.0.scratch.folder("context")
    }

    /// Makes a folder in memory for the time of a build: for sockets and secrets.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn secret_scratch(&self) -> Result<Temporary, Error> {
        self.0.scratch.secret()
    }

    /// Streams the whole root file system of a result as a tar.
    ///
    /// # Errors
    /// When its image is gone. A failure later breaks the stream off.
    pub async fn root(&self, image: &str) -> Result<ChunkReader, Error> {
        let ground = self.0.images.find(image)?;
        let layers = self.0.images.layers(&ground.id)?;
        let place = self.0.scratch.folder("empty")?;
        let (mut writer, reader) = hakone_tar::outward();
        let opened = blocking(move || {
            let root = match layers.as_slice() {
                [] => hakone_mount::Root::open(place.path())
                    .map_err(|error| Error::Tree(error.into()))?,
                layers => root::reading(layers)?,
            };
            Ok((root, place))
        });
        let (root, place) = opened.await?;
        tokio::task::spawn_blocking(move || {
            let packed = pack(&root, &mut writer);
            drop(place);
            match packed {
                Ok(()) => drop(writer.finish()),
                Err(error) => writer.fail(error),
            }
        });
        Ok(reader)
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    pub(crate) async fn collect(&self) {
        if let Err(error) = self.0.images.collect().await {
            warn!(%error, "images of steps were left");
        }
    }
}

fn pack(root: &hakone_mount::Root, writer: &mut hakone_tar::ChunkWriter) -> io::Result<()> {
    let ids = hakone_tar::Ids::default();
    let found = hakone_tar::status(root, std::path::Path::new("/")).map_err(io::Error::other)?;
    let mut packer = hakone_tar::Packer::new(writer, &ids).map_err(io::Error::other)?;
    packer.tree(found.folder, b"").map_err(io::Error::other)?;
    packer.finish().map(drop).map_err(io::Error::other)
}

/// A build's entry in the list of those that can be cancelled.
struct Ticket {
    inner: Arc<Inner>,
    id: String,
    token: CancellationToken,
}

impl Ticket {
    fn new(inner: &Arc<Inner>, id: &str) -> Self {
        let token = CancellationToken::new();
        if !id.is_empty() {
            let mut running = inner.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.insert(id.to_owned(), token.clone());
        }
        Self {
            inner: Arc::clone(inner),
            id: id.to_owned(),
            token,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut running = self
            .inner
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.id);
    }
}

/// Runs blocking work of disk and kernel on a thread for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(_panic) => Err(Error::Cancelled),
    }
}
