//! What the disk remembers: a file a tag, a manifest, an uploaded blob, an upload. All else is read from the content.

use hakone_base::Timestamp;
use hakone_registry_api::{ContentDigest, RepositoryName, Tag};
use hakone_store::Record;
use serde::{Deserialize, Serialize};

/// What a tag means.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TagRecord {
    pub(crate) tag: Tag,
    pub(crate) digest: ContentDigest,
}

/// A manifest of a repository; what it refers to stands in its bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ManifestRecord {
    pub(crate) digest: ContentDigest,
    pub(crate) media_type: String,
    pub(crate) pushed: Timestamp,
}

/// A blob that came to a repository; of use until a manifest refers to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LinkRecord {
    pub(crate) digest: ContentDigest,
    pub(crate) size: u64,
    pub(crate) since: Timestamp,
}

/// An upload; how far it got is the length of its data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    pub(crate) id: String,
    pub(crate) repository: RepositoryName,
    pub(crate) algorithm: String,
}

impl Record for TagRecord {
    const SCHEMA: u32 = 1;
}

impl Record for ManifestRecord {
    const SCHEMA: u32 = 1;
}

impl Record for LinkRecord {
    const SCHEMA: u32 = 1;
}

impl Record for UploadRecord {
    const SCHEMA: u32 = 1;
}
