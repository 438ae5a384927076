//! What this service needs of others: a builder. `crates/hakone/src/compose` joins it with the one there is.

use std::{any::Any, fmt, path::PathBuf, pin::Pin, sync::Arc};

use hakone_base::{Digest, ImageRef, Kind, Secret};
use hakone_build_model::Trace;
use hakone_buildkit_model::{
    Material, Order,
    wire::{self, pb},
};
use hakone_image_model::Descriptor;
use prost::Message as _;
use tokio::io::AsyncRead;
use tonic::{Code, Status};

use crate::{
    materials::{Folder, Materials},
    report::Report,
};

/// A future that can be stored.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Bytes that come one after the other.
pub type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// A build to be done.
#[derive(Debug)]
pub struct Job {
    /// What is wanted.
    pub order: Order,
    /// For which of its platforms; none for the host's.
    pub platform: Option<String>,
    /// The Dockerfile.
    pub dockerfile: Arc<Dockerfile>,
    /// What the build reads of its client.
    pub materials: Arc<Materials>,
    /// Where it tells what it does.
    pub report: Report,
    /// Whether the result is to be an image of this engine, or only its files count.
    pub image: bool,
}

/// The text of a build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dockerfile {
    /// Its name, for messages.
    pub name: String,
    /// Its bytes.
    pub text: Vec<u8>,
}

/// What a build gave.
#[derive(Clone, Debug, Default)]
pub struct Built {
    /// The image's id, `sha256:…`.
    pub image: String,
    /// Its config as it is stored.
    pub config: Vec<u8>,
    /// The images that it began with.
    pub materials: Vec<Material>,
    /// What stands after which step of the result's own stages.
    pub trail: Vec<Trace>,
    /// The same of all stages.
    pub trails: Vec<Trace>,
    /// Keeps the image in the store until the result is dropped.
    pub hold: Option<Arc<dyn Any + Send + Sync>>,
}

/// A context from elsewhere.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Its files.
    pub folder: Folder,
    /// Its Dockerfile, when that was asked for.
    pub dockerfile: Vec<u8>,
}

/// A cache to be put into a registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parcel {
    /// The layers by their tars.
    pub layers: Vec<Digest>,
    /// The list of what they stand after.
    pub config: Vec<u8>,
    /// The manifest: its media type and its text.
    pub manifest: (String, Vec<u8>),
}

/// Images as registries are to have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Blobs that lie in files.
    pub files: Vec<(Descriptor, PathBuf)>,
    /// Small blobs.
    pub documents: Vec<Vec<u8>>,
    /// Manifests and indexes in the order in which they go; the last is what the name means.
    pub manifests: Vec<(Descriptor, Vec<u8>)>,
}

/// A place where documents and layers are, by their digests: a registry, a folder of the client.
pub trait Store: Send + Sync + 'static {
    /// Gives the manifest that the place is named for, or the one with a digest. Its digest was verified.
    fn manifest<'a>(
        &'a self,
        digest: Option<&'a Digest>,
    ) -> BoxFuture<'a, Result<Vec<u8>, Failure>>;

    /// Gives a small blob, verified.
    fn document<'a>(
        &'a self,
        blob: &'a Descriptor,
        limit: u64,
    ) -> BoxFuture<'a, Result<Vec<u8>, Failure>>;

    /// Gives the bytes of a blob as they come; nobody verified them.
    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<Reader, Failure>>;
}

/// The kinds of image archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Archive {
    /// As `docker save` writes.
    Docker,
    /// An OCI image layout.
    Oci,
}

/// A remembered result of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Its id.
    pub id: String,
    /// What it came from.
    pub description: String,
    /// Bytes.
    pub size: u64,
    /// When it was made: nanoseconds since the epoch.
    pub created: u64,
    /// When it was last used.
    pub used: u64,
    /// How often.
    pub uses: u64,
    /// Whether something needs it now.
    pub in_use: bool,
    /// Whether an image has it too.
    pub shared: bool,
    /// `regular`, `exec.cachemount`.
    pub kind: String,
}

/// Which remembered results go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prune {
    /// Also those that images share.
    pub all: bool,
    /// Only what was not used for so many nanoseconds.
    pub unused_for: u64,
    /// So many bytes may stay.
    pub keep: u64,
    /// Conditions, `type==regular`.
    pub filters: Vec<String>,
}

