//! Stands in for another registry: what is asked for is fetched from it once, kept, and served from here afterwards.
//!
//! A tag is asked for behind each time, because it may have moved; when nobody answers there, what it meant last is given, and
//! that is said. A blob goes to whoever asked while it comes in, all of them from one fetch, except for its last byte: that
//! one waits until the digest was right, so nobody takes a false blob for a whole one.

use std::{
    collections::HashMap,
    fs::File,
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use futures_util::stream;
use hakone_registry::{Access, Blob, Client, Credentials, Reference as Asked, Session};
use hakone_registry_api::{
    Code, ContentDigest, Hasher, Manifest, Reference, Refusal, RepositoryName,
};
use hakone_store::Durability;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::{
    BlobFile, Body, Caller, Error, Registry, Stored,
    away::Away,
    catalog::Entry,
    record::{ManifestRecord, TagRecord},
    service::{Inner, now},
};

/// Bytes that are read at once for somebody.
const BLOCK: u64 = 256 * 1024;
/// How often in its life it is noted at most that a manifest was asked for.
const NOTES: u32 = 8;
/// Blobs that are fetched at once.
const FETCHES: usize = 64;

/// The registry behind this one.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Who speaks to it.
    pub client: Client,
    /// Which one it is, as references name it: `docker.io`, `registry.example:5000`.
    pub remote: String,
    /// Who we are there.
    pub credentials: Credentials,
    /// Others that may be asked for by `?ns=`; theirs lie below their names.
    pub namespaces: Vec<String>,
}

/// A blob of the registry behind.
#[derive(Debug)]
pub enum Cached {
    /// It is here.
    File(BlobFile),
    /// It is coming.
    Coming(Arc<Fetch>),
}

/// A blob on its way.
#[derive(Debug)]
pub struct Fetch {
    /// How many bytes it will have.
    pub size: u64,
    path: PathBuf,
    /// Open from the beginning: the name is gone when it is whole.
    file: File,
    progress: watch::Receiver<Progress>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Come(u64),
    Whole,
    Failed,
}

/// What is known of the registry behind.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    upstream: OnceLock<Upstream>,
    fetches: Mutex<HashMap<ContentDigest, Arc<Fetch>>>,
    /// Who lets us wait in vain.
    away: Away,
}

/// Where a name leads behind, and what it is called here.
#[derive(Clone)]
struct Place {
    domain: String,
    path: String,
    name: RepositoryName,
}

impl Cache {
    fn fetches(&self) -> MutexGuard<'_, HashMap<ContentDigest, Arc<Fetch>>> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    /// Reports whether there is a registry behind.
    pub(crate) fn is_joined(&self) -> bool {
        self.upstream.get().is_some()
    }
}

impl Registry {
    /// Makes this registry stand in for another one; from then on nothing can be pushed to it.
    pub fn join_upstream(&self, upstream: Upstream) {
        self.0.cache.upstream.set(upstream).ok();
    }

    /// Reports whether this registry stands in for another one.
    #[must_use]
    pub fn is_cache(&self) -> bool {
        self.0.cache.is_joined()
    }

    /// Gives the name that a repository of the registry behind has here.
    ///
    /// # Errors
    /// When that registry may not be asked for.
    pub fn cached_name(
        &self,
        name: &RepositoryName,
        namespace: Option<&str>,
    ) -> Result<RepositoryName, Error> {
        Ok(self.place(name, namespace)?.name)
    }

    fn place(&self, name: &RepositoryName, namespace: Option<&str>) -> Result<Place, Error> {
        let upstream = self.0.cache.upstream.get().ok_or(Code::Unsupported)?;
        let other = namespace.filter(|asked| *asked != upstream.remote);
        let (domain, local) = match other {
            None => (upstream.remote.clone(), name.clone()),
            Some(other) if upstream.namespaces.iter().any(|one| one == other) => {
                let below = format!("{}/{name}", other.replace(':', "_"));
                (other.to_owned(), below.parse()?)
            }
            Some(_) => {
                let why = "this registry does not stand in for that one";
                return Err(Refusal::new(Code::Denied).because(why).into());
            }
        };
        Ok(Place {
            domain,
            path: name.to_string(),
            name: local,
        })
    }

