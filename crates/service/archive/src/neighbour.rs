//! What archives need of containers, as a narrow trait that the binary joins.

use std::{any::Any, future::Future, path::PathBuf, pin::Pin};

use hakone_base::{ContainerId, Fault};
use hakone_tar::Ids;

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
    fn announce(&self, container: &ContainerId, action: &str);
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
    /// How its ids are stored.
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
