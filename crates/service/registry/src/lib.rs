//! A registry: repositories of manifests and blobs over a content store, which may be the engine's own.
//!
//! Content lies by digest, once, whoever needs it; each repository has records of what it holds. Nothing is counted: what is
//! alive is derived from the records, and a blob is removed under the same lock under which it could be linked, so collecting
//! is safe while pushes run. Whose request may do what is decided by rules (`auth`), before any of this is asked.

pub mod auth;
mod away;
mod blob;
mod cache;
mod catalog;
mod error;
mod import;
mod journal;
mod layout;
mod listing;
mod load;
mod manifest;
mod notify;
mod pace;
mod record;
mod service;
mod sweep;
mod upload;

pub use blob::BlobFile;
pub use cache::{Cached, Upstream};
pub use error::Error;
pub use hakone_registry_api as api;
pub use import::{Imported, import};
pub use journal::{Ask, BoxFuture, Gate, Journal, Log, Open};
pub use listing::Found;
pub use manifest::{Put, Stored};
pub use notify::{Endpoint, Notices};
pub use pace::{Key, Pace, Rate};
pub use service::{Caller, Neighbour, Options, Registry, RepositoryPolicy};
pub use sweep::Collected;
pub use upload::{Body, Opened};