    /// Gives a manifest of the registry behind, and whether it may be out of date because nobody answered there.
    ///
    /// # Errors
    /// When neither has it.
    pub async fn cached_manifest(
        &self,
        caller: &Caller,
        (name, namespace): (&RepositoryName, Option<&str>),
        reference: &Reference,
    ) -> Result<(Stored, bool), Error> {
        let place = self.place(name, namespace)?;
        let held = self
            .0
            .resolve(&place.name, reference)
            .ok()
            .map(|(digest, _)| digest);
        let fresh = match (reference, &held) {
            (Reference::Digest(_), Some(_)) => Ok(()),
            (Reference::Tag(_), Some(held)) if self.is_away(&place) => {
                self.look_again(&place, reference, held);
                Err(Code::Unavailable.into())
            }
            _ => self.ask(&place, reference, held.as_ref()).await,
        };
        let stale = match (fresh, held) {
            (Err(error), None) => return Err(missing(error)),
            (Err(error), Some(_)) => {
                warn!(repository = %place.name, %error, "serving what was last known");
                true
            }
            (Ok(()), _) => false,
        };
        let stored = self.manifest(caller, &place.name, reference).await?;
        self.want(place.name, stored.digest.clone()).await?;
        Ok((stored, stale))
    }

    /// Notes that a manifest was asked for; often enough that it does not expire, and not at each pull.
    async fn want(&self, name: RepositoryName, digest: ContentDigest) -> Result<(), Error> {
        let Some(life) = self.0.options.cache_life else {
            return Ok(());
        };
        let known = |inner: &Inner| {
            let catalog = inner.catalog();
            let entry = catalog.repositories.get(&name)?.manifests.get(&digest)?;
            let due = now().since(entry.pushed) >= life / NOTES;
            due.then(|| entry.media_type.clone())
        };
        let Some(media_type) = known(&self.0) else {
            return Ok(());
        };
        self.work(move |inner| {
            let record = ManifestRecord {
                digest,
                media_type,
                pushed: now(),
            };
            let _changing = inner.change();
            let path = inner.layout.manifest(&name, &record.digest);
            if path.exists() {
                hakone_store::save(&path, &record, Durability::Process)?;
            }
            if let Some(repository) = inner.catalog_mut().repositories.get_mut(&name) {
                repository.touch(&record.digest, record.pushed);
            }
            Ok(())
        })
        .await
    }

    async fn session(&self, place: &Place) -> Result<Arc<Session>, Error> {
        let upstream = self.0.cache.upstream.get().ok_or(Code::Unsupported)?;
        let endpoint = upstream.client.origin(&place.domain).await?;
        // The credentials are for the one registry that they were given for.
        let credentials = match place.domain == upstream.remote {
            true => upstream.credentials.clone(),
            false => Credentials::None,
        };
        let scopes = [(place.path.as_str(), Access::Pull)];
        let session = Box::pin(upstream.client.open(&endpoint, credentials, &scopes)).await?;
        Ok(Arc::new(session))
    }

    fn is_away(&self, place: &Place) -> bool {
        self.0.cache.away.is_away(&place.domain, Instant::now())
    }

    /// Finds out, beside, whether a registry that let us wait answers again.
    fn look_again(&self, place: &Place, reference: &Reference, held: &ContentDigest) {
        let Some(attempt) = self.0.cache.away.attempt(&place.domain) else {
            return;
        };
        let (this, place) = (self.clone(), place.clone());
        let (reference, held) = (reference.clone(), held.clone());
        tokio::spawn(async move {
            let _attempt = attempt;
            if let Err(error) = this.ask(&place, &reference, Some(&held)).await {
                debug!(repository = %place.name, %error, "the registry behind is still away");
            }
        });
    }

    /// Refreshes a tag, and remembers whether somebody answered.
    async fn ask(
        &self,
        place: &Place,
        reference: &Reference,
        held: Option<&ContentDigest>,
    ) -> Result<(), Error> {
        let began = Instant::now();
        let done = self.refresh(place, reference, held).await;
        let answered = match &done {
            Err(Error::Upstream(error)) => !error.is_silence(),
            _ => true,
        };
        let away = &self.0.cache.away;
        away.note(&place.domain, answered, (began, Instant::now()));
        done
    }

