//! Images as values: configs, manifests, indexes, archive tables, layer members, `--change` instructions.
//!
//! Everything here comes from strangers, so each parser caps size and count, verifies what can be verified without I/O, and
//! treats names inside an archive as keys, never as paths. No I/O: `service/image` reads and writes, this crate decides.

mod archive;
mod chain;
mod change;
mod document;
mod error;
mod glob;
mod image;
mod limits;
mod media_type;
mod member;

pub use archive::{ArchiveImage, Documents, MemberKey, Source};
pub use chain::chain_ids;
pub use change::{ChangeError, apply as apply_changes};
pub use document::{Descriptor, Document, Index, Manifest, Platform};
pub use error::Error;
pub use glob::matches as glob_matches;
/// The part of an image that says how to run it; its JSON is the same in the config blob and on the wire.
pub use hakone_engine_api::wire::ImageConfig;
pub use image::{History, Image, RootFs};
pub use limits::Limits;
pub use media_type::{Compression, MediaType};
pub use member::{LayerPath, Marker, Xattr};
