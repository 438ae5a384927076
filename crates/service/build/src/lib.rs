//! Builds images: carries out the steps of Dockerfiles, and remembers what they gave.
//!
//! What a build reads it asks its [`Sources`] for; what it does it tells its [`Progress`]; so the classic endpoint and the
//! BuildKit side are two ways to the same builder. A build ends when the future of its caller is dropped: its containers
//! and folders are removed then, and after a crash at the next start.

mod archive;
mod build;
mod cache;
mod classic;
mod context;
mod error;
mod files;
mod folder;
mod marks;
mod mounts;
mod neighbour;
mod progress;
mod prune;
mod request;
mod reuse;
mod root;
mod run;
mod scratch;
mod service;
mod sources;
mod stage;
mod tell;

pub use hakone_build_model::{GitSource, Shelf, Trace, shelf};

pub use classic::{Classic, Lines};
pub use context::{Context, ContextError, fetch_files};
pub use error::Error;
pub use neighbour::{
    BoxFuture, Claim, Cloned, Containers, Downloads, Fetch, Fetched, Ground, Images, Made, Refusal,
    Running, Tell, Top,
};
pub use progress::{Event, Progress, StepNumber, Stream, Vertex};
pub use prune::{CacheEntry, PruneOptions, Pruned};
pub use request::{Built, Cleanup, Export, Hold, Pull, Request, Resources, Reuse, Style};
pub use scratch::Temporary;
pub use service::{Neighbours, Options, Service};
pub use sources::{Agent, Blobs, Bytes, Folder, Lender, Named, Sources, Wanted};
