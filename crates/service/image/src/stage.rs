//! Where new things wait until they are whole: a folder that vanishes, and the pipeline that fills it.
//!
//! A layer passes up to five threads at once: read and keep the blob, hash it, decompress, hash the tar, write the files.
//! Each stage is slow in another way (network, processor, disk), so overlapping them costs only the slowest.

use std::{
    fs::{self, File},
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{Scope, ScopedJoinHandle, scope},
};

use bytes::{Buf as _, Bytes, BytesMut};
use hakone_base::Digest;
use hakone_image_model::{Compression, Limits};
use sha2::{Digest as _, Sha256};

use crate::{
    Error,
    catalog::Entry,
    record::LayerRecord,
    store::{Store, remove_tree},
    unpack::{Inflated, unpack},
};

/// Bytes that travel at once from stage to stage.
const CHUNK: usize = 256 * 1024;
/// Chunks that may wait between two stages.
const QUEUE: usize = 8;

/// A folder for one operation; what was not taken out of it by then is removed when it drops.
#[derive(Debug)]
pub(crate) struct Area {
    folder: PathBuf,
    next: AtomicU32,
}

/// A layer that waits: its blob, and its files unless the store has them already.
#[derive(Clone, Debug)]
pub(crate) struct StagedLayer {
    pub(crate) record: LayerRecord,
    blob: Option<PathBuf>,
    folder: Option<PathBuf>,
}

/// An image that waits, with all that it needs.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) entry: Entry,
    pub(crate) config: PathBuf,
    pub(crate) manifest: Option<PathBuf>,
    pub(crate) layers: Vec<StagedLayer>,
}

/// What the pipeline found out about a layer.
struct Measured {
    blob: Digest,
    blob_size: u64,
    diff_id: Option<Digest>,
    size: u64,
}

impl Area {
    pub(crate) fn new(store: &Store) -> Result<Self, Error> {
        let folder = store.staged("new");
        fs::create_dir(&folder).map_err(Error::disk("make", &folder))?;
        Ok(Self {
            folder,
            next: AtomicU32::new(0),
        })
    }

    pub(crate) fn path(&self, what: &str) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.folder.join(format!("{what}-{number}"))
    }

    /// Writes a document.
    pub(crate) fn document(&self, bytes: &[u8]) -> Result<PathBuf, Error> {
        let path = self.path("document");
        File::create_new(&path)
            .and_then(|mut file| file.write_all(bytes))
            .map_err(Error::disk("write", &path))?;
        Ok(path)
    }

    /// Reads a layer blob to its end: keeps it, hashes it, unpacks it.
    pub(crate) fn layer(
        &self,
        source: &mut dyn Read,
        limits: &Limits,
        report: &mut dyn FnMut(u64),
    ) -> Result<StagedLayer, Error> {
        let first = read_chunk(source).map_err(limit_or_stream)?;
        let packing = Compression::sniff(&first);
        if packing.is_for_layers() {
            return self.keep((first, packing), source, limits, report);
        }
        // No registry would take it so: what is inside is kept, a bare tar and nothing else.
        let whole = Read::chain(io::Cursor::new(first), source);
        let mut plain = Inflated::new(whole, packing, limits).map_err(Error::Stream)?;
        let first = read_chunk(&mut plain).map_err(limit_or_stream)?;
        self.keep((first, Compression::None), &mut plain, limits, report)
    }

    /// Reads a blob whose first bytes were read already.
    fn keep(
        &self,
        (first, packing): (Bytes, Compression),
        source: &mut dyn Read,
        limits: &Limits,
        report: &mut dyn FnMut(u64),
    ) -> Result<StagedLayer, Error> {
        let (blob, folder) = (self.path("blob"), self.path("layer"));
        fs::create_dir(&folder).map_err(Error::disk("make", &folder))?;
        let job = Job {
            blob: &blob,
            folder: &folder,
            packing,
            limits,
        };
        let measured = job.run(first, source, report)?;
        Ok(StagedLayer {
            record: LayerRecord {
                diff_id: measured.diff_id.unwrap_or_else(|| measured.blob.clone()),
                blob: measured.blob,
                blob_size: measured.blob_size,
                media_type: packing.layer_type().to_owned(),
                size: measured.size,
            },
            blob: Some(blob),
            folder: Some(folder),
        })
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.folder) {
            tracing::warn!(error = %error, "staging folder left for the next start");
        }
    }
}

