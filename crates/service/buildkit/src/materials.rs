//! What a build reads of its client: folders, secrets, agents, passwords. Asked for when it is needed and never earlier.
//!
//! Secrets and passwords pass through memory alone: they are neither kept nor logged.

use std::{
    any::Any,
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use hakone_base::Secret;
use hakone_buildkit_model::{
    CacheSource, Graph, Limits, MainContext, Operation, Order, patterns,
    wire::{files, pb, secrets},
};
use hakone_image_model::Platform;
use tokio::sync::OnceCell;
use tonic::Code;

use crate::{
    Agent, Error, agent,
    contexts::Contexts,
    frontend::Bench,
    layout::Layout,
    neighbour::{Builder, Remote},
    receive,
    receive::{Asked, Scratch},
    report::{Count, Report, now},
    sessions::Session,
    writer,
};

const SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
const CREDENTIALS: &str = "/moby.filesync.v1.Auth/Credentials";
/// Bytes of one secret, as BuildKit has it.
const LARGEST_SECRET: usize = 500 << 10;
/// Bytes of an ignore file.
const LARGEST_LIST: u64 = 4 << 20;

/// A folder of a context; it vanishes with its last holder.
#[derive(Clone)]
pub struct Folder {
    path: PathBuf,
    _keep: Arc<dyn Any + Send + Sync>,
}

impl Folder {
    /// Names a folder that `keep` holds.
    #[must_use]
    pub fn new(path: PathBuf, keep: Arc<dyn Any + Send + Sync>) -> Self {
        Self { path, _keep: keep }
    }

    fn of(scratch: Scratch) -> Self {
        Self::new(scratch.path().to_owned(), scratch)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Folder").field(&self.path).finish()
    }
}

/// What a name of a context means.
#[derive(Clone, Debug)]
pub enum Named {
    /// An image.
    Image(String),
    /// A folder.
    Folder(Folder),
}

/// What one build may read.
pub struct Materials {
    pub(crate) session: Arc<Session>,
    pub(crate) above: std::path::PathBuf,
    pub(crate) kept: Contexts,
    pub(crate) report: Report,
    pub(crate) main: MainContext,
    pub(crate) contexts: BTreeMap<String, String>,
    pub(crate) inputs: BTreeMap<String, pb::Definition>,
    /// Caches that the client names.
    pub(crate) caches: Vec<CacheSource>,
    pub(crate) builder: Arc<dyn Builder>,
    /// Patterns of `.dockerignore`.
    pub(crate) ignored: OnceCell<Vec<String>>,
    /// A context that came as an archive.
    pub(crate) archive: OnceCell<Folder>,
    /// A context that is elsewhere, and its Dockerfile.
    pub(crate) elsewhere: OnceCell<Remote>,
}

impl std::fmt::Debug for Materials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Materials")
            .field("main", &self.main)
            .finish_non_exhaustive()
    }
}

impl Materials {
    pub(crate) fn new(session: Arc<Session>, bench: &Bench, report: Report, order: &Order) -> Self {
        Self {
            session,
            above: bench.scratch.clone(),
            kept: bench.contexts.clone(),
            report,
            main: order.context.clone(),
            contexts: order.contexts.clone(),
            inputs: BTreeMap::new(),
            caches: order.cache_from.clone(),
            builder: Arc::clone(&bench.builder),
            ignored: OnceCell::new(),
            archive: OnceCell::new(),
            elsewhere: OnceCell::new(),
        }
    }

    /// Gives the main context; `wanted` are the paths and patterns that will be read, empty for all.
    ///
    /// # Errors
    /// When the client does not give it.
    pub async fn context(&self, wanted: &[String]) -> Result<Folder, Error> {
        let folder = match &self.main {
            MainContext::Folder => "context",
            MainContext::Named(name) => name,
            MainContext::Upload(_) => return self.uploaded().await,
            MainContext::Remote(_) => return Ok(self.elsewhere(None).await?.folder),
        };
        let ignored = self.ignored(folder, None).await?;
        let asked = Asked {
            folder: folder.to_owned(),
            exclude: ignored,
            follow: patterns::narrowed(wanted),
            keep: true,
        };
        self.fetch(
            "[internal] load build context",
            "transferring context:",
            asked,
        )
        .await
    }

