//! What a builder needs of images, containers and the network, as narrow traits that the binary joins.

use std::{fmt, future::Future, path::PathBuf, pin::Pin, sync::Arc};

use hakone_base::{ContainerId, Digest, Fault, ImageRef, Secret};
use hakone_build_model::GitSource;
use hakone_engine_api::wire::ContainerCreateBody;
use hakone_image_model::{Descriptor, Image};
use tokio::io::AsyncRead;

use crate::{scratch::Temporary, sources::Bytes};

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A neighbour's refusal, with its own words and kind.
pub type Refusal = Box<dyn Fault + Send + Sync>;

/// Learns the id of an image before anybody can forget it.
pub type Claim = Box<dyn FnOnce(&Digest) + Send>;

/// The store of images.
pub trait Images: Send + Sync + 'static {
    /// Finds an image by name or id; by full id also one that only a builder knows.
    fn find(&self, reference: &str) -> Result<Ground, Refusal>;

    /// Finds an image by its id that stands on another, which is all there.
    fn find_above(&self, image: &Digest, below: &Ground) -> Result<Ground, Refusal>;

    /// Gives the folders of an image's layers, lowest first.
    fn layers(&self, image: &Digest) -> Result<Vec<PathBuf>, Refusal>;

    /// Fetches an image from its registry; ends early when the future is dropped.
    fn pull(&self, pull: Fetch) -> BoxFuture<'_, Result<(), Refusal>>;

    /// Takes an image in that nobody but the builder sees.
    fn enter(&self, made: Made, claim: Claim) -> BoxFuture<'_, Result<Ground, Refusal>>;

    /// Shows an image to people.
    fn publish<'a>(
        &'a self,
        image: &'a Digest,
        names: Vec<ImageRef>,
    ) -> BoxFuture<'a, Result<(), Refusal>>;

    /// Reports whether people see an image.
    fn is_visible(&self, image: &Digest) -> bool;

    /// Forgets the images that the builder does not keep any more.
    fn collect(&self) -> BoxFuture<'_, Result<(), Refusal>>;
}

/// An image as a builder goes on from it.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The image's id.
    pub id: Digest,
    /// Its document.
    pub image: Arc<Image>,
}

impl Ground {
    /// Reports whether a document is that of the image.
    pub(crate) fn is(&self, image: &Arc<Image>) -> bool {
        Arc::ptr_eq(&self.image, image) || self.image == *image
    }
}

/// Hears of a transfer: what, how far, of how much.
pub type Tell = Arc<dyn Fn(&str, u64, u64) + Send + Sync>;

/// An image to fetch.
#[derive(Clone)]
pub struct Fetch {
    /// Its name.
    pub reference: String,
    /// For which platform; `None` means the host's.
    pub platform: Option<String>,
    /// Who asks, as the JSON of `X-Registry-Auth`.
    pub credentials: Option<Secret<String>>,
    /// Hears how far it is: what, how far, of how much.
    pub tell: Tell,
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch")
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}

/// An image that a step made.
#[derive(Debug)]
pub struct Made {
    /// What it stands on; none for scratch.
    pub parent: Option<Digest>,
    /// What came on top.
    pub top: Top,
    /// Its document; the layers are filled in.
    pub image: Image,
}

/// What came on top of an image.
pub enum Top {
    /// Nothing.
    Nothing,
    /// The upper folder of an overlay, which is moved away.
    Folder {
        /// Where it is.
        path: PathBuf,
        /// What removes the rest of its surroundings.
        keep: Option<Temporary>,
    },
    /// A layer that another image has.
    Known(Digest),
    /// A layer that comes from elsewhere, and has to be what was said of it.
    Lent {
        /// The digest of its tar.
        diff_id: Digest,
        /// Its blob.
        blob: Descriptor,
        /// The blob's bytes.
        source: Bytes,
    },
}

impl fmt::Debug for Top {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Folder { path, .. } => f.debug_tuple("Folder").field(path).finish(),
            Self::Known(layer) => f.debug_tuple("Known").field(layer).finish(),
            Self::Lent { diff_id, .. } => f.debug_tuple("Lent").field(diff_id).finish(),
        }
    }
}

/// Containers, as far as RUN steps need them.
pub trait Containers: Send + Sync + 'static {
    /// Makes one; finished even when the future is dropped.
    fn create(&self, body: ContainerCreateBody) -> BoxFuture<'_, Result<ContainerId, Refusal>>;

    /// Starts it, its output attached, with variables that are in no record and on no disk.
    fn start<'a>(
        &'a self,
        container: &'a ContainerId,
        secrets: Vec<Secret<String>>,
    ) -> BoxFuture<'a, Result<Running, Refusal>>;

    /// Moves the writable folder of one that has ended to `place`.
    fn take<'a>(
        &'a self,
        container: &'a ContainerId,
        place: PathBuf,
    ) -> BoxFuture<'a, Result<(), Refusal>>;

    /// Removes it with its volumes, running or not; one that is gone is well.
    fn remove<'a>(&'a self, container: &'a ContainerId) -> BoxFuture<'a, Result<(), Refusal>>;

    /// Finds those that have a label with this value.
    fn labelled<'a>(
        &'a self,
        label: &'a str,
        value: &'a str,
    ) -> BoxFuture<'a, Result<Vec<ContainerId>, Refusal>>;
}

/// A container that runs.
pub struct Running {
    /// What it writes, in Docker's frames.
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    /// Its end: the exit code.
    pub exit: BoxFuture<'static, i64>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Running")
    }
}

/// Fetches files for ADD; never from where a registry may not lead either.
pub trait Downloads: Send + Sync + 'static {
    /// Writes what a URL gives to `place`, at most `limit` bytes; gives its name and when it was changed, in seconds.
    fn fetch<'a>(
        &'a self,
        url: &'a str,
        place: PathBuf,
        limit: u64,
    ) -> BoxFuture<'a, Result<Fetched, Refusal>>;

    /// Fetches a state of a git repository into the new folder `place`, by the same judgement.
    fn repository<'a>(
        &'a self,
        source: &'a GitSource,
        place: PathBuf,
    ) -> BoxFuture<'a, Result<Cloned, Refusal>>;
}

/// A state of a repository that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloned {
    /// The commit, in hex.
    pub commit: String,
    /// A bare tar of its files.
    pub archive: PathBuf,
}

/// A file that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its digest.
    pub digest: Digest,
    /// When it was changed, in seconds since 1970; 0 when nobody says.
    pub changed: i64,
}
