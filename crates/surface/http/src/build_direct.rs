//! `POST /build?version=2`: a build that the build clients' service carries out, asked for in one request and told in its answer.
//!
//! Clients before buildx do so: they open a session and name it here. Each line of the answer is a message of BuildKit's in JSON, and the
//! last names the image.

use std::{collections::BTreeMap, io, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use hakone_buildkit::{Direct, Told};
use hakone_engine_api::wire;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Services,
    build::json_of,
    error::Error,
    reply::{self, Reply},
    request::Call,
};

/// The name of the remote that is the client's session itself.
const SESSION: &str = "client-session";
/// The name of one that comes in another request.
const UPLOAD: &str = "upload-request";
/// As for classic builds: an empty line tells whether the client is still there.
const BEAT: Duration = Duration::from_secs(1);

/// Where a result goes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    r#type: String,
    #[serde(default)]
    attrs: Option<BTreeMap<String, String>>,
}

/// A kind of exporter and its attributes.
type Exporter = (String, Attributes);
type Attributes = BTreeMap<String, String>;

/// Builds by the words of a request.
pub(crate) fn build(services: &Services, call: &Call) -> Reply {
    let direct = direct(call)?;
    let told = services.build_clients.carry_out(direct);
    Ok(reply::stream("application/json", lines(told)))
}

fn lines(told: impl Stream<Item = Told> + Send) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::unfold(Box::pin(told), async |mut told| {
        let bytes = match tokio::time::timeout(BEAT, told.next()).await {
            Ok(told) => reply::line(&line(told?)).map_err(io::Error::other),
            Err(_quiet) => Ok(Bytes::from_static(b"\n")),
        };
        Some((bytes, told))
    })
}

fn line(told: Told) -> Value {
    match told {
        Told::Trace(status) => {
            json!({ "id": "moby.buildkit.trace", "aux": BASE64_STANDARD.encode(status) })
        }
        Told::Image(id) => json!({ "id": "moby.image.id", "aux": { "ID": id } }),
        Told::Failed(failure) => {
            let message = failure.message;
            json!({ "errorDetail": { "message": message }, "error": message })
        }
    }
}

fn direct(call: &Call) -> Result<Direct, Error> {
    let arguments: BTreeMap<String, Option<String>> =
        json_of(call, "buildargs")?.unwrap_or_default();
    let inline = arguments
        .get("BUILDKIT_INLINE_CACHE")
        .and_then(Option::as_deref);
    let session = call.text("session").unwrap_or_default().to_owned();
    let id = call.text("buildid").filter(|id| !id.is_empty());
    let network = call.text("networkmode");
    Ok(Direct {
        id: id.map_or_else(|| fallback(&session), str::to_owned),
        inline_cache: matches!(inline, Some("1" | "true" | "True" | "TRUE" | "t" | "T")),
        entitlements: match network {
            Some("host") => vec!["network.host".to_owned()],
            _ => Vec::new(),
        },
        exporter: exporter(call)?,
        attributes: attributes(call, &arguments)?,
        session,
    })
}

/// Names a build that its client does not.
fn fallback(session: &str) -> String {
    let now = hakone_buildkit::now();
    format!("{session}-{}", now.0)
}

/// Without a word the result becomes an image with the request's names.
fn exporter(call: &Call) -> Result<Option<Exporter>, Error> {
    let mut outputs: Vec<Output> = json_of(call, "outputs")?.unwrap_or_default();
    if outputs.len() > 1 {
        return Err(Error::parameter("multiple outputs not supported"));
    }
    let (kind, mut attributes) = match outputs.pop() {
        None => ("moby".to_owned(), BTreeMap::new()),
        Some(one) if one.r#type == "cacheonly" => return Ok(None),
        Some(one) => (one.r#type, one.attrs.unwrap_or_default()),
    };
    let names = call.all("t").iter().filter(|name| !name.is_empty());
    let names: Vec<&str> = names.map(String::as_str).collect();
    if matches!(kind.as_str(), "moby" | "image") && !names.is_empty() {
        attributes.insert("name".to_owned(), names.join(","));
    }
    Ok(Some((kind, attributes)))
}

/// Says in the front end's words what the request says in its own.
fn attributes(
    call: &Call,
    arguments: &BTreeMap<String, Option<String>>,
) -> Result<Attributes, Error> {
    let mut all = lists(call)?;
    let mut set = |key: &str, value: &str| all.insert(key.to_owned(), value.to_owned());
    match call.text("remote") {
        Some(SESSION) => {}
        Some(UPLOAD) => {
            let text = "an archive as context of a build of version 2 is not taken: give buildx, or no DOCKER_BUILDKIT=1, or unpack it";
            return Err(Error::parameter(text));
        }
        Some(remote) if !remote.is_empty() => drop(set("context", remote)),
        _ => {
            let text = "a build of version 2 takes its context from a session (remote=client-session) or an address";
            return Err(Error::parameter(text));
        }
    }
    for (key, attribute) in [
        ("target", "target"),
        ("platform", "platform"),
        ("cgroupparent", "cgroup-parent"),
    ] {
        if let Some(value) = call.text(key).filter(|value| !value.is_empty()) {
            set(attribute, value);
        }
    }
    if let Some(file) = call
        .text("dockerfile")
        .filter(|file| !matches!(*file, "" | "."))
    {
        set("filename", file);
    }
    if call.flag("nocache") {
        set("no-cache", "");
    }
    if call.flag("pull") {
        set("image-resolve-mode", "pull");
    }
    match call.text("networkmode") {
        None | Some("" | "default") => {}
        Some(network @ ("host" | "none")) => drop(set("force-network-mode", network)),
        Some(other) => {
            let text = format!("network mode {other:?} not supported by buildkit");
            return Err(Error::parameter(text));
        }
    }
    if let Some(size) = call.number::<i64>("shmsize")?.filter(|size| *size > 0) {
        set("shm-size", &size.to_string());
    }
    for (name, value) in arguments {
        if let Some(value) = value {
            set(&format!("build-arg:{name}"), value);
        }
    }
    for (name, value) in json_of::<BTreeMap<String, String>>(call, "labels")?.unwrap_or_default() {
        set(&format!("label:{name}"), &value);
    }
    Ok(all)
}

/// The attributes that hold several things between commas.
fn lists(call: &Call) -> Result<Attributes, Error> {
    let caches: Vec<String> = json_of(call, "cachefrom")?.unwrap_or_default();
    let hosts = call.all("extrahosts").iter();
    let hosts: Vec<String> = hosts.map(|host| host.replacen(':', "=", 1)).collect();
    let limits: Vec<wire::ResourcesUlimits> = json_of(call, "ulimits")?.unwrap_or_default();
    let limit = |limit: wire::ResourcesUlimits| {
        let [soft, hard] = [limit.soft, limit.hard].map(Option::unwrap_or_default);
        format!("{}={soft}:{hard}", limit.name.unwrap_or_default())
    };
    let limits: Vec<String> = limits.into_iter().map(limit).collect();
    let all = [
        ("cache-from", caches),
        ("add-hosts", hosts),
        ("ulimit", limits),
    ];
    let some = all.into_iter().filter(|(_, list)| !list.is_empty());
    Ok(some
        .map(|(key, list)| (key.to_owned(), list.join(",")))
        .collect())
}
