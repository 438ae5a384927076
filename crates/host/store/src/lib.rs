//! Durable records: one JSON file an object, replaced atomically.
//!
//! A torn or foreign file must cost one object, never the daemon: each record stands alone, carries its schema
//! version, and an unreadable one is reported beside the readable ones. Services load all at start and save on change.

mod atomic;
mod record;

pub use atomic::{Durability, discard_all_torn, discard_torn, write_atomic};
pub use record::{Error, Record, Unreadable, load, load_all, save};