/// Builds images.
pub trait Builder: Send + Sync + 'static {
    /// Carries a build out; dropping the future cancels it. The result has no name yet.
    fn build(&self, job: Job) -> BoxFuture<'_, Result<Built, Failure>>;

    /// Gives a result its names.
    fn name<'a>(
        &'a self,
        image: &'a str,
        names: &'a [ImageRef],
    ) -> BoxFuture<'a, Result<(), Failure>>;

    /// Sends a name of a result to its registry.
    fn push<'a>(
        &'a self,
        name: &'a ImageRef,
        credentials: Option<Secret<String>>,
    ) -> BoxFuture<'a, Result<(), Failure>>;

    /// Fetches a context from an address, judged as those of `ADD` are; with the name of a Dockerfile also that.
    fn remote<'a>(
        &'a self,
        address: &'a str,
        dockerfile: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Remote, Failure>>;

    /// Takes an image in from an archive that may be anybody's, without a name.
    fn load(&self, archive: Reader) -> BoxFuture<'_, Result<(), Failure>>;

    /// Begins a conversation about a name in its registry.
    fn store<'a>(
        &'a self,
        name: &'a ImageRef,
        credentials: Option<Secret<String>>,
    ) -> BoxFuture<'a, Result<Arc<dyn Store>, Failure>>;

    /// Describes the blob of a layer of this engine, by the digest of its tar, and tells where it is.
    fn layer(&self, layer: &Digest) -> Result<(Descriptor, PathBuf), Failure>;

    /// Puts a cache into a registry.
    fn put<'a>(
        &'a self,
        name: &'a ImageRef,
        credentials: Option<Secret<String>>,
        parcel: Parcel,
    ) -> BoxFuture<'a, Result<(), Failure>>;

    /// Says how a result is pushed, now and later: as this, whose files are taken, or as it is kept.
    fn send_as<'a>(
        &'a self,
        image: &'a str,
        delivery: Option<Delivery>,
    ) -> BoxFuture<'a, Result<(), Failure>>;

    /// Gives the files of a result as a tar stream.
    fn files<'a>(&'a self, built: &'a Built) -> BoxFuture<'a, Result<Reader, Failure>>;

    /// Gives a result as an archive.
    fn archive<'a>(
        &'a self,
        built: &'a Built,
        names: &'a [ImageRef],
        kind: Archive,
    ) -> BoxFuture<'a, Result<Reader, Failure>>;

    /// Lists what is remembered.
    fn remembered(&self) -> BoxFuture<'_, Result<Vec<Remembered>, Failure>>;

    /// Forgets, and gives what is gone.
    fn prune(&self, wish: Prune) -> BoxFuture<'_, Result<Vec<Remembered>, Failure>>;
}

/// Why a build failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// In words for its user.
    pub message: String,
    /// Of what sort it is.
    pub kind: Kind,
    /// Where in the Dockerfile: its name and text, and the first and last line from 1.
    pub place: Option<(Arc<Dockerfile>, usize, usize)>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Failure {
    /// A failure of which only the words are known.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind,
            place: None,
        }
    }

    /// Prints it as a call's status, with the lines of the Dockerfile for the client to show.
    pub(crate) fn status(&self) -> Status {
        let Some((dockerfile, first, last)) = &self.place else {
            return Status::unknown(self.message.clone());
        };
        let detail = wire::Any {
            type_url: "github.com/moby/buildkit/errdefs.Source+json".into(),
            value: source(dockerfile, *first, *last).to_string().into_bytes(),
        };
        let full = wire::Status {
            code: Code::Unknown.into(),
            message: self.message.clone(),
            details: vec![detail],
        };
        Status::with_details(
            Code::Unknown,
            self.message.clone(),
            full.encode_to_vec().into(),
        )
    }
}

fn source(dockerfile: &Dockerfile, first: usize, last: usize) -> serde_json::Value {
    let data = data_encoding::BASE64.encode(&dockerfile.text);
    serde_json::json!({
        "info": {"filename": dockerfile.name, "data": data, "language": "Dockerfile"},
        "ranges": [{"start": {"line": first}, "end": {"line": last}}],
    })
}

/// Gives a range of lines as messages have it.
pub(crate) fn range(first: usize, last: usize) -> pb::Range {
    let position = |line| {
        Some(pb::Position {
            line: i32::try_from(line).unwrap_or(0),
            character: 0,
        })
    };
    pb::Range {
        start: position(first),
        end: position(last),
    }
}