    /// Asks behind whether a tag still means the same, and fetches what it means now.
    async fn refresh(
        &self,
        place: &Place,
        reference: &Reference,
        held: Option<&ContentDigest>,
    ) -> Result<(), Error> {
        let asked = match reference {
            Reference::Tag(tag) => Asked::Tag(tag.to_string()),
            Reference::Digest(digest) => {
                Asked::Digest(digest.engine().ok_or(Code::ManifestUnknown)?)
            }
        };
        let session = self.session(place).await?;
        if let Some(held) = held {
            let now = Box::pin(session.probe(&place.path, &asked)).await?;
            if now.is_some_and(|now| ContentDigest::from(&now) == *held) {
                return Ok(());
            }
        }
        let found = Box::pin(session.manifest(&place.path, &asked)).await?;
        let (name, reference) = (place.name.clone(), reference.clone());
        self.work(move |inner| inner.adopt(&name, &reference, (&found.media_type, &found.bytes)))
            .await
    }

    /// Gives a blob of the registry behind: from here, or as it comes.
    ///
    /// # Errors
    /// When no manifest that was asked for has it, or nobody answers.
    pub async fn cached_blob(
        &self,
        (name, namespace): (&RepositoryName, Option<&str>),
        digest: &ContentDigest,
    ) -> Result<Cached, Error> {
        let place = self.place(name, namespace)?;
        // Only what a manifest here names is fetched, so its size is known before.
        let size = self.0.blob_size(&place.name, digest)?;
        if self.0.layout.blob(digest).exists() {
            return self.blob(&place.name, digest).await.map(Cached::File);
        }
        let wanted = digest.engine().ok_or(Code::BlobUnknown)?;
        let (fetch, sender) = match self.begin_fetch(digest, size)? {
            (fetch, None) => return Ok(Cached::Coming(fetch)),
            (fetch, Some(sender)) => (fetch, sender),
        };
        let (this, digest, path) = (self.clone(), digest.clone(), fetch.path.clone());
        let unfinished = path.clone();
        tokio::spawn(async move {
            let fetched = match this.session(&place).await {
                Ok(session) => {
                    let blob = Blob::new(session, &place.path, wanted, size);
                    this.take_in(blob, (&digest, &place.name), (path, &sender))
                        .await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = &fetched {
                warn!(%digest, %error, "blob not fetched");
                std::fs::remove_file(&unfinished).ok();
            }
            sender.send_replace(if fetched.is_ok() {
                Progress::Whole
            } else {
                Progress::Failed
            });
            this.0.cache.fetches().remove(&digest);
        });
        Ok(Cached::Coming(fetch))
    }

    /// Finds the fetch of a blob that runs, or makes one, which the caller then has to carry out.
    fn begin_fetch(
        &self,
        digest: &ContentDigest,
        size: u64,
    ) -> Result<(Arc<Fetch>, Option<watch::Sender<Progress>>), Error> {
        let mut fetches = self.0.cache.fetches();
        if let Some(fetch) = fetches.get(digest) {
            return Ok((Arc::clone(fetch), None));
        }
        if fetches.len() >= FETCHES {
            return Err(Code::TooManyRequests.into());
        }
        let path = self.0.layout.staged();
        let made = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path);
        let file = made.map_err(Error::disk("make", &path))?;
        let (sender, progress) = watch::channel(Progress::Come(0));
        let fetch = Arc::new(Fetch {
            size,
            path,
            file,
            progress,
        });
        fetches.insert(digest.clone(), Arc::clone(&fetch));
        Ok((fetch, Some(sender)))
    }

    async fn take_in(
        &self,
        mut blob: Blob,
        (digest, name): (&ContentDigest, &RepositoryName),
        (path, progress): (PathBuf, &watch::Sender<Progress>),
    ) -> Result<(), Error> {
        let failed = |source| Error::disk("write", &path)(source);
        let mut file = File::options().write(true).open(&path).map_err(failed)?;
        let (mut hasher, mut come) = (Hasher::new(digest.algorithm()), 0);
        while let Some(bytes) = blob.chunk().await? {
            let writing = tokio::task::spawn_blocking(move || {
                file.write_all(&bytes)?;
                hasher.update(&bytes);
                Ok((file, hasher, bytes.len() as u64))
            });
            let written = writing.await.ok().ok_or(Error::Stopping)?;
            let (back, hashed, count) =
                written.map_err(|source| Error::disk("write", &path)(source))?;
            (file, hasher, come) = (back, hashed, come + count);
            progress.send_replace(Progress::Come(come));
        }
        if hasher.finish() != *digest {
            return Err(Code::DigestInvalid.into());
        }
        let (digest, name) = (digest.clone(), name.clone());
        info!(%digest, repository = %name, bytes = come, "blob fetched");
        self.work(move |inner| {
            file.sync_all().map_err(Error::disk("sync", &path))?;
            let _changing = inner.change();
            inner.layout.install(&path, &digest)?;
            inner.link(&name, &digest, come)
        })
        .await
    }
}

impl Fetch {
    /// Gives a part of the blob as it comes; an error when it turns out not to be what its name says.
    #[must_use]
    pub fn stream(self: &Arc<Self>, first: u64, count: u64) -> Body {
        let end = first.saturating_add(count).min(self.size);
        let begin = (Arc::clone(self), first, end);
        Box::pin(stream::unfold(begin, |(fetch, at, end)| async move {
            if at >= end {
                return None;
            }
            match Self::read(Arc::clone(&fetch), at, end).await {
                Ok(bytes) => {
                    let next = at + bytes.len() as u64;
                    Some((Ok(bytes), (fetch, next, end)))
                }
                Err(error) => Some((Err(error), (fetch, end, end))),
            }
        }))
    }

