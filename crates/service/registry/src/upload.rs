//! Uploads: content that comes in pieces, is hashed as it comes, and becomes a blob when it is what it was said to be.
//!
//! The bytes go from the network to one thread that writes and hashes them: both at once with the reading, each byte touched
//! once. A client that goes away, or a registry that is killed, leaves what has come; the upload goes on from there.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use hakone_registry_api::{
    Algorithm, Code, ContentDigest, Happening, Hasher, Refusal, RepositoryName,
};
use hakone_store::Durability;
use tokio::sync::mpsc;
use tracing::warn;

use crate::{
    Caller, Error, Registry,
    layout::Layout,
    record::UploadRecord,
    service::{Inner, OCTETS, Told, identity},
};

/// A body as it comes.
pub type Body = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Pieces that may wait for the disk.
const QUEUE: usize = 16;
/// Bytes read at once when an upload is taken up again.
const BLOCK: usize = 1 << 20;

/// An upload that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its name.
    pub id: String,
    /// Bytes that have come.
    pub size: u64,
}

/// All open uploads.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Mutex<HashMap<String, Arc<Session>>>);

#[derive(Debug)]
struct Session {
    record: UploadRecord,
    folder: PathBuf,
    size: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// Not touched since the start: must be hashed again.
    Cold,
    /// Nobody writes.
    Idle(Box<Writer>),
    /// Somebody does.
    Busy,
}

#[derive(Debug)]
struct Writer {
    file: File,
    hasher: Hasher,
    size: u64,
}

impl Uploads {
    /// Takes up the uploads that lie on disk; what is none is removed.
    pub(crate) fn load(layout: &Layout) -> Result<Self, Error> {
        let folder = layout.uploads();
        let mut found = HashMap::new();
        for entry in fs::read_dir(&folder)
            .map_err(Error::disk("read", &folder))?
            .flatten()
        {
            let folder = entry.path();
            let record = hakone_store::load::<UploadRecord>(&folder.join("upload.json"));
            let size = folder
                .join("data")
                .metadata()
                .map(|metadata| metadata.len());
            match (record, size) {
                (Ok(record), Ok(size)) => {
                    let session = Session::new(record, folder, size, State::Cold);
                    found.insert(session.record.id.clone(), Arc::new(session));
                }
                _ => drop(fs::remove_dir_all(&folder)),
            }
        }
        Ok(Self(Mutex::new(found)))
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds an upload of a repository; one of another repository is none.
    fn find(&self, name: &RepositoryName, id: &str) -> Result<Arc<Session>, Error> {
        let found = self
            .all()
            .get(id)
            .filter(|session| session.record.repository == *name)
            .cloned();
        found.ok_or_else(|| Code::BlobUploadUnknown.into())
    }

    fn forget(&self, session: &Session) {
        self.all().remove(&session.record.id);
        if let Err(error) = fs::remove_dir_all(&session.folder) {
            warn!(%error, "upload not removed");
        }
    }

    /// Throws away what nobody has continued for so long; gives how many.
    pub(crate) fn expire(&self, life: Duration) -> usize {
        let sessions: Vec<Arc<Session>> = self.all().values().cloned().collect();
        let stale = sessions.iter().filter(|session| session.is_stale(life));
        let mut gone = 0;
        for session in stale {
            self.forget(session);
            gone += 1;
        }
        gone
    }

    fn size(&self) -> u64 {
        let all = self.all();
        all.values()
            .map(|session| session.size.load(Ordering::Relaxed))
            .sum()
    }
}

impl Session {
    fn new(record: UploadRecord, folder: PathBuf, size: u64, state: State) -> Self {
        Self {
            record,
            folder,
            size: AtomicU64::new(size),
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self) -> Opened {
        Opened {
            id: self.record.id.clone(),
            size: self.size.load(Ordering::Relaxed),
        }
    }

    fn is_stale(&self, life: Duration) -> bool {
        let idle = !matches!(*self.state(), State::Busy);
        let touched = self
            .folder
            .join("data")
            .metadata()
            .and_then(|metadata| metadata.modified());
        let age = touched
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok());
        idle && age.is_none_or(|age| age >= life)
    }

    /// Takes the right to write; one request at a time has it.
    fn take(&self) -> Result<Writer, Error> {
        let state = std::mem::replace(&mut *self.state(), State::Busy);
        match state {
            State::Idle(writer) => Ok(*writer),
            State::Cold => self.reopen().inspect_err(|_| *self.state() = State::Cold),
            State::Busy => {
                let why = "another request is writing to this upload";
                Err(Refusal::new(Code::BlobUploadInvalid).because(why).into())
            }
        }
    }