    /// Gives the patterns of `.dockerignore`; `beside` are those that lie beside the Dockerfile and come first.
    pub(crate) async fn ignored(
        &self,
        folder: &str,
        beside: Option<Vec<u8>>,
    ) -> Result<Vec<String>, Error> {
        let load = async || match beside {
            Some(text) => Ok(patterns::ignored(&text)),
            None => {
                self.ignore_file("[internal] load .dockerignore", folder)
                    .await
            }
        };
        self.ignored.get_or_try_init(load).await.cloned()
    }

    async fn ignore_file(&self, vertex: &str, folder: &str) -> Result<Vec<String>, Error> {
        let asked = Asked {
            folder: folder.to_owned(),
            follow: vec![".dockerignore".to_owned()],
            ..Asked::default()
        };
        let folder = self.fetch(vertex, "transferring context:", asked).await?;
        let text = writer::read(folder.path(), ".dockerignore", LARGEST_LIST);
        let text = text.map_err(Error::host("read .dockerignore"))?;
        Ok(patterns::ignored(&text.unwrap_or_default()))
    }

    /// Fetches a folder, and tells of it as a vertex.
    pub(crate) async fn fetch(
        &self,
        vertex: &str,
        what: &str,
        asked: Asked,
    ) -> Result<Folder, Error> {
        let into = receive::scratch(&self.above)?;
        let started = now();
        self.report
            .during(vertex, async |digest| {
                let count = |current: u64, completed| Count {
                    id: what.to_owned(),
                    current,
                    total: 0,
                    started: Some(started),
                    completed,
                };
                let told = |bytes| self.report.count(digest, count(bytes, None));
                let bytes =
                    receive::folder(&self.session, &self.kept, &asked, Arc::clone(&into), told)
                        .await?;
                self.report.count(digest, count(bytes, Some(now())));
                Ok::<_, Error>(())
            })
            .await?;
        Ok(Folder::of(into))
    }

    /// Gives what a name of a context means; none when the client did not say.
    ///
    /// # Errors
    /// When the client does not give it, or it is somewhere that this engine does not look.
    pub async fn named(&self, name: &str) -> Result<Option<Named>, Error> {
        let Some(place) = self.contexts.get(name) else {
            return Ok(None);
        };
        let (kind, rest) = place.split_once(':').unwrap_or((place, ""));
        let named = match kind {
            "docker-image" => Named::Image(rest.trim_start_matches("//").to_owned()),
            "local" => Named::Folder(self.local(name, rest).await?),
            "input" => self.input(rest)?,
            "oci-layout" => Named::Image(self.layout(name, rest).await?),
            "git" | "ssh" | "http" | "https" => {
                let vertex = format!("[context {name}] load {}", shown(place));
                Named::Folder(self.fetched(&vertex, place, None).await?.folder)
            }
            _ => return Err(remote(place)),
        };
        Ok(Some(named))
    }

    /// Takes an image of the client's own layout into the store, where it has no name.
    async fn layout(&self, name: &str, place: &str) -> Result<String, Error> {
        let vertex = format!("[context {name}] load oci-layout");
        let load = async |_: &str| {
            let own = Platform::of(std::env::consts::ARCH);
            let session = Arc::clone(&self.session);
            let found = Layout::find(session, place, &own).await?;
            let layout = found.ok_or_else(|| remote(&format!("oci-layout:{place}")))?;
            let id = layout.id();
            self.builder.load(layout.archive()).await?;
            Ok(id)
        };
        self.report.during(&vertex, load).await
    }

    async fn local(&self, name: &str, folder: &str) -> Result<Folder, Error> {
        let vertex = format!("[context {name}] load .dockerignore");
        let asked = Asked {
            folder: folder.to_owned(),
            exclude: self.ignore_file(&vertex, folder).await?,
            keep: true,
            ..Asked::default()
        };
        let vertex = format!("[context {name}] load from client");
        self.fetch(&vertex, "transferring context:", asked).await
    }

    /// Gives the main context that is at an address, and its Dockerfile when its name is told; fetched once.
    pub(crate) async fn elsewhere(&self, dockerfile: Option<&str>) -> Result<Remote, Error> {
        let MainContext::Remote(address) = &self.main else {
            return Err(Error::Cancelled);
        };
        let vertex = format!("[internal] load remote build context {}", shown(address));
        let load = || self.fetched(&vertex, address, dockerfile);
        self.elsewhere.get_or_try_init(load).await.cloned()
    }

