//! Folder trees as tar streams: out of a container's root, into it, and what layers and such streams share.
//!
//! Both sides are hostile: a stream may hold any name, a container may exchange any folder for a link while it is read or
//! written. So names are parsed by `hakone-image-model`, every folder is opened inside the root it belongs to and held, and
//! only names within held folders are touched. Nothing here runs a program or looks up a user.

mod attributes;
mod basin;
mod change;
mod content;
mod error;
mod extract;
mod folder;
mod header;
mod ids;
mod inflate;
mod layer;
mod member;
mod pack;
mod pipe;
mod sparse;
mod status;
mod upper;

pub use attributes::{Attributes, Unreadable};
pub use change::{Change, ChangeKind, changes};
pub use content::{CopyError, copy};
pub use error::Error;
pub use extract::{Devices, Options, Privileges, extract};
pub use folder::Folders;
pub use ids::{IdRange, Ids};
pub use inflate::Inflated;
pub use layer::layer;
pub use member::{Gate, each_member};
pub use pack::{Packer, open_folder};
pub use pipe::{
    BlockingReader, ChunkReader, ChunkWriter, attended, beside, chunks, inward, outward,
};
pub use status::{Status, status};
pub use upper::{Packed, upper};