impl StagedLayer {
    /// Stands for a layer that the store already has.
    pub(crate) const fn known(record: LayerRecord) -> Self {
        Self {
            record,
            blob: None,
            folder: None,
        }
    }

    /// Stands for a layer that was made in an area.
    pub(crate) const fn made(record: LayerRecord, blob: PathBuf, folder: PathBuf) -> Self {
        Self {
            record,
            blob: Some(blob),
            folder: Some(folder),
        }
    }

    /// Moves blob and files into the store; false when the store should have had them and has not.
    fn install(&self, store: &Store) -> Result<bool, Error> {
        let (files, blob) = (
            store.layer(&self.record.diff_id),
            store.blob(&self.record.blob),
        );
        for (staged, place) in [(&self.folder, &files), (&self.blob, &blob)] {
            if let Some(staged) = staged {
                Store::install(staged, place)?;
            }
        }
        Ok(files.exists() && blob.exists())
    }
}

impl Staged {
    /// Moves everything into the store; the record comes after, so that a crash here leaves only what a sweep removes.
    pub(crate) fn install(self, store: &Store) -> Result<Entry, Error> {
        for layer in &self.layers {
            let whole = layer.install(store)?;
            if !whole {
                return Err(self.damaged(&layer.record.diff_id));
            }
        }
        let record = &self.entry.record;
        if let (Some(staged), Some(digest)) = (&self.manifest, &record.manifest) {
            Store::install(staged, &store.blob(digest))?;
        }
        Store::install(&self.config, &store.blob(&record.id))?;
        Ok(self.entry)
    }

    fn damaged(&self, layer: &Digest) -> Error {
        Error::Damaged {
            image: self.entry.record.id.clone(),
            layer: layer.clone(),
        }
    }
}

/// One layer's way through the pipeline.
struct Job<'a> {
    blob: &'a Path,
    folder: &'a Path,
    packing: Compression,
    limits: &'a Limits,
}

impl Job<'_> {
    fn run(
        &self,
        first: Bytes,
        source: &mut dyn Read,
        report: &mut dyn FnMut(u64),
    ) -> Result<Measured, Error> {
        scope(|scope| {
            let (hash, hashed) = hash_stage(scope);
            let (tar, unpacked, inflated) = self.file_stages(scope);
            let read = self.read(first, source, &[hash, tar], report);
            let blob = join(hashed)?;
            let inflated = inflated.map(join);
            let unpacked = join(unpacked)?;
            // The first stage that failed is the cause; those behind it only saw a stream that ends too early.
            let blob_size = read?;
            let diff_id = inflated.transpose()?.transpose()?;
            Ok(Measured {
                blob,
                blob_size,
                diff_id,
                size: unpacked?,
            })
        })
    }

    /// Starts the stages behind the blob: straight to the files, or through the decompressor.
    #[expect(clippy::type_complexity, reason = "the ends of two threads")]
    fn file_stages<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
    ) -> (
        SyncSender<Bytes>,
        ScopedJoinHandle<'scope, Result<u64, Error>>,
        Option<ScopedJoinHandle<'scope, Result<Digest, Error>>>,
    ) {
        let (sender, receiver) = sync_channel(QUEUE);
        let files = scope.spawn(|| unpack(QueueReader::new(receiver), self.folder, self.limits));
        if self.packing == Compression::None {
            return (sender, files, None);
        }
        let (packed, receiver) = sync_channel(QUEUE);
        let inflate = scope.spawn(move || self.inflate(QueueReader::new(receiver), sender));
        (packed, files, Some(inflate))
    }

    /// Stage one: keeps the blob and hands its chunks on.
    fn read(
        &self,
        first: Bytes,
        source: &mut dyn Read,
        next: &[SyncSender<Bytes>],
        report: &mut dyn FnMut(u64),
    ) -> Result<u64, Error> {
        let mut file = File::create_new(self.blob).map_err(Error::disk("make", self.blob))?;
        let mut chunk = first;
        let mut total = 0;
        while !chunk.is_empty() {
            file.write_all(&chunk)
                .map_err(Error::disk("write", self.blob))?;
            total += chunk.len() as u64;
            report(total);
            if !send(next, &chunk) {
                return Ok(total);
            }
            chunk = read_chunk(source).map_err(limit_or_stream)?;
        }
        Ok(total)
    }

    /// The stage between blob and files: decompresses, and hashes what comes out.
    fn inflate(&self, source: QueueReader, files: SyncSender<Bytes>) -> Result<Digest, Error> {
        let mut inflated =
            Inflated::new(source, self.packing, self.limits).map_err(Error::Layer)?;
        scope(|scope| {
            let (hash, hashed) = hash_stage(scope);
            let next = [hash, files];
            let mut open = true;
            while open {
                let chunk = read_chunk(&mut inflated).map_err(limit_or_layer)?;
                open = !chunk.is_empty() && send(&next, &chunk);
            }
            drop(next);
            join(hashed)
        })
    }
}