    async fn read(fetch: Arc<Self>, at: u64, end: u64) -> std::io::Result<Bytes> {
        let come = fetch.wait(at).await?;
        let count = come.min(end).saturating_sub(at).min(BLOCK);
        let reading = tokio::task::spawn_blocking(move || {
            let mut block = vec![0; usize::try_from(count).unwrap_or_default()];
            fetch.file.read_exact_at(&mut block, at)?;
            Ok(Bytes::from(block))
        });
        reading.await.map_err(std::io::Error::other)?
    }

    /// Waits until more than `at` bytes may be given away.
    async fn wait(&self, at: u64) -> std::io::Result<u64> {
        let mut progress = self.progress.clone();
        let allowed = |progress: &Progress| match progress {
            Progress::Come(come) => (*come).min(self.size.saturating_sub(1)),
            Progress::Whole => self.size,
            Progress::Failed => u64::MAX,
        };
        let reached = progress.wait_for(|progress| allowed(progress) > at).await;
        match reached.map(|progress| *progress) {
            Ok(Progress::Failed) | Err(_) => {
                Err(std::io::Error::other("the blob could not be fetched"))
            }
            Ok(progress) => Ok(allowed(&progress)),
        }
    }
}

impl Inner {
    /// Takes a manifest of another registry in: what it needs comes when it is asked for.
    fn adopt(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        (media_type, bytes): (&str, &[u8]),
    ) -> Result<(), Error> {
        let manifest = Manifest::parse(bytes, Some(media_type))?;
        let digest = ContentDigest::of(bytes);
        let _changing = self.change();
        self.layout.prepare(name)?;
        self.layout.keep(&digest, bytes)?;
        let record = ManifestRecord {
            digest: digest.clone(),
            media_type: manifest.media_type.clone(),
            pushed: now(),
        };
        hakone_store::save(
            &self.layout.manifest(name, &digest),
            &record,
            Durability::Power,
        )?;
        if let Reference::Tag(tag) = reference {
            let record = TagRecord {
                tag: tag.clone(),
                digest: digest.clone(),
            };
            hakone_store::save(&self.layout.tag(name, tag), &record, Durability::Power)?;
        }
        let entry = Entry::new(manifest, bytes.len() as u64, record.pushed);
        let mut catalog = self.catalog_mut();
        let repository = catalog.repositories.entry(name.clone()).or_default();
        repository.insert(digest.clone(), entry);
        if let Reference::Tag(tag) = reference {
            repository.tags.insert(tag.clone(), digest);
        }
        Ok(())
    }
}

/// What is not there behind is not here either; what cannot be asked is not known.
fn missing(error: Error) -> Error {
    match &error {
        Error::Upstream(upstream) if upstream.is_missing() => Code::ManifestUnknown.into(),
        Error::Upstream(upstream) if upstream.is_unauthorized() => Code::ManifestUnknown.into(),
        Error::Upstream(_) => Refusal::new(Code::Unavailable).into(),
        _ => error,
    }
}
