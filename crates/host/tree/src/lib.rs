//! Folder trees as builds need them: found by pattern, measured, copied, and an overlay's upper folder made a layer.
//!
//! Sources and targets are hostile: a build context may hold any link, an image may have a link where a file is to go. Paths
//! are followed inside the root that they belong to and never out of it; below a source nothing is followed at all; what
//! stands in the way at the target is removed, never written through.

mod copy;
mod error;
mod find;
mod measure;
mod settle;
mod walk;

pub use copy::{CopyOptions, copy};
pub use error::Error;
pub use find::find;
pub use measure::{Kind, Measured, measure};
pub use settle::{settle, size};
pub use walk::Keep;