/// An inflater's refusal is a limit, its other errors are broken data.
pub(crate) fn limit_or_layer(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::QuotaExceeded => Error::Limit(error.to_string()),
        _ => Error::Layer(error),
    }
}

/// The same for the archive around the layers.
pub(crate) fn limit_or_stream(error: io::Error) -> Error {
    match limit_or_layer(error) {
        Error::Layer(error) => Error::Stream(error),
        other => other,
    }
}

/// Reads and hashes a member that need not be kept.
pub(crate) fn digest_of(source: &mut dyn Read) -> Result<(Digest, u64), Error> {
    let (mut hasher, mut size) = (Sha256::new(), 0);
    loop {
        let chunk = read_chunk(source).map_err(limit_or_stream)?;
        if chunk.is_empty() {
            return Ok((Digest::from_bytes(hasher.finalize().into()), size));
        }
        size += chunk.len() as u64;
        hasher.update(&chunk);
    }
}

fn hash_stage<'scope>(
    scope: &'scope Scope<'scope, '_>,
) -> (SyncSender<Bytes>, ScopedJoinHandle<'scope, Digest>) {
    let (sender, receiver) = sync_channel::<Bytes>(QUEUE);
    let hashed = scope.spawn(move || {
        let mut hasher = Sha256::new();
        receiver.into_iter().for_each(|chunk| hasher.update(&chunk));
        Digest::from_bytes(hasher.finalize().into())
    });
    (sender, hashed)
}

/// Hands a chunk to all; a stage that has gone tells its own error.
fn send(next: &[SyncSender<Bytes>], chunk: &Bytes) -> bool {
    next.iter().all(|stage| stage.send(chunk.clone()).is_ok())
}

fn join<T>(stage: ScopedJoinHandle<'_, T>) -> Result<T, Error> {
    stage.join().ok().ok_or(Error::Stopping)
}

/// Fills a whole chunk unless the source ends.
fn read_chunk(source: &mut dyn Read) -> io::Result<Bytes> {
    let mut chunk = BytesMut::zeroed(CHUNK);
    let mut filled = 0;
    while let Some(rest) = chunk.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    chunk.truncate(filled);
    Ok(chunk.freeze())
}

/// Reads the chunks of a queue as a stream.
#[derive(Debug)]
pub(crate) struct QueueReader {
    queue: Receiver<Bytes>,
    rest: Bytes,
}

impl QueueReader {
    const fn new(queue: Receiver<Bytes>) -> Self {
        Self {
            queue,
            rest: Bytes::new(),
        }
    }
}

impl Read for QueueReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            match self.queue.recv() {
                Ok(chunk) => self.rest = chunk,
                Err(_) => return Ok(0),
            }
        }
        let count = self.rest.len().min(buffer.len());
        self.rest
            .copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
        Ok(count)
    }
}
