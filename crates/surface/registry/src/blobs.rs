//! Blobs over HTTP: the whole or a part, read a block at a time, so that a download costs the same memory however large it is.

use std::{
    fs::File,
    io::{self, IoSliceMut},
    os::unix::fs::FileExt as _,
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use hakone_registry_service::{
    Body as Pieces, Cached,
    api::{ContentDigest, RepositoryName, Wanted, wanted},
};
use hyper::{
    Response, StatusCode,
    header::{
        ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE,
        RANGE,
    },
};
use rustix::io::{ReadWriteFlags, preadv2};
use tokio::task::spawn_blocking;

use crate::{
    dispatch::{Asked, Server},
    reply::{self, Body, Reply},
};

/// Bytes read at once. A reader has two blocks on their way and the next; larger ones are hardly faster.
const BLOCK: u64 = 256 * 1024;

/// Gives a blob.
pub(crate) async fn get(
    server: &Server,
    asked: &Asked,
    (name, digest): (&RepositoryName, &ContentDigest),
) -> Reply {
    let namespace = asked.namespace.as_deref();
    let blob = match server.registry.is_cache() {
        true => {
            server
                .registry
                .cached_blob((name, namespace), digest)
                .await?
        }
        false => Cached::File(server.registry.blob(name, digest).await?),
    };
    let size = match &blob {
        Cached::File(blob) => blob.size,
        Cached::Coming(fetch) => fetch.size,
    };
    let response = match asked
        .header(&IF_NONE_MATCH)
        .is_some_and(|known| known.contains(digest.as_str()))
    {
        true => reply::empty(StatusCode::NOT_MODIFIED),
        false => part(asked, blob, (digest, size)),
    };
    let response = reply::header(response, "docker-content-digest", digest.as_str());
    let response = reply::header(response, ACCEPT_RANGES, "bytes");
    let response = reply::header(response, ETAG, &format!("\"{digest}\""));
    if asked.caller.method == "GET" {
        server.registry.read_blob(&asked.caller, name, digest, size);
    }
    Ok(reply::header(response, CACHE_CONTROL, "max-age=31536000"))
}

fn part(asked: &Asked, blob: Cached, (digest, size): (&ContentDigest, u64)) -> Response<Body> {
    // Content never changes under its digest: a range is valid unless it was meant for something else.
    let meant = asked
        .header(&IF_RANGE)
        .is_none_or(|known| known.contains(digest.as_str()));
    let range = asked
        .header(&RANGE)
        .filter(|_| meant)
        .map_or(Wanted::Whole, |range| wanted(range, size));
    let (status, first, count) = match range {
        Wanted::Whole => (StatusCode::OK, 0, size),
        Wanted::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Wanted::Nothing => {
            let response = reply::empty(StatusCode::RANGE_NOT_SATISFIABLE);
            return reply::header(response, CONTENT_RANGE, &format!("bytes */{size}"));
        }
    };
    let pieces = match blob {
        Cached::File(blob) => read(blob.file, first, count),
        Cached::Coming(fetch) => fetch.stream(first, count),
    };
    let response = reply::pieces(status, count, pieces);
    let response = reply::header(response, CONTENT_TYPE, "application/octet-stream");
    match status {
        StatusCode::PARTIAL_CONTENT => {
            let range = format!("bytes {first}-{}/{size}", first + count - 1);
            reply::header(response, CONTENT_RANGE, &range)
        }
        _ => response,
    }
}

fn read(file: File, first: u64, count: u64) -> Pieces {
    let blocks = Blocks {
        file: Arc::new(file),
        at: first,
        end: first + count,
        sent: [Bytes::new(), Bytes::new()],
    };
    Box::pin(stream::unfold(blocks, Blocks::next))
}

/// A file on its way out. What the kernel has in memory is copied at once, the rest is read on a thread that may wait; none is
/// held while the client reads, however slowly.
struct Blocks {
    file: Arc<File>,
    at: u64,
    end: u64,
    /// The two blocks before, the older one first: its memory is used again when it has left.
    sent: [Bytes; 2],
}

impl Blocks {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        if self.at >= self.end {
            return None;
        }
        let count = usize::try_from((self.end - self.at).min(BLOCK)).unwrap_or_default();
        let [older, newer] = std::mem::take(&mut self.sent);
        let mut block = older.try_into_mut().unwrap_or_default();
        block.resize(count, 0);
        let read = match read_cached(&self.file, &mut block, self.at) {
            Some(read) => {
                block.truncate(read);
                Ok(block.freeze())
            }
            None => self.read_waiting(block).await,
        };
        match &read {
            Ok(block) => {
                self.at += block.len() as u64;
                self.sent = [newer, block.clone()];
            }
            Err(_) => self.at = self.end,
        }
        Some((read, self))
    }

    async fn read_waiting(&self, mut block: BytesMut) -> io::Result<Bytes> {
        let (file, at) = (Arc::clone(&self.file), self.at);
        let read = spawn_blocking(move || {
            file.read_exact_at(&mut block, at)?;
            Ok(block.freeze())
        });
        read.await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

/// Copies what the kernel has in memory; none when it would have to wait for the disk, or does not know.
fn read_cached(file: &File, block: &mut [u8], at: u64) -> Option<usize> {
    let mut parts = [IoSliceMut::new(block)];
    let read = preadv2(file, &mut parts, at, ReadWriteFlags::NOWAIT);
    read.ok().filter(|count| *count > 0)
}
