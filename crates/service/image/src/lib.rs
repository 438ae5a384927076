//! Images: a content-addressed store, layers unpacked once and shared; archives and registries as ways in and out.
//!
//! Blobs are kept as they came, so that what is saved or pushed has the digests that were loaded. Everything new is staged
//! in a folder of its own and renamed into place at the end; what a killed daemon leaves there is removed at the next start.
//! Nothing counts references: what is in use is derived from the records each time.

pub mod bootstrap;
mod build;
mod catalog;
mod commit;
mod error;
mod hello;
mod identity;
mod import;
mod inner;
mod inspect;
mod list;
mod load;
mod names;
mod pin;
mod progress;
mod prune;
mod record;
mod registry;
mod remove;
mod save;
mod service;
mod stage;
mod store;
mod unpack;
mod usage;

pub use build::{Ground, Step, Top};
pub use commit::CommitOptions;
pub use error::Error;
/// The part of an image that says how to run it.
pub use hakone_image_model::ImageConfig;
pub use hakone_image_model::{Limits, Platform};
/// What a user shows to a registry.
pub use hakone_registry::{Credentials, CredentialsError};
pub use hakone_tar::ChunkReader;
pub use import::ImportOptions;
pub use list::ListOptions;
pub use progress::Progress;
pub use registry::{LoginResult, Outgoing, Parcel, PullRequest, PushRequest};
pub use service::{Options, ResolvedImage, Service};
pub use usage::{Keeper, Kept, Usage, Users};
