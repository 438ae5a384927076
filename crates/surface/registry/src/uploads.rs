//! Uploads over HTTP: begin, go on, end; in one request, in one stream, or in chunks.

use hakone_registry_service::{
    Opened,
    api::{Algorithm, Code, ContentDigest, RepositoryName, Right, Start, chunk_start},
};
use hyper::{
    Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName, LOCATION, RANGE},
};

use crate::{
    dispatch::{Asked, Server},
    patience,
    reply::{self, Body, Reply},
};

const UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Begins an upload, or does without one: what another repository has, and the caller may read there, is taken over.
pub(crate) async fn begin(
    server: &Server,
    asked: Asked,
    (name, start): (&RepositoryName, Start),
) -> Reply {
    match start {
        Start::Empty(algorithm) => open(server, name, algorithm).await,
        Start::Mount(digest, from) => {
            let readable = from.filter(|from| {
                server
                    .authority
                    .rights(&asked.identity, from)
                    .has(Right::Pull)
            });
            let mounted = match &readable {
                Some(from) => {
                    server
                        .registry
                        .mount(&asked.caller, (name, from), &digest)
                        .await?
                }
                None => false,
            };
            match mounted {
                true => Ok(created(name, &digest)),
                false => open(server, name, digest.algorithm()).await,
            }
        }
        Start::Whole(digest) => {
            let opened = server
                .registry
                .begin_upload(name, digest.algorithm())
                .await?;
            finish(server, asked, (name, &opened.id, &digest)).await
        }
    }
}

async fn open(server: &Server, name: &RepositoryName, algorithm: Algorithm) -> Reply {
    let opened = server.registry.begin_upload(name, algorithm).await?;
    Ok(told(StatusCode::ACCEPTED, name, &opened))
}

/// Tells how far an upload is.
pub(crate) fn tell(server: &Server, (name, id): (&RepositoryName, &str)) -> Reply {
    let opened = server.registry.upload(name, id)?;
    Ok(told(StatusCode::NO_CONTENT, name, &opened))
}

/// Throws an upload away.
pub(crate) async fn cancel(server: &Server, (name, id): (&RepositoryName, &str)) -> Reply {
    server.registry.cancel_upload(name, id).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// Takes a chunk, or a stream of any length.
pub(crate) async fn append(
    server: &Server,
    asked: Asked,
    (name, id): (&RepositoryName, &str),
) -> Reply {
    let range = range(&asked)?;
    let appended = server
        .registry
        .append(
            (name, id),
            range,
            patience::pieces(asked.body, server.window),
        )
        .await;
    match appended {
        Ok(opened) => Ok(told(StatusCode::ACCEPTED, name, &opened)),
        Err(error) => refuse(server, (name, id), error),
    }
}

/// Takes the last chunk, which may be empty, and makes a blob of it all.
pub(crate) async fn finish(
    server: &Server,
    asked: Asked,
    (name, id, digest): (&RepositoryName, &str, &ContentDigest),
) -> Reply {
    let range = range(&asked)?;
    let rest = (range, patience::pieces(asked.body, server.window));
    let finished = server
        .registry
        .finish_upload(&asked.caller, (name, id, digest), rest)
        .await;
    match finished {
        Ok(()) => Ok(created(name, digest)),
        Err(error) => refuse(server, (name, id), error),
    }
}

/// Says with a refusal where the upload stands, so that the client can go on from there. What it still sends is not read.
fn refuse(
    server: &Server,
    (name, id): (&RepositoryName, &str),
    error: hakone_registry_service::Error,
) -> Reply {
    let mut response = reply::failed(error);
    if let Ok(opened) = server.registry.upload(name, id) {
        response = placed(response, name, &opened);
    }
    Ok(reply::header(response, "connection", "close"))
}

/// Reads where a chunk begins and how long it says to be; the length must be that of the body, if that is told.
fn range(asked: &Asked) -> Result<Option<(u64, u64)>, hakone_registry_service::Error> {
    let Some(text) = asked.header(&CONTENT_RANGE) else {
        return Ok(None);
    };
    let (begin, length) = chunk_start(text)?;
    let told = asked
        .header(&CONTENT_LENGTH)
        .and_then(|text| text.parse::<u64>().ok());
    match told.is_none_or(|told| told == length) {
        true => Ok(Some((begin, length))),
        false => Err(Code::SizeInvalid.into()),
    }
}

fn told(status: StatusCode, name: &RepositoryName, opened: &Opened) -> Response<Body> {
    placed(reply::empty(status), name, opened)
}

fn placed(response: Response<Body>, name: &RepositoryName, opened: &Opened) -> Response<Body> {
    let location = format!("/v2/{name}/blobs/uploads/{}", opened.id);
    let response = reply::header(response, LOCATION, &location);
    let response = reply::header(response, UUID, &opened.id);
    reply::header(
        response,
        RANGE,
        &format!("0-{}", opened.size.saturating_sub(1)),
    )
}

fn created(name: &RepositoryName, digest: &ContentDigest) -> Response<Body> {
    let response = reply::empty(StatusCode::CREATED);
    let response = reply::header(response, LOCATION, &format!("/v2/{name}/blobs/{digest}"));
    reply::header(response, DIGEST, digest.as_str())
}
