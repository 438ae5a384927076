//! A container's files: from the request's words to the service's, and back.

use hakone_archive::{ChangeKind, PathStat, PutOptions, Wishes};
use hakone_engine_api::archive::{self, go_mode};
use hyper::{StatusCode, header::HeaderValue};
use serde_json::json;
use tokio_util::io::ReaderStream;

use crate::{
    Services,
    error::Error,
    reply::{self, Reply},
    request::Call,
};

const STAT: &str = "X-Docker-Container-Path-Stat";

pub(crate) async fn stat(services: &Services, id: &str, call: Call) -> Reply {
    let found = answer(services.archives.stat(id, path(&call)?).await)?;
    let mut response = reply::empty(StatusCode::OK);
    response.headers_mut().insert(STAT, header(&found)?);
    Ok(response)
}

pub(crate) async fn get(services: &Services, id: &str, call: Call) -> Reply {
    let found = answer(services.archives.get(id, path(&call)?).await)?;
    let stream = ReaderStream::with_capacity(found.archive, 64 * 1024);
    let mut response = reply::stream("application/x-tar", stream);
    response.headers_mut().insert(STAT, header(&found.stat)?);
    Ok(response)
}

pub(crate) async fn put(services: &Services, id: &str, call: Call) -> Reply {
    let path = path(&call)?.to_owned();
    let options = PutOptions {
        keep_kinds: call.flag("noOverwriteDirNonDir"),
        to_user: call.flag("copyUIDGID"),
    };
    answer(
        services
            .archives
            .put(id, &path, options, call.reader())
            .await,
    )?;
    Ok(reply::empty(StatusCode::OK))
}

pub(crate) async fn export(services: &Services, id: &str) -> Reply {
    let archive = answer(services.archives.export(id).await)?;
    let stream = ReaderStream::with_capacity(archive, 64 * 1024);
    Ok(reply::stream("application/octet-stream", stream))
}

/// Nothing changed is `null`, as dockerd has it.
pub(crate) async fn changes(services: &Services, id: &str) -> Reply {
    let changes = answer(services.archives.changes(id).await)?;
    let kind = |kind| match kind {
        ChangeKind::Modified => 0,
        ChangeKind::Added => 1,
        ChangeKind::Deleted => 2,
    };
    let list: Vec<_> = changes
        .iter()
        .map(|one| json!({ "Path": String::from_utf8_lossy(&one.path), "Kind": kind(one.kind) }))
        .collect();
    reply::json(&(!list.is_empty()).then_some(list))
}

/// Makes an image of a container. A body is a configuration in place of the container's.
pub(crate) async fn commit(services: &Services, call: Call) -> Reply {
    let text = |key| call.text(key).unwrap_or_default().to_owned();
    let container = text("container");
    let wishes = Wishes {
        repository: text("repo"),
        tag: text("tag"),
        author: text("author"),
        comment: text("comment"),
        changes: call.all("changes").to_vec(),
        // The one other flag that is on when it is absent.
        pause: call.all("pause").is_empty() || call.flag("pause"),
        config: None,
    };
    let wishes = Wishes {
        config: call.optional_json().await?,
        ..wishes
    };
    let made = answer(services.archives.commit(&container, wishes).await)?;
    reply::json_with(StatusCode::CREATED, &json!({ "Id": made.id.as_str() }))
}

fn path(call: &Call) -> Result<&str, Error> {
    // The missing blank is Docker's.
    let refuse = || Error::parameter("bad parameter: pathcannot be empty");
    call.text("path").ok_or_else(refuse)
}

fn header(found: &PathStat) -> Result<HeaderValue, Error> {
    let stat = archive::PathStat {
        name: found.name.clone(),
        size: found.stat.st_size,
        mode: go_mode(found.stat.st_mode),
        mtime: archive::PathStat::time(
            found.stat.st_mtime,
            i64::try_from(found.stat.st_mtime_nsec).unwrap_or(0),
        ),
        link_target: found.target.clone(),
    };
    HeaderValue::from_str(&stat.to_header()).map_err(|error| Error::parameter(error.to_string()))
}

fn answer<T>(result: Result<T, hakone_archive::Error>) -> Result<T, Error> {
    result.map_err(|error| Error::service(&error))
}