    fn give_back(&self, writer: Writer) {
        self.size.store(writer.size, Ordering::Relaxed);
        *self.state() = State::Idle(Box::new(writer));
    }

    /// Opens the data of an upload that was cut off, and hashes what it has.
    fn reopen(&self) -> Result<Writer, Error> {
        let path = self.folder.join("data");
        let open = || {
            let mut file = File::options().read(true).write(true).open(&path)?;
            let algorithm = self.record.algorithm.parse().unwrap_or(Algorithm::Sha256);
            let (hasher, size) = hash(&mut file, algorithm)?;
            Ok(Writer { file, hasher, size })
        };
        open().map_err(Error::disk("read", &path))
    }
}

fn hash(file: &mut File, algorithm: Algorithm) -> io::Result<(Hasher, u64)> {
    file.seek(SeekFrom::Start(0))?;
    let (mut hasher, mut size, mut block) = (Hasher::new(algorithm), 0, vec![0; BLOCK]);
    loop {
        let count = file.read(&mut block)?;
        if count == 0 {
            return Ok((hasher, size));
        }
        hasher.update(block.get(..count).unwrap_or_default());
        size += count as u64;
    }
}

impl Registry {
    /// Begins an upload.
    ///
    /// # Errors
    /// When too many are open.
    pub async fn begin_upload(
        &self,
        name: &RepositoryName,
        algorithm: Algorithm,
    ) -> Result<Opened, Error> {
        let name = name.clone();
        self.work(move |inner| inner.begin(&name, algorithm)).await
    }

    /// Tells how far an upload is.
    ///
    /// # Errors
    /// When there is none.
    pub fn upload(&self, name: &RepositoryName, id: &str) -> Result<Opened, Error> {
        Ok(self.0.uploads.find(name, id)?.opened())
    }

    /// Throws an upload away.
    ///
    /// # Errors
    /// When there is none, or somebody writes to it.
    pub async fn cancel_upload(&self, name: &RepositoryName, id: &str) -> Result<(), Error> {
        let (name, id) = (name.clone(), id.to_owned());
        self.work(move |inner| {
            let session = inner.uploads.find(&name, &id)?;
            drop(session.take()?);
            inner.uploads.forget(&session);
            Ok(())
        })
        .await
    }

    /// Takes the next piece, which must begin where the last one ended, and bring as much as it says.
    ///
    /// # Errors
    /// When it does not, or there is no room; what came stays.
    pub async fn append(
        &self,
        (name, id): (&RepositoryName, &str),
        range: Option<(u64, u64)>,
        body: Body,
    ) -> Result<Opened, Error> {
        let session = self.0.uploads.find(name, id)?;
        self.fill(name, &session, (range, body)).await?;
        Ok(session.opened())
    }

    /// Takes the last piece and makes a blob of the upload, if it is the content that was promised; else throws it away.
    ///
    /// # Errors
    /// When it is not.
    pub async fn finish_upload(
        &self,
        caller: &Caller,
        (name, id, digest): (&RepositoryName, &str, &ContentDigest),
        (range, body): (Option<(u64, u64)>, Body),
    ) -> Result<(), Error> {
        let session = self.0.uploads.find(name, id)?;
        self.fill(name, &session, (range, body)).await?;
        let (caller, name, digest) = (caller.clone(), name.clone(), digest.clone());
        self.work(move |inner| {
            let writer = session.take()?;
            let finished = inner.finish(&name, &session, (writer, &digest));
            inner.uploads.forget(&session);
            let size = finished?;
            inner.announce(
                &caller,
                Told {
                    happening: Happening::Push,
                    repository: &name,
                    digest: Some(&digest),
                    media_type: OCTETS,
                    size,
                    tag: None,
                },
            );
            Ok(())
        })
        .await
    }

