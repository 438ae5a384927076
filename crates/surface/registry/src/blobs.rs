//! Blobs over HTTP: the whole or a part, read a block at a time, so that a download costs the same memory however large it is.

use std::{fs::File, io, sync::Arc};

use bytes::Bytes;
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
use rustix::{buffer::spare_capacity, io::pread};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    dispatch::{Asked, Server},
    reply::{self, Body, Reply},
};

/// Bytes read at once. A reader has two blocks, one on its way and one that is read meanwhile; larger ones are hardly faster.
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
        coming: None,
    };
    Box::pin(stream::unfold(blocks, Blocks::next))
}

/// A file on its way out: while the client takes a block the next one is read. No thread is held meanwhile, however slowly the
/// client reads.
struct Blocks {
    file: Arc<File>,
    at: u64,
    end: u64,
    coming: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Blocks {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        if self.at >= self.end {
            return None;
        }
        let coming = self.coming.take().unwrap_or_else(|| self.begin());
        let read = coming
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        match &read {
            Ok(block) => self.at += block.len() as u64,
            Err(_) => self.at = self.end,
        }
        self.coming = (self.at < self.end).then(|| self.begin());
        Some((read, self))
    }

    fn begin(&self) -> JoinHandle<io::Result<Bytes>> {
        let (file, at, count) = (
            Arc::clone(&self.file),
            self.at,
            (self.end - self.at).min(BLOCK),
        );
        spawn_blocking(move || block(&file, at, usize::try_from(count).unwrap_or_default()))
    }
}

fn block(file: &File, at: u64, count: usize) -> io::Result<Bytes> {
    let mut block = Vec::with_capacity(count);
    while block.len() < count {
        let from = at + block.len() as u64;
        if pread(file, spare_capacity(&mut block), from)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    // The file may be longer than what was asked for.
    block.truncate(count);
    Ok(Bytes::from(block))
}
