//! What archives need of containers, as a narrow trait that the binary joins.

use std::{any::Any, future::Future, path::PathBuf, pin::Pin};

use hakone_base::{ContainerId, Digest, Fault};
use hakone_engine_api::wire::ContainerConfig;
use hakone_tar::{ChunkReader, Ids};

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A neighbour's refusal, with its own words and kind.
pub type Refusal = Box<dyn Fault + Send + Sync>;

/// Containers that can be held open.
pub trait Containers: Send + Sync + 'static {
    /// Holds one open; one that rests is not started until it is let go.
    fn enter<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<Held, Refusal>>;

    /// Lets it go.
    fn leave(&self, held: Held) -> BoxFuture<'_, ()>;

    /// Announces what was done to it.
    fn announce(&self, container: &ContainerId, action: &str, extra: &[(&str, String)]);

    /// Freezes or thaws one.
    fn freeze<'a>(
        &'a self,
        container: &'a ContainerId,
        still: bool,
    ) -> BoxFuture<'a, Result<(), Refusal>>;
}

/// The store that a container's changes go to.
pub trait Images: Send + Sync + 'static {
    /// Makes an image of another one and what came on top of it; gives its id.
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Committed, Refusal>>;
}

/// An image to be made.
#[derive(Debug)]
pub struct Commit {
    /// What it is made upon.
    pub parent: Digest,
    /// What came on top of it; none when nothing did.
    pub layer: Option<ChunkReader>,
    /// How the container was configured.
    pub config: ContainerConfig,
    /// What the user says of it.
    pub wishes: Wishes,
}

/// What the user says of a new image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wishes {
    /// Its name, without a tag.
    pub repository: String,
    /// Its tag.
    pub tag: String,
    /// Who made it.
    pub author: String,
    /// Why.
    pub comment: String,
    /// Instructions such as `CMD ["sh"]`.
    pub changes: Vec<String>,
    /// A configuration in place of the container's.
    pub config: Option<ContainerConfig>,
    /// Whether the container stands still meanwhile.
    pub pause: bool,
}

/// An image that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its id.
    pub id: Digest,
    /// Its name as it is told in events; empty without one.
    pub name: String,
}

/// A container that is held open.
#[derive(Debug)]
pub struct Held {
    /// Its id.
    pub id: ContainerId,
    /// Where it is.
    pub place: Place,
    /// The image's layers, lowest first.
    pub layers: Vec<PathBuf>,
    /// Its own folder, with `upper` and `work` in it.
    pub folder: PathBuf,
    /// What is mounted in it besides.
    pub mounts: Vec<Inlay>,
    /// Whether its root is for reading only.
    pub read_only: bool,
    /// Whether it may use every device.
    pub privileged: bool,
    /// Whom its programs run as, as configured.
    pub user: String,
    /// Whether it stands still already.
    pub paused: bool,
    /// Its image.
    pub image: Digest,
    /// How it is configured.
    pub config: ContainerConfig,
    /// How its running root shows ids; what is stored has them as they are.
    pub ids: Ids,
    /// The neighbour's own hold.
    pub hold: Box<dyn Any + Send + Sync>,
}

/// Where a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It runs, with this init.
    Running(i32),
    /// It does not.
    Resting,
}

/// A path of the host that is mounted in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inlay {
    /// The path on the host.
    pub source: PathBuf,
    /// Where it is in the container.
    pub destination: PathBuf,
    /// Whether the container may write to it.
    pub writable: bool,
}