    /// Reads a body into an upload: network here, disk and hash on a thread of their own.
    async fn fill(
        &self,
        name: &RepositoryName,
        session: &Arc<Session>,
        (range, mut body): (Option<(u64, u64)>, Body),
    ) -> Result<(), Error> {
        let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(QUEUE);
        let (owner, inner, name) = (Arc::clone(session), Arc::clone(&self.0), name.clone());
        let writing = tokio::task::spawn_blocking(move || {
            let mut writer = owner.take()?;
            let written = inner
                .room(&name, &writer, range)
                .and_then(|room| writer.write(receiver, range, room));
            owner.give_back(writer);
            written
        });
        while let Some(piece) = body.next().await {
            let broken = piece.is_err();
            if sender.send(piece).await.is_err() || broken {
                break;
            }
        }
        drop(sender);
        writing.await.ok().ok_or(Error::Stopping)?
    }
}

impl Writer {
    fn write(
        &mut self,
        mut pieces: mpsc::Receiver<io::Result<Bytes>>,
        range: Option<(u64, u64)>,
        room: u64,
    ) -> Result<(), Error> {
        let (begin, failed) = (self.size, |source| Error::Disk {
            what: "write",
            path: "an upload".into(),
            source,
        });
        let end = self.file.seek(SeekFrom::Start(begin)).map_err(failed)?;
        while let Some(piece) = pieces.blocking_recv() {
            let piece = piece.map_err(|error| {
                Refusal::new(Code::BlobUploadInvalid)
                    .because(format!("the body ended early: {error}"))
            })?;
            let come = self.size - end + piece.len() as u64;
            if come > room {
                return Err(Code::QuotaExceeded.into());
            }
            if range.is_some_and(|(_, length)| come > length) {
                return Err(Code::SizeInvalid.into());
            }
            self.file.write_all(&piece).map_err(failed)?;
            self.hasher.update(&piece);
            self.size += piece.len() as u64;
        }
        match range.is_none_or(|(_, length)| self.size - end == length) {
            true => Ok(()),
            false => Err(Code::SizeInvalid.into()),
        }
    }
}

impl Inner {
    fn begin(&self, name: &RepositoryName, algorithm: Algorithm) -> Result<Opened, Error> {
        if self.uploads.all().len() >= self.options.uploads {
            let why = "too many uploads are open";
            return Err(Refusal::new(Code::TooManyRequests).because(why).into());
        }
        self.admit(name, 1)?;
        let id = identity();
        let folder = self.layout.uploads().join(&id);
        fs::create_dir(&folder).map_err(Error::disk("make", &folder))?;
        let path = folder.join("data");
        let opened = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path);
        let file = opened.map_err(Error::disk("make", &path))?;
        let record = UploadRecord {
            id: id.clone(),
            repository: name.clone(),
            algorithm: algorithm.as_str().to_owned(),
        };
        hakone_store::save(&folder.join("upload.json"), &record, Durability::Process)?;
        let writer = Writer {
            file,
            hasher: Hasher::new(algorithm),
            size: 0,
        };
        let session = Session::new(record, folder, 0, State::Idle(Box::new(writer)));
        self.uploads.all().insert(id.clone(), Arc::new(session));
        Ok(Opened { id, size: 0 })
    }

    /// Judges where a piece begins, and finds how many bytes it may bring.
    fn room(
        &self,
        name: &RepositoryName,
        writer: &Writer,
        range: Option<(u64, u64)>,
    ) -> Result<u64, Error> {
        if range.is_some_and(|(begin, _)| begin != writer.size) {
            return Err(Code::RangeInvalid.into());
        }
        let limit = self.options.blob_limit.saturating_sub(writer.size);
        Ok(limit.min(self.room_for(name, self.uploads.size())))
    }

    /// Checks the content and puts it in its place.
    fn finish(
        &self,
        name: &RepositoryName,
        session: &Session,
        (mut writer, digest): (Writer, &ContentDigest),
    ) -> Result<u64, Error> {
        let path = session.folder.join("data");
        let failed = |source| Error::disk("read", &path)(source);
        let found = match writer.hasher.algorithm() == digest.algorithm() {
            true => writer.hasher.finish(),
            // Only the end told by which algorithm it is named: this is the one case in which bytes are read again.
            false => hash(&mut writer.file, digest.algorithm())
                .map_err(failed)?
                .0
                .finish(),
        };
        if found != *digest {
            return Err(Code::DigestInvalid.into());
        }
        writer.file.sync_all().map_err(Error::disk("sync", &path))?;
        let _changing = self.change();
        let staged = self.layout.staged();
        fs::rename(&path, &staged).map_err(Error::disk("move", &path))?;
        self.layout.install(&staged, digest)?;
        self.link(name, digest, writer.size)?;
        Ok(writer.size)
    }
}
