//! What can go wrong with images.

use std::{io, path::PathBuf};

use hakone_base::{Digest, Fault, ImageRefError, Kind};
use hakone_engine_api::FilterError;
use hakone_image_model as model;

/// Why an operation on images failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing to save has this name or id.
    #[error("reference does not exist")]
    NoReference,
    /// No image has this name or id.
    #[error("No such image: {0}")]
    NotFound(String),
    /// Not a name that an image can have.
    #[error(transparent)]
    Reference(#[from] ImageRefError),
    /// A tag was asked for and a digest given.
    #[error("refusing to create a tag with a digest reference")]
    DigestAsTag,
    /// A filter of a list or a prune is wrong.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The image's only name, and a container stands on it.
    #[error(
        "conflict: unable to remove repository reference {reference:?} (must force) - container {container} is using its referenced image {image}"
    )]
    ReferenceInUse {
        /// The name as given.
        reference: String,
        /// The container, short.
        container: String,
        /// The image, short.
        image: String,
    },
    /// Something stands on the image.
    #[error("conflict: unable to delete {image} ({}) - {reason}", if *hard { "cannot be forced" } else { "must be forced" })]
    InUse {
        /// The image, short.
        image: String,
        /// Whether force does not help either.
        hard: bool,
        /// What stands on it.
        reason: String,
    },
    /// The archive or one of its documents is refused.
    #[error(transparent)]
    Document(#[from] model::Error),
    /// A change to a config is refused.
    #[error(transparent)]
    Change(#[from] model::ChangeError),
    /// A layer asks for more than the limits give.
    #[error("layer refused: {0}")]
    Limit(String),
    /// The stream that the client sends is broken.
    #[error("could not read the archive: {0}")]
    Stream(io::Error),
    /// The layer's tar is broken.
    #[error("could not read the layer: {0}")]
    Layer(io::Error),
    /// The disk failed us.
    #[error("could not {doing} {path}: {source}")]
    Disk {
        /// The verb.
        doing: &'static str,
        /// The object.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A layer's member could not be written.
    #[error("could not {doing} layer member {member:?}: {source}")]
    Write {
        /// The verb.
        doing: &'static str,
        /// The member.
        member: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A record could not be written.
    #[error("could not keep the image's record: {0}")]
    Record(#[from] hakone_store::Error),
    /// A document of ours could not be printed.
    #[error("could not print the image's document")]
    Print(#[from] serde_json::Error),
    /// A layer of the image is missing in the store.
    #[error("image {image} is damaged: layer {layer} is missing")]
    Damaged {
        /// The image.
        image: Digest,
        /// The layer.
        layer: Digest,
    },
    /// The work was cut off because the daemon stops.
    #[error("the daemon is stopping")]
    Stopping,
}

impl Error {
    pub(crate) fn disk(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk {
            doing,
            path,
            source,
        }
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NoReference | Self::NotFound(_) => Kind::NotFound,
            Self::Reference(_)
            | Self::DigestAsTag
            | Self::Filter(_)
            | Self::Change(_)
            | Self::Limit(_)
            | Self::Stream(_)
            | Self::Layer(_) => Kind::InvalidParameter,
            Self::ReferenceInUse { .. } | Self::InUse { .. } => Kind::Conflict,
            Self::Document(error) => error.kind(),
            Self::Disk { .. }
            | Self::Write { .. }
            | Self::Record(_)
            | Self::Print(_)
            | Self::Damaged { .. } => Kind::System,
            Self::Stopping => Kind::Unavailable,
        }
    }
}
