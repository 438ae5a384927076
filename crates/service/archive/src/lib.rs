//! Files of containers: copied in and out, exported, compared with the image they began as.
//!
//! Whoever copies runs as root on the host and works on paths that a container chose. So a container's root is held by a
//! descriptor from the check to the use: that of its running init, or an overlay that is mounted for nobody else; and all
//! paths end inside of it (`hakone-mount`, `hakone-tar`). No program is started, no user of the container is looked up by a
//! library: what the container has in place of such a library is never loaded.

mod commit;
mod error;
mod neighbour;
mod passwd;
mod service;
mod view;

pub use error::Error;
pub use neighbour::{
    BoxFuture, Commit, Committed, Containers, Held, Images, Inlay, Place, Refusal, Wishes,
};
pub use service::{Change, ChangeKind, Outgoing, PathStat, PutOptions, Service};