    async fn fetched(
        &self,
        vertex: &str,
        address: &str,
        dockerfile: Option<&str>,
    ) -> Result<Remote, Error> {
        let work = async |_: &str| Ok(self.builder.remote(address, dockerfile).await?);
        self.report.during(vertex, work).await
    }

    /// The result of another build is handed over as a definition; those of this engine name an image.
    fn input(&self, name: &str) -> Result<Named, Error> {
        let definition = self.inputs.get(name).cloned().unwrap_or_default();
        let graph = Graph::decode(&definition, Limits::default())?;
        match graph.root().map(|node| &node.operation) {
            Some(Operation::Source { identifier, .. }) => {
                match identifier.strip_prefix("docker-image://") {
                    Some(image) => Ok(Named::Image(image.to_owned())),
                    None => Err(remote(identifier)),
                }
            }
            Some(other) => Err(remote(&other.kind())),
            None => Ok(Named::Image("scratch".into())),
        }
    }

    /// Gives the archive that the client streams as its context, unpacked.
    pub(crate) async fn uploaded(&self) -> Result<Folder, Error> {
        let MainContext::Upload(id) = &self.main else {
            return Err(Error::Cancelled);
        };
        let load = async || self.unpack(id).await;
        self.archive.get_or_try_init(load).await.cloned()
    }

    async fn unpack(&self, id: &str) -> Result<Folder, Error> {
        let into = receive::scratch(&self.above)?;
        let name = "[internal] load remote build context";
        self.report
            .during(name, async |_| {
                receive::archive(&self.session, id, Arc::clone(&into)).await
            })
            .await?;
        Ok(Folder::of(into))
    }

    /// Gives a secret; none when the client has none of that id.
    ///
    /// # Errors
    /// When the client cannot be asked, or it is too large.
    pub async fn secret(&self, id: &str) -> Result<Option<Secret<Vec<u8>>>, Error> {
        if !self.session.offers(SECRET) {
            return Ok(None);
        }
        let question = secrets::GetSecretRequest {
            id: id.to_owned(),
            ..Default::default()
        };
        match self
            .session
            .channel
            .ask::<_, secrets::GetSecretResponse>(SECRET, question)
            .await
        {
            Ok(answer) if answer.data.len() > LARGEST_SECRET => {
                let words = format!("invalid secret size {}", answer.data.len());
                Err(Error::Refused(hakone_buildkit_model::Error::Sender(words)))
            }
            Ok(answer) => Ok(Some(Secret::new(answer.data))),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(status.into()),
        }
    }

    /// Lends an agent of the client; none when it has none of that id.
    ///
    /// # Errors
    /// When no socket can be made.
    pub async fn agent(&self, id: &str) -> Result<Option<Agent>, Error> {
        let id = if id.is_empty() { "default" } else { id };
        agent::open(&self.session, id, receive::scratch(&self.above)?).await
    }

    /// Gives the user's name and password for a registry, in the JSON of `X-Registry-Auth`; none for nobody.
    ///
    /// # Errors
    /// When the client cannot be asked.
    pub async fn credentials(&self, host: &str) -> Result<Option<Secret<String>>, Error> {
        credentials(&self.session, host).await
    }
}

/// Asks a client for the user's name and password for a registry.
pub(crate) async fn credentials(
    session: &Session,
    host: &str,
) -> Result<Option<Secret<String>>, Error> {
    if !session.offers(CREDENTIALS) {
        return Ok(None);
    }
    let host = match host {
        "docker.io" | "index.docker.io" => "registry-1.docker.io",
        other => other,
    };
    let question = files::CredentialsRequest {
        host: host.to_owned(),
    };
    let answer: files::CredentialsResponse = session.channel.ask(CREDENTIALS, question).await?;
    let document = match (answer.username.as_str(), answer.secret) {
        ("", secret) if secret.is_empty() => return Ok(None),
        // As docker keeps a token: without a user's name.
        ("", token) => serde_json::json!({ "identitytoken": token }),
        (user, password) => serde_json::json!({"username": user, "password": password}),
    };
    Ok(Some(Secret::new(document.to_string())))
}

/// Shortens an address for the eye.
fn shown(address: &str) -> String {
    address.chars().take(256).collect()
}

/// Refuses a context of a kind that is none of ours.
pub(crate) fn remote(place: &str) -> Error {
    let kind: String = place.chars().take(128).collect();
    Error::Refused(hakone_buildkit_model::Error::Unsupported(format!(
        "a build context at {kind:?}"
    )))
}
