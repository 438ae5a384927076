//! Registries: pull, push, login, look-up, search, and the header that says who the user is there.

use hakone_base::{ApiVersion, Digest, ImageRef, ImageRefError};
use hakone_image::{Credentials, Platform, PullRequest, PushRequest};
use serde_json::{Map, Value, json};

use crate::{
    Services,
    error::Error,
    images::{answer, is_tag, platform, progress_for, require},
    reply::{self, Reply},
    request::Call,
};

const AUTH: &str = "x-registry-auth";
/// Results that one search may ask for, as Docker has it.
const FOUND: std::ops::RangeInclusive<u32> = 1..=100;

/// Pulls the image that the query names.
pub(crate) async fn pull(services: &Services, call: &Call) -> Reply {
    let name = reference(call.text("fromImage").unwrap_or_default())?;
    let name = match call.text("tag") {
        None => name,
        Some(tag) => match tag.parse::<Digest>() {
            Ok(digest) => name.with_digest(digest),
            Err(_) if !is_tag(tag) => return Err(Error::parameter("invalid tag format")),
            Err(_) => name.with_tag(tag).map_err(|error| refuse(&error))?,
        },
    };
    let platform = call
        .text("platform")
        .map(str::parse::<Platform>)
        .transpose();
    let request = PullRequest {
        name,
        platform: platform.map_err(|error| Error::parameter(error.to_string()))?,
        // As Docker: a header that is none counts as nobody.
        credentials: credentials(call).unwrap_or_default(),
    };
    progress_for(call.departure(), services.images.pull(request)).await
}

/// Pushes a tag, or all tags of a repository.
pub(crate) async fn push(services: &Services, name: &str, call: Call) -> Reply {
    let platform = platform(&call, ApiVersion::new(1, 46))?;
    let name = reference(name)?;
    let name = match call.text("tag") {
        Some(tag) => name.with_tag(tag).map_err(|error| refuse(&error))?,
        None => name,
    };
    let credentials = credentials(&call).map_err(|error| {
        Error::parameter(format!(
            "bad parameters and missing X-Registry-Auth: {error}"
        ))
    })?;
    require(services, &name.to_string(), platform)?;
    let departure = call.departure();
    progress_for(
        departure,
        services.images.push(PushRequest { name, credentials }),
    )
    .await
}

/// Asks a registry what a name means.
pub(crate) async fn distribution(services: &Services, name: &str, call: Call) -> Reply {
    let name = reference(name)?.with_default_tag();
    let credentials = credentials(&call).unwrap_or_default();
    reply::json(&answer(
        services.images.distribution(&name, credentials).await,
    )?)
}

/// The words of a login's body.
const WORDS: [&str; 6] = [
    "username",
    "password",
    "auth",
    "serveraddress",
    "identitytoken",
    "registrytoken",
];

/// Checks a user's password at a registry. A body that is no login is refused: without its password the registry would be asked
/// about nobody.
pub(crate) async fn login(services: &Services, call: Call) -> Reply {
    let mut body: Map<String, Value> = call.json().await?;
    body.retain(|_, value| !value.is_null());
    let mut words = WORDS
        .iter()
        .filter_map(|word| Some((word, body.get(*word)?)));
    if let Some((word, _)) = words.find(|(_, value)| !value.is_string()) {
        return Err(Error::parameter(format!("{word} is no text")));
    }
    let server = body.get("serveraddress").and_then(Value::as_str);
    let server = server.unwrap_or_default().to_owned();
    let credentials = Credentials::from_json(Value::Object(body));
    let done = answer(services.images.login(&server, credentials).await)?;
    reply::json(&json!({"Status": "Login Succeeded", "IdentityToken": done.identity_token}))
}

/// Searches a registry.
pub(crate) async fn search(services: &Services, call: Call) -> Reply {
    let term = call
        .text("term")
        .ok_or_else(|| Error::parameter("search needs a term"))?;
    let limit = call.number::<u32>("limit")?.filter(|limit| *limit != 0);
    if limit.is_some_and(|limit| !FOUND.contains(&limit)) {
        return Err(Error::parameter("limit must be between 1 and 100"));
    }
    let filters = call.filters(&["is-automated", "is-official", "stars"])?;
    let stars: i64 = filters
        .get("stars")
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let official = filters.flag("is-official")?;
    let mut found = answer(services.images.search(term, limit).await)?;
    found.retain(|one| {
        let has = one.get("star_count").and_then(Value::as_i64).unwrap_or(0);
        let is = one
            .get("is_official")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        has >= stars && official.is_none_or(|official| official == is)
    });
    reply::json(&found)
}

fn reference(text: &str) -> Result<ImageRef, Error> {
    text.parse().map_err(|error| refuse(&error))
}

fn refuse(error: &ImageRefError) -> Error {
    Error::parameter(error.to_string())
}

fn credentials(call: &Call) -> Result<Credentials, hakone_image::CredentialsError> {
    let header = call
        .headers()
        .get(AUTH)
        .and_then(|value| value.to_str().ok());
    Credentials::from_header(header.unwrap_or_default())
}
