//! The registry itself: what all its verbs share.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    },
    time::{Duration, SystemTime},
};

use hakone_base::Timestamp;
use hakone_registry_api::{
    Code, ContentDigest, Event, Happening, Pattern, Quota, RepositoryName, Subject, Tag, Untagged,
};
use rustix::{
    fs::{FlockOperation, flock},
    rand::{GetRandomFlags, getrandom},
};

use crate::{
    Error, Gate, Journal, cache::Cache, catalog::Catalog, journal::Open, layout::Layout, load,
    upload::Uploads,
};

/// What a registry is set up with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where content lies, `sha256/` and `sha512/` in it; may be the engine's.
    pub blobs: PathBuf,
    /// Where the registry's own records and uploads lie, on the same file system.
    pub state: PathBuf,
    /// What holds for some repositories; the first that fits counts.
    pub policies: Vec<RepositoryPolicy>,
    /// Bytes of all content.
    pub quota: Option<u64>,
    /// Bytes of one blob.
    pub blob_limit: u64,
    /// Uploads that may be open.
    pub uploads: usize,
    /// An upload that nobody continues is thrown away after this time.
    pub upload_life: Duration,
    /// What came and has no manifest stays so long.
    pub grace: Duration,
    /// What nobody asks a cache for goes after this time; nothing for never.
    pub cache_life: Option<Duration>,
    /// What becomes of manifests without tags.
    pub untagged: Untagged,
    /// Whether anything can be deleted by clients.
    pub delete: bool,
    /// What this registry calls itself in notices.
    pub instance: String,
}

/// What holds for some repositories.
#[derive(Clone, Debug)]
pub struct RepositoryPolicy {
    /// Which.
    pub pattern: Pattern,
    /// Whether a tag, once pushed, means the same for ever.
    pub immutable: bool,
    /// Bytes that each may hold.
    pub quota: Option<u64>,
}

impl Options {
    /// Keeps everything in one folder, without bounds but on single blobs.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            blobs: folder.join("blobs"),
            state: folder.join("registry"),
            policies: Vec::new(),
            quota: None,
            blob_limit: 64 << 30,
            uploads: 256,
            upload_life: Duration::from_secs(24 * 3600),
            grace: Duration::from_secs(24 * 3600),
            cache_life: None,
            untagged: Untagged::Keep,
            delete: true,
            instance: "hakone".to_owned(),
        }
    }
}

/// Whoever shares the content folder: it removes what neither of us needs.
pub trait Neighbour: Send + Sync + 'static {
    /// Removes sha256 content that nobody needs, asking [`Registry::unless_needed`] of each; blocks.
    fn sweep(&self);
}

/// Who asks, as notices and logs tell it.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Which user.
    pub subject: Subject,
    /// From where.
    pub peer: String,
    /// With which program.
    pub agent: String,
    /// By which name of ours.
    pub host: String,
    /// By which method.
    pub method: String,
}

/// A registry; clones share it.
///
/// Every async method is cancellation safe: what changes something runs on a thread for blocking work and is finished there.
#[derive(Clone, Debug)]
pub struct Registry(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) layout: Layout,
    pub(crate) uploads: Uploads,
    pub(crate) cache: Cache,
    catalog: RwLock<Catalog>,
    /// Held while records, content and catalog change together; taken before the catalog's lock.
    changing: Mutex<()>,
    journals: Vec<Arc<dyn Journal>>,
    gate: Arc<dyn Gate>,
    neighbour: OnceLock<Arc<dyn Neighbour>>,
    /// Held as long as this registry exists, so that no other keeps the same folder.
    _lock: File,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Registry {
    /// Opens a registry: reads its records, takes up uploads that were cut off. Blocks.
    ///
    /// # Errors
    /// When its folders cannot be used, or another registry uses them.
    pub fn open(
        options: Options,
        journals: Vec<Arc<dyn Journal>>,
        gate: Option<Arc<dyn Gate>>,
    ) -> Result<Self, Error> {
        let lock = lock(&options.state)?;
        let layout = Layout::open(&options.blobs, &options.state)?;
        Ok(Self(Arc::new(Inner {
            catalog: RwLock::new(load::catalog(&layout)?),
            uploads: Uploads::load(&layout)?,
            cache: Cache::default(),
            layout,
            options,
            changing: Mutex::new(()),
            journals,
            gate: gate.unwrap_or_else(|| Arc::new(Open)),
            neighbour: OnceLock::new(),
            _lock: lock,
        })))
    }

    /// Tells who shares the content folder.
    pub fn join_neighbour(&self, neighbour: Arc<dyn Neighbour>) {
        self.0.neighbour.set(neighbour).ok();
    }

    /// Runs `remove` unless a repository needs the content; nothing can begin to need it meanwhile. Blocks.
    pub fn unless_needed(&self, digest: &ContentDigest, remove: &mut dyn FnMut()) {
        let _changing = self.0.change();
        if !self.0.catalog().needs(digest) {
            remove();
        }
    }

    /// Gives what the registry is set up with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Runs blocking work to its end, even when nobody waits for it any more.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || job(&inner)).await;
        done.ok().ok_or(Error::Stopping)?
    }
}

