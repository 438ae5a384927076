//! What is asked of a registry without moving an image: is this password right, what is this name, what is there.

use std::sync::Arc;

use hakone_base::ImageRef;
use hakone_image_model::{Document, Image};
use hakone_registry::{Access, Blob, Credentials};
use serde_json::{Value, json};

use super::resolve;
use crate::{Error, inner::Inner};

/// What a login gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginResult {
    /// To be kept instead of the password; empty when the registry has none.
    pub identity_token: String,
}

/// The name of Docker Hub's index, which clients log in to.
const HUB_INDEX: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];
/// Repositories that a search gives when not told.
const FOUND: u32 = 25;

/// Checks a user's credentials.
pub(crate) async fn login(
    inner: &Inner,
    server: &str,
    credentials: Credentials,
) -> Result<LoginResult, Error> {
    let bare = server
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let host = bare.split('/').next().unwrap_or_default();
    let domain = match host {
        "" => "docker.io",
        host if HUB_INDEX.contains(&host) => "docker.io",
        host => host,
    };
    let endpoint = inner.registry.origin(domain).await?;
    let opened = inner.registry.open(&endpoint, credentials, &[]).await;
    let session = opened.map_err(|error| Error::unreachable(error, &endpoint.url))?;
    let url = session.base().to_string();
    let refresh = session
        .login()
        .await
        .map_err(|source| Error::Login { url, source })?;
    Ok(LoginResult {
        identity_token: refresh
            .map(|token| token.expose().clone())
            .unwrap_or_default(),
    })
}

/// Describes what a name means at its registry.
pub(crate) async fn distribution(
    inner: &Inner,
    name: &ImageRef,
    credentials: Credentials,
) -> Result<Value, Error> {
    let endpoint = inner.registry.origin(name.domain()).await?;
    let scopes = [(name.path(), Access::Pull)];
    let opened = inner.registry.open(&endpoint, credentials, &scopes).await;
    let session = Arc::new(opened.map_err(|error| Error::unreachable(error, &endpoint.url))?);
    let found = session
        .manifest(name.path(), &resolve::reference(name))
        .await;
    let found = found.map_err(|error| Error::of_pull(error, name))?;
    let platforms: Vec<Value> = match resolve::parse(inner, &found)? {
        Document::Index(index) => {
            let platforms = index
                .manifests
                .iter()
                .filter_map(|entry| entry.platform.as_ref());
            platforms.map(|platform| json!(platform)).collect()
        }
        Document::Manifest(manifest) => {
            let (digest, size) = (manifest.config.digest.clone(), manifest.config.size);
            let blob = Blob::new(Arc::clone(&session), name.path(), digest, size);
            let config = blob.document("image config", inner.limits.document).await?;
            // An artifact has a config too, and no platform.
            let image = Image::parse(&config, &inner.limits).ok();
            let platform =
                image.map(|image| json!({"architecture": image.architecture, "os": image.os}));
            platform.into_iter().collect()
        }
    };
    let (kind, digest, size) = (&found.media_type, &found.digest, found.bytes.len());
    Ok(json!({
        "Descriptor": {"mediaType": kind, "digest": digest, "size": size},
        "Platforms": platforms,
    }))
}

/// Searches the registry that a term names, Docker Hub when it names none.
pub(crate) async fn search(
    inner: &Inner,
    term: &str,
    limit: Option<u32>,
) -> Result<Vec<Value>, Error> {
    let (domain, words) = match term.split_once('/') {
        Some((host, words)) if host.contains(['.', ':']) || host == "localhost" => (host, words),
        _ => ("docker.io", term),
    };
    let found = inner
        .registry
        .search(domain, words, limit.unwrap_or(FOUND))
        .await?;
    let line = |one: hakone_registry::SearchResult| {
        json!({
            "name": one.name,
            "description": one.description,
            "star_count": one.star_count,
            "is_official": one.is_official,
            "is_automated": false,
        })
    };
    Ok(found.into_iter().map(line).collect())
}
