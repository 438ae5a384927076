//! The verbs of images, one file each; those of registries, and the passwords kept for them, in their folder.

pub mod archive;
pub mod bootstrap;
pub mod history;
pub mod import;
pub mod inspect;
pub mod load;
pub mod ls;
pub mod prune;
pub mod pull;
pub mod push;
pub mod registry;
pub mod rm;
pub mod save;
pub mod tag;

mod path;

pub use path::path;
