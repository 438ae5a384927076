//! Blobs over HTTP: the whole or a part, read a block at a time, so that a download costs the same memory however large it is.

use std::{fs::File, os::unix::fs::FileExt as _, sync::Arc};

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

use crate::{
    dispatch::{Asked, Server},
    reply::{self, Body, Reply},
};

/// Bytes read at once.
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
    let begin = (Arc::new(file), first, first + count);
    Box::pin(stream::unfold(begin, |(file, at, end)| async move {
        if at >= end {
            return None;
        }
        let count = (end - at).min(BLOCK);
        let source = Arc::clone(&file);
        let reading = tokio::task::spawn_blocking(move || {
            let mut block = vec![0; usize::try_from(count).unwrap_or_default()];
            source
                .read_exact_at(&mut block, at)
                .map(|()| Bytes::from(block))
        });
        let read = reading
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let next = if read.is_ok() { at + count } else { end };
        Some((read, (file, next, end)))
    }))
}
