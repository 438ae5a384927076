//! Images: from the request's words to the service's, and back.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, stream};
use hakone_base::{ApiVersion, Fault as _, ImageRefError};
use hakone_image::{ImportOptions, ListOptions, Platform, Progress};
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::{
    Services,
    departure::Departure,
    error::Error,
    older, registry,
    reply::{self, Reply},
    request::Call,
};

const LIST_KEYS: &[&str] = &["before", "dangling", "label", "reference", "since", "until"];
const PRUNE_KEYS: &[&str] = &["dangling", "label", "label!", "until"];

pub(crate) async fn list(services: &Services, call: Call) -> Reply {
    let options = ListOptions {
        shared_size: call.flag("shared-size"),
        // A real count since 1.51; older clients expect -1.
        containers: call.version >= ApiVersion::new(1, 51),
        descriptors: call.version >= ApiVersion::new(1, 48),
        manifests: call.version >= ApiVersion::new(1, 47) && call.flag("manifests"),
        filters: call.filters(LIST_KEYS)?,
    };
    let list = serde_json::to_value(answer(services.images.list(&options))?);
    reply::json(&older::images(call.version, list.map_err(Error::Json)?))
}

pub(crate) fn inspect(services: &Services, name: &str, call: &Call) -> Reply {
    let platform = platform(call, ApiVersion::new(1, 49))?;
    let manifests = call.version >= ApiVersion::new(1, 48) && call.flag("manifests");
    if manifests && platform.is_some() {
        return Err(Error::parameter(
            "conflicting options: manifests and platform options cannot both be set",
        ));
    }
    require(services, name, platform)?;
    let image = serde_json::to_value(answer(services.images.inspect(name, manifests))?);
    reply::json(&older::image(call.version, image.map_err(Error::Json)?))
}

pub(crate) async fn history(services: &Services, name: &str, call: &Call) -> Reply {
    require(services, name, platform(call, ApiVersion::new(1, 48))?)?;
    reply::json(&answer(services.images.history(name))?)
}

/// Pulls from a registry, or imports a root file system.
pub(crate) async fn create(services: &Services, call: Call) -> Reply {
    match (call.text("fromImage"), call.text("fromSrc")) {
        (Some(_), _) => registry::pull(services, &call).await,
        (None, Some("-")) => {
            let options = import_options(&call)?;
            progress(services.images.import(call.reader(), options)).await
        }
        (None, Some(source)) => import_from(services, source, &call).await,
        (None, None) => Err(Error::parameter("fromImage or fromSrc must be given")),
    }
}

/// Imports what lies at a URL. That it cannot be had is a real HTTP error; a client that leaves ends it.
async fn import_from(services: &Services, source: &str, call: &Call) -> Reply {
    let url = match source.contains("://") {
        true => source.to_owned(),
        false => format!("http://{source}"),
    };
    let mut options = import_options(call)?;
    if options.message.is_empty() {
        options.message = format!("Imported from {url}");
    }
    let place = url.parse();
    let place = place.map_err(|error| Error::parameter(format!("{url}: {error}")))?;
    let file = services.images.registries().download(&place).await;
    let file = file.map_err(|error| Error::service(&error))?;
    let chunks = stream::unfold((file, call.departure()), async |(mut file, departure)| {
        let chunk = tokio::select! {
            chunk = file.chunk() => chunk.map_err(io::Error::other),
            () = departure.clone().wait() => Err(io::ErrorKind::ConnectionAborted.into()),
        };
        Some((chunk.transpose()?, (file, departure)))
    });
    let said = services
        .images
        .import(StreamReader::new(Box::pin(chunks)), options);
    let first = json!({ "status": format!("Downloading from {url}") });
    Ok(reply::stream("application/json", lines(Some(first), said)))
}

fn import_options(call: &Call) -> Result<ImportOptions, Error> {
    let text = |key| call.text(key).map(str::to_owned);
    let name = match (call.text("repo"), call.text("tag")) {
        (Some(repo), Some(tag)) => Some(format!("{repo}:{tag}")),
        (repo, _) => repo.map(str::to_owned),
    };
    Ok(ImportOptions {
        name: name
            .map(|name| name.parse())
            .transpose()
            .map_err(|error: ImageRefError| Error::parameter(error.to_string()))?,
        message: text("message").unwrap_or_default(),
        changes: call.all("changes").to_vec(),
        platform: text("platform").unwrap_or_default(),
    })
}

pub(crate) async fn load(services: &Services, call: Call) -> Reply {
    let platform = platform(&call, ApiVersion::new(1, 48))?;
    let quiet = call.flag("quiet");
    progress(services.images.load(call.reader(), platform, quiet)).await
}