/// Takes the folder for this process; the number in the file tells others whom to ask.
fn lock(state: &Path) -> Result<File, Error> {
    std::fs::create_dir_all(state).map_err(Error::disk("make", state))?;
    let path = state.join("lock");
    let opened = File::options().create(true).append(true).open(&path);
    let lock = opened.map_err(Error::disk("open", &path))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::Locked(state.to_owned())),
        locked => locked.map_err(|errno| Error::disk("lock", &path)(errno.into()))?,
    }
    let pid = format!("{}\n", std::process::id());
    let told = lock
        .set_len(0)
        .and_then(|()| std::io::Write::write_all(&mut &lock, pid.as_bytes()));
    told.map_err(Error::disk("write", &path))?;
    Ok(lock)
}

impl Inner {
    pub(crate) fn catalog(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn catalog_mut(&self) -> RwLockWriteGuard<'_, Catalog> {
        self.catalog.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn gate(&self) -> &dyn Gate {
        &*self.gate
    }

    pub(crate) fn neighbour(&self) -> Option<&dyn Neighbour> {
        self.neighbour.get().map(|neighbour| &**neighbour)
    }

    fn policy(&self, name: &RepositoryName) -> Option<&RepositoryPolicy> {
        let mut policies = self.options.policies.iter();
        policies.find(|policy| policy.pattern.fits(name))
    }

    pub(crate) fn is_immutable(&self, name: &RepositoryName) -> bool {
        self.policy(name).is_some_and(|policy| policy.immutable)
    }

    fn quota(&self, name: &RepositoryName) -> Quota {
        Quota {
            repository: self.policy(name).and_then(|policy| policy.quota),
            whole: self.options.quota,
        }
    }

    fn held(&self, name: &RepositoryName) -> (u64, u64) {
        let catalog = self.catalog();
        let own = catalog
            .repositories
            .get(name)
            .map_or(0, crate::catalog::Repository::size);
        (own, catalog.size())
    }

    /// Admits more bytes to a repository, or not.
    pub(crate) fn admit(&self, name: &RepositoryName, more: u64) -> Result<(), Error> {
        match self.quota(name) {
            quota if quota == Quota::default() => Ok(()),
            quota => Ok(quota.admit(self.held(name), more)?),
        }
    }

    /// Tells how many bytes may come to a repository beside `open` ones that are on their way to some.
    pub(crate) fn room_for(&self, name: &RepositoryName, open: u64) -> u64 {
        match self.quota(name) {
            quota if quota == Quota::default() => u64::MAX,
            quota => quota.room(self.held(name)).saturating_sub(open),
        }
    }

    /// Tells all journals.
    pub(crate) fn announce(&self, caller: &Caller, what: Told<'_>) {
        let event = Event {
            id: identity(),
            at: now().to_string(),
            happening: what.happening,
            repository: what.repository.clone(),
            digest: what.digest.cloned(),
            media_type: what.media_type.to_owned(),
            size: what.size,
            tag: what.tag.cloned(),
            subject: caller.subject.clone(),
            peer: caller.peer.clone(),
            agent: caller.agent.clone(),
            host: caller.host.clone(),
            method: caller.method.clone(),
        };
        for journal in &self.journals {
            journal.note(&event);
        }
    }
}

/// What happened, without who did it.
pub(crate) struct Told<'a> {
    pub(crate) happening: Happening,
    pub(crate) repository: &'a RepositoryName,
    pub(crate) digest: Option<&'a ContentDigest>,
    pub(crate) media_type: &'a str,
    pub(crate) size: u64,
    pub(crate) tag: Option<&'a Tag>,
}

pub(crate) const OCTETS: &str = "application/octet-stream";

pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}

/// Makes a name that nobody can guess, in the form of a UUID.
pub(crate) fn identity() -> String {
    let mut bytes = [0; 16];
    // The kernel's generator does not fail once it is seeded; a name of zeros would be refused by `create_new`.
    getrandom(&mut bytes[..], GetRandomFlags::empty()).ok();
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    let part = |range| hex.get(range).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32)
    )
}

/// What a repository that is not there is refused with.
pub(crate) fn unknown(name: &RepositoryName) -> Error {
    let detail = serde_json::json!({"name": name.as_str()});
    Error::Refused(hakone_registry_api::Refusal::new(Code::NameUnknown).about(detail))
}
