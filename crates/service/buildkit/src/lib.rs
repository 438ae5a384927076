//! Build clients: buildx and Compose, which speak BuildKit's protocol over connections of the Engine API.
//!
//! A client calls the engine on one connection and is called back on another, for files, secrets and passwords. This service carries
//! both: sessions, builds and their stories, transfers, exporters. What a build does is the [`Builder`]'s; what messages mean is
//! judged in `hakone-buildkit-model`. Everything that comes is hostile and bounded; everything of a client ends with its connection.

mod agent;
mod assemble;
mod attest;
mod bridge;
mod cache_in;
mod cache_out;
mod channel;
mod content;
mod contexts;
mod control;
mod direct;
mod error;
mod evidence;
mod export;
mod frontend;
mod grpc;
mod history;
mod layout;
mod materials;
mod neighbour;
mod receive;
mod report;
mod route;
mod send;
mod service;
mod sessions;
mod solve;
mod writer;

pub use agent::Agent;
pub use cache_in::Lender;
pub use direct::{Direct, Told};
pub use error::Error;
pub use materials::{Folder, Materials, Named};
pub use neighbour::{
    Archive, BoxFuture, Builder, Built, Delivery, Dockerfile, Failure, Job, Parcel, Prune, Reader,
    Remembered, Remote, Store,
};
pub use report::{Count, Report, Warning, now};
pub use service::{Facts, Service};
pub use sessions::Offer;
