//! Manifests over HTTP.

use hakone_registry_service::{
    Stored,
    api::{Code, MANIFEST_LIMIT, Reference, Refusal, RepositoryName},
};
use hyper::{
    Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, WARNING},
};

use crate::{
    dispatch::{Asked, Server},
    patience,
    reply::{self, Body, Reply},
};

/// Gives a manifest as it was stored; nothing is converted, whatever the client would like.
pub(crate) async fn get(
    server: &Server,
    asked: &Asked,
    (name, reference): (&RepositoryName, &Reference),
) -> Reply {
    if !server.registry.is_cache() {
        let stored = server
            .registry
            .manifest(&asked.caller, name, reference)
            .await?;
        server
            .registry
            .read_manifest(&asked.caller, name, reference, &stored);
        return Ok(found(asked, stored));
    }
    let namespace = asked.namespace.as_deref();
    let (stored, stale) = server
        .registry
        .cached_manifest(&asked.caller, (name, namespace), reference)
        .await?;
    let name = server.registry.cached_name(name, namespace)?;
    server
        .registry
        .read_manifest(&asked.caller, &name, reference, &stored);
    let response = found(asked, stored);
    Ok(match stale {
        true => reply::header(
            response,
            WARNING,
            "299 - \"the registry behind does not answer: this may be out of date\"",
        ),
        false => response,
    })
}

fn found(asked: &Asked, stored: Stored) -> Response<Body> {
    let etag = format!("\"{}\"", stored.digest);
    let same = asked
        .header(&IF_NONE_MATCH)
        .is_some_and(|known| known.contains(stored.digest.as_str()));
    let response = match same {
        true => reply::empty(StatusCode::NOT_MODIFIED),
        false => reply::bytes(StatusCode::OK, &stored.media_type, stored.bytes),
    };
    let response = reply::header(response, "docker-content-digest", stored.digest.as_str());
    reply::header(response, ETAG, &etag)
}

/// Stores a manifest.
pub(crate) async fn put(
    server: &Server,
    asked: Asked,
    (name, reference): (&RepositoryName, &Reference),
) -> Reply {
    let told = asked
        .header(&CONTENT_LENGTH)
        .and_then(|text| text.parse::<usize>().ok());
    if told.is_some_and(|length| length > MANIFEST_LIMIT) {
        // The rest of the connection is the body that nobody will read.
        let response = reply::refused(&Code::ManifestTooLarge.into());
        return Ok(reply::header(response, "connection", "close"));
    }
    let kind = asked.header(&CONTENT_TYPE).map(str::to_owned);
    let read = patience::collect(asked.body, MANIFEST_LIMIT, server.window).await;
    let read =
        read.map_err(|_early| Refusal::new(Code::ManifestInvalid).because("the body ended early"))?;
    let bytes = read.ok_or(Code::ManifestTooLarge)?;
    let put = server
        .registry
        .put_manifest(&asked.caller, (name, reference), (kind, bytes))
        .await?;
    let mut response = reply::empty(StatusCode::CREATED);
    if let Some(subject) = &put.subject {
        response = reply::header(response, "oci-subject", subject.as_str());
    }
    let location = format!("/v2/{name}/manifests/{}", put.digest);
    let response = reply::header(response, LOCATION, &location);
    Ok(reply::header(
        response,
        "docker-content-digest",
        put.digest.as_str(),
    ))
}
