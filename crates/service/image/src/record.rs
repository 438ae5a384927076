//! What the disk remembers of images: one record an image, and one table of names.

use std::collections::BTreeMap;

use hakone_base::{Digest, Timestamp};
use hakone_store::Record;
use serde::{Deserialize, Serialize};

/// An image: its documents and layers by digest. Sizes stand here, all else is read from the config blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageRecord {
    pub(crate) id: Digest,
    pub(crate) manifest: Option<Digest>,
    pub(crate) layers: Vec<LayerRecord>,
    pub(crate) tagged: Timestamp,
    /// Removed by force while containers stood on it: kept for them, shown to nobody else.
    pub(crate) hidden: bool,
    /// How it is pushed, when that is otherwise than it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outgoing: Option<OutgoingRecord>,
}

/// Blobs and manifests that are pushed in an image's place: with what attests it, with its like for other platforms, packed otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutgoingRecord {
    /// The blobs with their sizes.
    pub(crate) blobs: BTreeMap<Digest, u64>,
    /// Manifests and indexes in the order in which they go, with their media types; the last is what the name means.
    pub(crate) manifests: Vec<(Digest, String)>,
}

/// A layer: the blob it came in and the folder it was unpacked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerRecord {
    pub(crate) diff_id: Digest,
    pub(crate) blob: Digest,
    pub(crate) blob_size: u64,
    pub(crate) media_type: String,
    /// Bytes of its files.
    pub(crate) size: u64,
}

/// All names in one file, so that a name moves from one image to another in one step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamesRecord {
    pub(crate) names: BTreeMap<String, Digest>,
    /// What names meant that were just given to an image whose record may not be written yet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) former: BTreeMap<String, Digest>,
}

impl Record for ImageRecord {
    const SCHEMA: u32 = 1;
}

impl Record for NamesRecord {
    const SCHEMA: u32 = 1;
}
