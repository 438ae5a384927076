//! What can go wrong with images.

use std::{io, path::PathBuf};

use hakone_base::{Digest, Fault, ImageRef, ImageRefError, Kind, Timestamp};
use hakone_engine_api::FilterError;
use hakone_image_model as model;
use hakone_registry::{Error as Remote, Url};

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
    /// A registry did not give or take what was asked.
    #[error(transparent)]
    Registry(#[from] Remote),
    /// No registry answers.
    #[error("Get \"{url}\": {source}")]
    Unreachable {
        /// Where it was looked for.
        url: Url,
        /// Why.
        source: Remote,
    },
    /// The registry has no such manifest.
    #[error("manifest for {name} not found: {}", unknown(.source))]
    NoManifest {
        /// The image.
        name: String,
        /// What the registry said.
        source: Remote,
    },
    /// The registry has no such repository.
    #[error("repository {name} not found: {source}")]
    NoRepository {
        /// The repository.
        name: String,
        /// What the registry said.
        source: Remote,
    },
    /// The registry does not say whether there is such a repository.
    #[error(
        "pull access denied for {name}, repository does not exist or may require 'docker login': {source}"
    )]
    AccessDenied {
        /// The repository.
        name: String,
        /// What the registry said.
        source: Remote,
    },
    /// A pull failed in another way.
    #[error(transparent)]
    Pull(Remote),
    /// A login was refused.
    #[error("Get \"{url}\": {source}")]
    Login {
        /// Where.
        url: String,
        /// Why.
        source: Remote,
    },
    /// A repository without a tag.
    #[error("no tags found for repository {0}")]
    NoTags(String),
    /// Nothing to push has this tag.
    #[error("tag does not exist: {0}")]
    NoTag(String),
    /// Nothing to push is in this repository.
    #[error("An image does not exist locally with the tag: {0}")]
    NoLocalTag(String),
    /// A layer that is not what its manifest says.
    #[error("filesystem layer verification failed for digest {0}")]
    LayerDigest(Digest),
    /// Another platform was asked for.
    #[error(
        "image with reference {name} was found but its platform ({has}) does not match the specified platform ({wanted})"
    )]
    OtherPlatform {
        /// The image.
        name: String,
        /// Its platform.
        has: String,
        /// The one asked for.
        wanted: String,
    },
    /// A registry serves an older image for a tag than before.
    #[error(
        "{name} was rolled back: the registry now serves {served}, before it served {last} of {created}"
    )]
    RolledBack {
        /// The tag.
        name: String,
        /// What it means now.
        served: Digest,
        /// What it meant last.
        last: Digest,
        /// When that was made.
        created: Timestamp,
    },
    /// The work was cut off because the daemon stops.
    #[error("the daemon is stopping")]
    Stopping,
}

/// What registries answer to a question for a manifest they have not, when they say nothing else.
fn unknown(source: &Remote) -> String {
    match source.refusal() {
        Some(refusal) => refusal.to_string(),
        None => "manifest unknown: manifest unknown".to_owned(),
    }
}

impl Error {
    /// Says a registry's refusal of a pull in Docker's words.
    pub(crate) fn of_pull(source: Remote, name: &ImageRef) -> Self {
        let code = source.refusal().map(|refusal| refusal.code.clone());
        let (whole, repository) = (name.to_string(), name.familiar_name());
        match code.as_deref() {
            Some("DENIED") => Self::AccessDenied {
                name: repository,
                source,
            },
            Some("NAME_UNKNOWN") => Self::NoRepository {
                name: repository,
                source,
            },
            Some("MANIFEST_UNKNOWN") | None if source.is_missing() => Self::NoManifest {
                name: whole,
                source,
            },
            _ => Self::Pull(source),
        }
    }

    /// Says that no registry answers; a refusal by one is its own.
    pub(crate) fn unreachable(source: Remote, url: &Url) -> Self {
        match source {
            Remote::Refused { .. } | Remote::Denied(_) => Self::Pull(source),
            source => Self::Unreachable {
                url: url.with_path("/v2/").unwrap_or_else(|_| url.clone()),
                source,
            },
        }
    }

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
            Self::NoReference
            | Self::NotFound(_)
            | Self::NoManifest { .. }
            | Self::NoRepository { .. }
            | Self::AccessDenied { .. }
            | Self::NoTags(_)
            | Self::NoTag(_)
            | Self::NoLocalTag(_)
            | Self::OtherPlatform { .. } => Kind::NotFound,
            Self::RolledBack { .. } => Kind::Forbidden,
            Self::Registry(error) | Self::Login { source: error, .. } => error.kind(),
            // Clients take "unauthorized" as a wish to be asked for a password, which Docker never provokes here.
            Self::Pull(error) => match error.kind() {
                Kind::Unauthorized => Kind::System,
                kind => kind,
            },
            Self::Reference(_)
            | Self::DigestAsTag
            | Self::Filter(_)
            | Self::Change(_)
            | Self::LayerDigest(_)
            | Self::Limit(_)
            | Self::Stream(_)
            | Self::Layer(_) => Kind::InvalidParameter,
            Self::ReferenceInUse { .. } | Self::InUse { .. } => Kind::Conflict,
            Self::Document(error) => error.kind(),
            Self::Disk { .. }
            | Self::Write { .. }
            | Self::Record(_)
            | Self::Print(_)
            | Self::Unreachable { .. }
            | Self::Damaged { .. } => Kind::System,
            Self::Stopping => Kind::Unavailable,
        }
    }
}
