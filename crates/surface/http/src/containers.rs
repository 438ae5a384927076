//! Containers: from the request's words to the service's, and back.

use std::{sync::Arc, time::SystemTime};

use hakone_base::{ApiVersion, Timestamp};
use hakone_container::{
    AttachOptions, CreateRequest, ExecStarted, ListOptions, LogOptions, RemoveOptions, Size,
    StopOptions, WaitCondition,
};
use hakone_engine_api::wire;
use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::io::ReaderStream;

use crate::{
    Services,
    error::Error,
    hijack::{Duplex, Framing, Hijack},
    older,
    reply::{self, Reply},
    request::Call,
};

pub(crate) async fn list(services: &Services, call: Call) -> Reply {
    let options = ListOptions {
        all: call.flag("all"),
        limit: call
            .number::<i64>("limit")?
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(0),
        size: call.flag("size"),
        filters: call.filters(hakone_container::Service::LIST_FILTERS)?,
    };
    let mut list = answer(services.containers.list(options).await)?;
    older::listed(call.version, &mut list);
    reply::json(&list)
}

pub(crate) async fn create(services: &Services, call: Call) -> Reply {
    let name = call.text("name").map(str::to_owned);
    let platform = call.text("platform").unwrap_or_default();
    // Before 1.41 a container was for this host whatever was asked.
    let platform = match call.version < ApiVersion::new(1, 41) {
        true => String::new(),
        false => platform.to_owned(),
    };
    let version = call.version;
    let (mut body, older): (wire::ContainerCreateBody, Older) = call.json_twice().await?;
    check_config(&body)?;
    older::asked(version, services.about.cgroup_version, &mut body)?;
    let request = CreateRequest {
        name,
        platform,
        mac: older.mac_address,
        body,
        engine: false,
    };
    let created = answer(services.containers.create(request).await)?;
    let body = json!({ "Id": created.id.as_str(), "Warnings": created.warnings });
    reply::json_with(StatusCode::CREATED, &body)
}

/// What clients up to 1.43 say beside all networks.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Older {
    #[serde(skip_serializing_if = "Option::is_none")]
    mac_address: Option<String>,
}

/// Refuses a body without any configuration, and one without image, in the order and the words that clients know.
fn check_config(body: &wire::ContainerCreateBody) -> Result<(), Error> {
    let bare = wire::ContainerCreateBody {
        host_config: body.host_config.clone(),
        networking_config: body.networking_config.clone(),
        ..Default::default()
    };
    if *body == bare {
        return Err(Error::parameter(
            "config cannot be empty in order to create a container",
        ));
    }
    let none = |words: &Option<Vec<String>>| words.as_ref().is_none_or(Vec::is_empty);
    let no_image = body.image.as_deref().unwrap_or_default().is_empty();
    match no_image && none(&body.cmd) && none(&body.entrypoint) {
        true => Err(Error::parameter("no command specified")),
        false => Ok(()),
    }
}

pub(crate) async fn inspect(services: &Services, id: &str, call: Call) -> Reply {
    let shown = answer(services.containers.inspect(id, call.flag("size")).await)?;
    reply::json(&older::container(call.version, shown))
}

