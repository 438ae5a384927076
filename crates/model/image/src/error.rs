//! What can be wrong with the documents of an image.

use hakone_base::{Digest, Fault, Kind};

/// Why a document, an archive or a layer member is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Larger than any honest document of its kind.
    #[error("{what} has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// The kind of document.
        what: &'static str,
        /// Its size.
        size: u64,
        /// What we read at most.
        limit: u64,
    },
    /// Not the JSON of such a document.
    #[error("invalid {what}: {source}")]
    Json {
        /// The kind of document.
        what: &'static str,
        /// Where the text goes wrong.
        source: serde_json::Error,
    },
    /// `layers` and `manifests` in one document: two readers would see two images (CVE-2021-41190).
    #[error("ambiguous document: it is both an image manifest and an index")]
    Ambiguous,
    /// The media type in the document is not the one it was announced as.
    #[error("media type {found} where {announced} was announced")]
    MediaType {
        /// What the descriptor says.
        announced: String,
        /// What the document says.
        found: String,
    },
    /// Content that does not have the announced digest.
    #[error("{what} has digest {found}, not {announced}")]
    Digest {
        /// The kind of content.
        what: &'static str,
        /// What was announced.
        announced: Digest,
        /// What was computed.
        found: Digest,
    },
    /// Content of another size than announced.
    #[error("{what} has {found} bytes, not {announced}")]
    Size {
        /// The kind of content.
        what: &'static str,
        /// What was announced.
        announced: u64,
        /// What was read.
        found: u64,
    },
    /// A layer whose unpacked bytes are not those that the config promises.
    #[error("invalid diffID for layer {index}: expected {expected:?}, got {found:?}")]
    DiffId {
        /// Which layer, from the bottom.
        index: usize,
        /// What the config promises.
        expected: Digest,
        /// What was computed.
        found: Digest,
    },
    /// The numbers of layers in manifest and config differ.
    #[error("invalid manifest, layers length mismatch: expected {config}, got {manifest}")]
    LayerCount {
        /// Diff ids in the config.
        config: usize,
        /// Layers in the manifest.
        manifest: usize,
    },
    /// More layers than an overlay can stack.
    #[error("max depth exceeded: {0} layers")]
    TooManyLayers(usize),
    /// Not an image for Linux.
    #[error("cannot load {0} image on linux")]
    OperatingSystem(String),
    /// No image of the index fits this machine.
    #[error("no matching manifest for {0} in the manifest list entries")]
    NoPlatform(String),
    /// A text that names no platform.
    #[error("{0:?} is an invalid platform: os/architecture[/variant] is expected")]
    Platform(String),
    /// Not an image, but something else that is kept in registries.
    #[error("unsupported media type {0}: this is no image that can be run")]
    Artifact(String),
    /// A layer that would have to be fetched from where its manifest says (CVE-2020-15157).
    #[error("layer {0} is foreign: layers from addresses that a manifest names are not fetched")]
    Foreign(Digest),
    /// An index that leads to another one, and that to another.
    #[error("the index leads to indexes without end")]
    Nested,
    /// The archive refers to a member that it does not have.
    #[error("invalid archive: no member {0:?}")]
    MissingMember(String),
    /// A key that points out of the archive.
    #[error("invalid archive: {0:?} does not name a member of the archive")]
    MemberName(String),
    /// Neither `manifest.json` nor `oci-layout` is there.
    #[error("invalid archive: it holds neither manifest.json nor index.json")]
    NotAnArchive,
    /// A tag in the archive that is no reference.
    #[error("invalid tag {0:?}")]
    Tag(String),
    /// A layer member whose path leaves the layer or cannot exist.
    #[error("layer member {path:?} refused: {reason}")]
    Member {
        /// The path as it stands in the layer.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::TooLarge { .. }
            | Self::Json { .. }
            | Self::Ambiguous
            | Self::MediaType { .. }
            | Self::Digest { .. }
            | Self::Size { .. }
            | Self::DiffId { .. }
            | Self::LayerCount { .. }
            | Self::TooManyLayers(_)
            | Self::OperatingSystem(_)
            | Self::MissingMember(_)
            | Self::MemberName(_)
            | Self::NotAnArchive
            | Self::Platform(_)
            | Self::Artifact(_)
            | Self::Foreign(_)
            | Self::Nested
            | Self::Tag(_)
            | Self::Member { .. } => Kind::InvalidParameter,
            Self::NoPlatform(_) => Kind::NotFound,
        }
    }
}