pub(crate) async fn save(services: &Services, object: String, call: Call) -> Reply {
    let names = match object.is_empty() {
        true => call
            .all("names")
            .iter()
            .flat_map(|names| names.split(','))
            .map(str::to_owned)
            .collect(),
        false => vec![object],
    };
    if let Some(platform) = platform(&call, ApiVersion::new(1, 48))? {
        answer(services.images.require(&names, &platform))?;
    }
    let archive = answer(services.images.save(&names))?;
    Ok(reply::stream(
        "application/x-tar",
        ReaderStream::new(archive),
    ))
}

/// A platform as a document, which newer clients name beside an image; older ones know none.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wanted {
    architecture: String,
    os: String,
    variant: String,
}

/// Reads the platform that clients can name since a version.
pub(crate) fn platform(call: &Call, since: ApiVersion) -> Result<Option<Platform>, Error> {
    let text = call.text("platform").filter(|_| call.version >= since);
    text.map(parse_platform).transpose()
}

fn parse_platform(text: &str) -> Result<Platform, Error> {
    let wanted: Wanted = serde_json::from_str(text)
        .map_err(|error| Error::parameter(format!("failed to parse platform: {error}")))?;
    if wanted.os.is_empty() || wanted.architecture.is_empty() {
        return Err(Error::parameter(
            "both OS and Architecture must be provided",
        ));
    }
    Ok(Platform {
        architecture: wanted.architecture,
        os: wanted.os,
        variant: Some(wanted.variant).filter(|variant| !variant.is_empty()),
    })
}

/// Refuses an image of another platform than the one that was asked for: an image is of one here.
pub(crate) fn require(
    services: &Services,
    name: &str,
    platform: Option<Platform>,
) -> Result<(), Error> {
    match platform {
        Some(platform) => answer(services.images.require(&[name.to_owned()], &platform)),
        None => Ok(()),
    }
}

pub(crate) async fn tag(services: &Services, name: &str, call: Call) -> Reply {
    let repository = call.text("repo").unwrap_or_default();
    let target = match call.text("tag") {
        Some(tag) if !is_tag(tag) => return Err(Error::parameter("invalid tag format")),
        Some(tag) => format!("{repository}:{tag}"),
        None => repository.to_owned(),
    };
    answer(services.images.tag(name, &target).await)?;
    Ok(reply::empty(StatusCode::CREATED))
}

/// Reports whether a text may follow a colon in a name.
pub(crate) fn is_tag(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    text.len() <= 128 && !text.starts_with(['.', '-']) && text.chars().all(fits)
}

pub(crate) async fn remove(services: &Services, name: &str, call: Call) -> Reply {
    // Since 1.50 platforms of an image can be removed; of one that has only one that is all of it.
    if call.version >= ApiVersion::new(1, 50) {
        for text in call.all("platforms") {
            require(services, name, Some(parse_platform(text)?))?;
        }
    }
    let removed = services
        .images
        .remove(name, call.flag("force"), call.flag("noprune"))
        .await;
    reply::json(&answer(removed)?)
}

pub(crate) async fn prune(services: &Services, call: Call) -> Reply {
    let filters = call.filters(PRUNE_KEYS)?;
    let pruned = answer(services.images.prune(&filters).await)?;
    reply::json(&json!({
        "ImagesDeleted": pruned.images_deleted,
        "SpaceReclaimed": pruned.space_reclaimed,
    }))
}

/// The same for what nobody but the client wants: the operation ends when the client has left.
pub(crate) async fn progress_for(departure: Departure, said: Progress) -> Reply {
    tokio::select! {
        reply = progress(said) => reply,
        () = departure.wait() => Err(Error::Departed),
    }
}

/// Streams what an operation says. A failure before its first line is a real HTTP error, a later one a line of the stream.
pub(crate) async fn progress(mut progress: Progress) -> Reply {
    let first = match progress.next().await {
        Some(line) => Some(answer(line)?),
        None => None,
    };
    Ok(reply::stream("application/json", lines(first, progress)))
}

fn lines(first: Option<Value>, rest: Progress) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::unfold((first, rest), async |(first, mut rest)| {
        let value = match first {
            Some(value) => value,
            None => rest.next().await?.unwrap_or_else(|error| failure(&error)),
        };
        Some((reply::line(&value).map_err(io::Error::other), (None, rest)))
    })
}

fn failure(error: &hakone_image::Error) -> Value {
    tracing::debug!(kind = ?error.kind(), %error, "image operation failed");
    let message = error.to_string();
    json!({ "errorDetail": { "message": message }, "error": message })
}

pub(crate) fn answer<T>(result: Result<T, hakone_image::Error>) -> Result<T, Error> {
    result.map_err(|error| Error::service(&error))
}