pub(crate) async fn start(services: &Services, id: &str, call: Call) -> Reply {
    call.without_body(
        "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
    )?;
    answer(services.containers.start(id).await)?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(crate) async fn stop(services: &Services, id: &str, call: Call) -> Reply {
    answer(services.containers.stop(id, stop_options(&call)?).await)?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(crate) async fn restart(services: &Services, id: &str, call: Call) -> Reply {
    answer(services.containers.restart(id, stop_options(&call)?).await)?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

fn stop_options(call: &Call) -> Result<StopOptions, Error> {
    Ok(StopOptions {
        signal: call.text("signal").map(str::to_owned),
        timeout: call.number("t")?,
    })
}

pub(crate) async fn kill(services: &Services, id: &str, call: Call) -> Reply {
    answer(services.containers.kill(id, call.text("signal")).await)?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(crate) async fn pause(services: &Services, id: &str) -> Reply {
    answer(services.containers.pause(id).await)?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(crate) async fn unpause(services: &Services, id: &str) -> Reply {
    answer(services.containers.unpause(id).await)?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(crate) async fn update(services: &Services, id: &str, call: Call) -> Reply {
    let body: wire::ContainerUpdateBody = call.json().await?;
    let warnings = answer(services.containers.update(id, body).await)?;
    let warnings = (!warnings.is_empty()).then_some(warnings);
    reply::json(&json!({ "Warnings": warnings }))
}

pub(crate) async fn rename(services: &Services, id: &str, call: Call) -> Reply {
    let name = call.text("name").unwrap_or_default();
    answer(services.containers.rename(id, name).await)?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// Sends the headers at once, as clients take them for "the wait is armed"; the result follows in the body.
pub(crate) fn wait(services: &Services, id: &str, call: &Call) -> Reply {
    let condition = match call.text("condition") {
        None | Some("not-running") => WaitCondition::NotRunning,
        Some("next-exit") => WaitCondition::NextExit,
        Some("removed") => WaitCondition::Removed,
        Some(other) => return Err(Error::parameter(format!("invalid condition: {other:?}"))),
    };
    let waited = answer(services.containers.wait(id, condition))?;
    let line = async move {
        let waited = waited.await;
        let error = waited.error.map(|message| wire::ContainerWaitExitError {
            message: Some(message),
        });
        let body = wire::ContainerWaitResponse {
            status_code: waited.code,
            error,
        };
        reply::line(&body).map_err(std::io::Error::other)
    };
    Ok(reply::stream(
        "application/json",
        futures_util::stream::once(line),
    ))
}

pub(crate) async fn remove(services: &Services, id: &str, call: Call) -> Reply {
    let options = RemoveOptions {
        volumes: call.flag("v"),
        force: call.flag("force"),
        link: call.flag("link"),
    };
    answer(services.containers.remove(id, options).await)?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(crate) async fn prune(services: &Services, call: Call) -> Reply {
    let filters = call.filters(hakone_container::Service::PRUNE_FILTERS)?;
    let pruned = answer(services.containers.prune(filters).await)?;
    let ids: Vec<&str> = pruned.containers.iter().map(|id| id.as_str()).collect();
    let deleted = (!ids.is_empty()).then_some(ids);
    reply::json(&json!({ "ContainersDeleted": deleted, "SpaceReclaimed": pruned.reclaimed }))
}

pub(crate) async fn logs(services: &Services, id: &str, call: Call) -> Reply {
    let options = log_options(&call)?;
    if !options.stdout && !options.stderr {
        return Err(Error::parameter(
            "Bad parameters: you must choose at least one stream",
        ));
    }
    let log = answer(services.containers.logs(id, options).await)?;
    let kind = match log.terminal {
        true => "application/vnd.docker.raw-stream",
        false => "application/vnd.docker.multiplexed-stream",
    };
    Ok(reply::stream(kind, ReaderStream::new(log.output)))
}

fn log_options(call: &Call) -> Result<LogOptions, Error> {
    let now = Timestamp::from(SystemTime::now());
    let time = |key| {
        let parse = |text| Timestamp::parse_relative(text, now);
        let found = call.text(key).map(parse).transpose();
        // Zero means "no bound", as the CLI sends it for both.
        found.map(|time| time.filter(|time| *time != Timestamp::NEVER))
    };
    let refuse = |error: hakone_base::TimestampError| Error::parameter(error.to_string());
    Ok(LogOptions {
        follow: call.flag("follow"),
        stdout: call.flag("stdout"),
        stderr: call.flag("stderr"),
        since: time("since").map_err(refuse)?,
        until: time("until").map_err(refuse)?,
        timestamps: call.flag("timestamps"),
        // What is no number means everything.
        tail: call.text("tail").and_then(|text| text.parse().ok()),
        details: call.flag("details"),
    })
}

pub(crate) async fn attach(services: &Services, id: &str, call: Call) -> Reply {
    let options = AttachOptions {
        detach_keys: call.text("detachKeys").map(str::to_owned),
        logs: call.flag("logs"),
        stream: call.flag("stream"),
        stdin: call.flag("stdin"),
        stdout: call.flag("stdout"),
        stderr: call.flag("stderr"),
    };
    let version = call.version;
    let stream = answer(services.containers.attach(id, options).await)?;
    let framing = framing(stream.terminal);
    let duplex = Duplex {
        output: stream.output,
        input: Some(stream.input),
    };
    Ok(Hijack::new(call.into_request(), version, framing).answer(duplex))
}

const fn framing(terminal: bool) -> Framing {
    match terminal {
        true => Framing::Raw,
        false => Framing::Multiplexed,
    }
}

pub(crate) async fn resize(services: &Services, id: &str, call: Call) -> Reply {
    answer(services.containers.resize(id, size(&call)?).await)?;
    Ok(reply::empty(StatusCode::OK))
}

fn size(call: &Call) -> Result<Size, Error> {
    Ok(Size {
        rows: call.needed("h")?,
        cols: call.needed("w")?,
    })
}

pub(crate) async fn exec_create(services: &Services, id: &str, call: Call) -> Reply {
    let config: wire::ExecConfig = call.json().await?;
    let exec = answer(services.containers.exec_create(id, config).await)?;
    reply::json_with(StatusCode::CREATED, &json!({ "Id": exec }))
}

/// Starts an exec. The body must be read before the connection can be taken over.
pub(crate) async fn exec_start(services: &Arc<Services>, id: &str, call: Call) -> Reply {
    let version = call.version;
    let (config, request) = call.json_and_request::<wire::ExecStartConfig>().await?;
    match answer(
        services
            .containers
            .exec_start(id, config.unwrap_or_default())
            .await,
    )? {
        ExecStarted::Detached => Ok(reply::empty(StatusCode::OK)),
        ExecStarted::Attached(stream) => {
            let framing = framing(stream.terminal);
            let duplex = Duplex {
                output: stream.output,
                input: Some(stream.input),
            };
            Ok(Hijack::new(request, version, framing).answer(duplex))
        }
    }
}

pub(crate) async fn exec_resize(services: &Services, id: &str, call: Call) -> Reply {
    answer(services.containers.exec_resize(id, size(&call)?).await)?;
    Ok(reply::empty(StatusCode::OK))
}

pub(crate) fn exec_inspect(services: &Services, id: &str) -> Reply {
    reply::json(&answer(services.containers.exec_inspect(id))?)
}

fn answer<T>(result: Result<T, hakone_container::Error>) -> Result<T, Error> {
    result.map_err(|error| Error::service(&error))
}
