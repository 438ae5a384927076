//! The verbs about the daemon as a whole, one file each, and `inspect`, which looks everywhere.

pub(crate) mod df;
pub(crate) mod events;
pub(crate) mod info;
pub(crate) mod inspect;
mod items;
pub(crate) mod prune;
pub(crate) mod version;
