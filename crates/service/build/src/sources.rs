//! What a build reads besides its Dockerfile: folders, secrets, agents. Asked for when it is needed and never earlier.
//!
//! Files of a folder are hostile: names may be links that lead anywhere, and the builder follows none out of the folder.
//! Secrets never go into a layer, a key or a log.

use std::{any::Any, fmt, path::PathBuf, sync::Arc};

use hakone_base::Secret;
use hakone_build_model::Shelf;
use hakone_image_model::Descriptor;
use tokio::io::AsyncRead;

use crate::{BoxFuture, Refusal};

/// What a build reads.
pub trait Sources: Send + Sync + 'static {
    /// Gives the main build context. Asked at most once a build, and only when a step reads it.
    fn context<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Folder, Refusal>>;

    /// Gives what a name of `COPY --from`, `FROM` or `--mount from=` means, when the client said so (`--build-context`).
    fn named<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Named>, Refusal>>;

    /// Gives a secret by its id; none when the client has none of that id.
    fn secret<'a>(&'a self, id: &'a str)
    -> BoxFuture<'a, Result<Option<Secret<Vec<u8>>>, Refusal>>;

    /// Gives the path on the host of a socket that speaks to an SSH agent; `default` is the id of a mount that names none.
    /// The socket lives as long as what is given.
    fn agent<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Agent>, Refusal>>;

    /// Gives the credentials for a registry's host, as the JSON of `X-Registry-Auth`; none for nobody.
    fn credentials<'a>(
        &'a self,
        host: &'a str,
    ) -> BoxFuture<'a, Result<Option<Secret<String>>, Refusal>>;

    /// Gives the caches that the client named, besides images of this host. Asked at most once a build, when the first step
    /// would have to be done; one that cannot be had is left out.
    fn caches(&self) -> BoxFuture<'_, Vec<Lender>> {
        Box::pin(async { Vec::new() })
    }
}

/// Bytes that come one after the other.
pub type Bytes = Box<dyn AsyncRead + Send + Unpin>;

/// A cache that somebody lends: what stands after which step, and the layers.
#[derive(Clone)]
pub struct Lender {
    /// The list.
    pub shelf: Arc<Shelf>,
    /// The layers.
    pub blobs: Arc<dyn Blobs>,
}

impl fmt::Debug for Lender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lender").field(&self.shelf).finish()
    }
}

/// Where the blobs of a cache are. Nobody believes what they are before it was hashed.
pub trait Blobs: Send + Sync + 'static {
    /// Gives a blob's bytes.
    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<Bytes, Refusal>>;
}

/// Which part of a context is read. More may be given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Paths and patterns of COPY and ADD, relative to the context's root; empty means everything.
    pub patterns: Vec<String>,
}

/// A folder of the host with a context in it; what `keep` holds lives as long.
#[derive(Clone)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// Patterns of what counts as absent: the lines of `.dockerignore`, when they were not applied already.
    pub ignored: Vec<String>,
    /// What removes the folder when it is dropped.
    pub keep: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What a name means.
#[derive(Clone, Debug)]
pub enum Named {
    /// An image, by reference (`docker-image://…`).
    Image(String),
    /// A folder.
    Folder(Folder),
}

/// A socket that speaks to an SSH agent.
#[derive(Clone)]
pub struct Agent {
    /// Where it is on the host.
    pub path: PathBuf,
    /// What closes it when it is dropped.
    pub keep: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
