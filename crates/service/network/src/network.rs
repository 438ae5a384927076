//! Networks: opened at start, created, removed, pruned.

mod create;
mod defaults;
mod open;
mod pattern;
mod remove;

pub(crate) use create::{create, record_path};
pub(crate) use open::open;
pub(crate) use remove::{prune, purge, remove};
