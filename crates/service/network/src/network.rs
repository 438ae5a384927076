//! Networks: opened at start, created, removed, pruned.

mod create;
mod defaults;
mod open;
mod remove;

pub(crate) use create::create;
pub(crate) use open::open;
pub(crate) use remove::{prune, purge, remove};
