//! The classic builder: an archive comes in, the lines of its steps go out; and what is remembered of builds.

use std::{collections::BTreeMap, io, pin::Pin, sync::Arc, time::Duration};

use base64::Engine as _;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use hakone_base::Fault as _;
use hakone_build::{
    Built, Classic, Cleanup, Context, ContextError, Error as BuildError, Lines, Progress,
    PruneOptions, Pull, Request, Resources, Reuse, Service,
};
use hakone_engine_api::wire;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::{
    Services,
    error::Error,
    reply::{self, Reply},
    request::Call,
};

/// Credentials by the addresses of registries, base64 of JSON.
const REGISTRIES: &str = "x-registry-config";

/// After so long without a line an empty one is sent: a client may end its side and still listen, so that only a write tells
/// that it is gone. Readers of JSON skip it.
const BEAT: Duration = Duration::from_secs(1);
/// Bytes of lines that go out as one piece, about.
const PIECE: usize = 16 * 1024;

/// Builds an image.
pub(crate) async fn build(services: &Services, call: Call) -> Reply {
    refuse(&call)?;
    if call.text("version") == Some("2") {
        return crate::build_direct::build(services, &call);
    }
    let mut request = request(&call)?;
    let quiet = call.flag("q");
    let credentials = credentials(&call);
    let dockerfile = call.text("dockerfile").unwrap_or("Dockerfile").to_owned();
    let remote = call.text("remote").map(str::to_owned);
    let context = match remote {
        Some(url) => Context::fetch(&services.build, &url, &dockerfile).await,
        None => Context::receive(&services.build, call.reader(), &dockerfile).await,
    };
    let context = context.map_err(|error: ContextError| Error::service(&error))?;
    request.dockerfile = context.dockerfile().to_vec();
    let context = Arc::new(context.with_credentials(credentials));
    let (progress, lines) = Classic::new();
    let service = services.build.clone();
    let running = Running {
        work: Some(Box::pin(work(service, request, context, progress))),
        lines,
        last: Vec::new(),
        quiet,
    };
    running.answer().await
}

async fn work(
    service: Service,
    request: Request,
    context: Arc<Context>,
    progress: Arc<dyn Progress>,
) -> Result<Built, BuildError> {
    service.build(request, context, progress).await
}

type Work = Pin<Box<dyn Future<Output = Result<Built, BuildError>> + Send>>;

/// A build whose lines are on their way to the client. Dropped with the client's connection, it ends.
struct Running {
    work: Option<Work>,
    lines: Lines,
    /// What is left to say, the last first.
    last: Vec<Value>,
    quiet: bool,
}

impl Running {
    /// A failure before the first line is a real HTTP error, a later one a line.
    async fn answer(mut self) -> Reply {
        let first = match self.next().await {
            Some(Ok(line)) => line,
            Some(Err(error)) => return Err(Error::service(&error)),
            None => return Ok(reply::stream("application/json", stream::empty())),
        };
        Ok(reply::stream("application/json", self.rest(first)))
    }

    fn rest(self, first: Value) -> impl Stream<Item = io::Result<Bytes>> + Send {
        stream::unfold((Some(first), self), async |(first, mut running)| {
            let line = match first {
                Some(line) => line,
                None => match tokio::time::timeout(BEAT, running.next()).await {
                    Ok(next) => next?.unwrap_or_else(|error| Lines::failure(&error)),
                    Err(_quiet) => return Some((Ok(Bytes::from_static(b"\n")), (None, running))),
                },
            };
            Some((running.with_more(&line), (None, running)))
        })
    }

    /// Prints a line and those that need not be waited for: each piece costs the client a wake-up.
    fn with_more(&mut self, line: &Value) -> io::Result<Bytes> {
        let mut text: BytesMut = reply::line(line).map_err(io::Error::other)?.into();
        while text.len() < PIECE
            && let Some(line) = self.ready()
        {
            let line = reply::line(&line).map_err(io::Error::other)?;
            text.extend_from_slice(&line);
        }
        Ok(text.freeze())
    }

    /// Gives what there is to say already.
    fn ready(&mut self) -> Option<Value> {
        match self.work.is_some() && !self.quiet {
            true => self.lines.ready(),
            false => self.last.pop(),
        }
    }

    /// Goes on until there is something to say.
    async fn next(&mut self) -> Option<Result<Value, BuildError>> {
        loop {
            if let Some(line) = self.last.pop() {
                return Some(Ok(line));
            }
            let work = self.work.as_mut()?;
            let ended = tokio::select! {
                biased;
                Some(line) = self.lines.next() => {
                    match self.quiet {
                        true => continue,
                        false => return Some(Ok(line)),
                    }
                }
                ended = work => ended,
            };
            self.work = None;
            let rest = self.lines.rest();
            let shown = if self.quiet && ended.is_ok() {
                Vec::new()
            } else {
                rest
            };
            match ended {
                Ok(built) => {
                    self.last = shown;
                    self.last.extend(self.success(&built));
                    self.last.reverse();
                }
                Err(error) if shown.is_empty() => {
                    tracing::debug!(kind = ?error.kind(), %error, "build failed");
                    return Some(Err(error));
                }
                Err(error) => {
                    tracing::debug!(kind = ?error.kind(), %error, "build failed");
                    self.last = shown;
                    self.last.push(Lines::failure(&error));
                    self.last.reverse();
                }
            }
        }
    }

    fn success(&self, built: &Built) -> Vec<Value> {
        match self.quiet {
            true => vec![json!({ "stream": format!("{}\n", built.image) })],
            false => Lines::success(built),
        }
    }
}

/// Refuses what no build does, of either version.
fn refuse(call: &Call) -> Result<(), Error> {
    match call.flag("squash") {
        true => Err(Error::parameter(
            "squash is only supported with experimental mode",
        )),
        false => Ok(()),
    }
}

fn request(call: &Call) -> Result<Request, Error> {
    let text = |key: &str| call.text(key).map(str::to_owned);
    Ok(Request {
        id: text("buildid").unwrap_or_default(),
        target: text("target"),
        arguments: json_of(call, "buildargs")?.unwrap_or_default(),
        labels: json_of::<BTreeMap<String, String>>(call, "labels")?.unwrap_or_default(),
        names: call
            .all("t")
            .iter()
            .filter(|name| !name.is_empty())
            .cloned()
            .collect(),
        platform: text("platform"),
        network: text("networkmode").filter(|mode| mode != "default"),
        reuse: match call.flag("nocache") {
            true => Reuse::Nothing,
            false => Reuse::All,
        },
        cache_from: json_of::<Vec<String>>(call, "cachefrom")?.unwrap_or_default(),
        pull: match call.flag("pull") {
            true => Pull::Always,
            false => Pull::Missing,
        },
        resources: resources(call)?,
        extra_hosts: call.all("extrahosts").to_vec(),
        security_options: call.all("securityopt").to_vec(),
        cleanup: match call.flag("forcerm") {
            true => Cleanup::All,
            false => Cleanup::Succeeded,
        },
        ..Request::default()
    })
}

fn resources(call: &Call) -> Result<Resources, Error> {
    let number = |key: &str| call.number::<i64>(key).map(Option::unwrap_or_default);
    let text = |key: &str| call.text(key).unwrap_or_default().to_owned();
    Ok(Resources {
        memory: number("memory")?,
        memory_swap: number("memswap")?,
        cpu_shares: number("cpushares")?,
        cpu_period: number("cpuperiod")?,
        cpu_quota: number("cpuquota")?,
        cpuset_cpus: text("cpusetcpus"),
        cpuset_mems: text("cpusetmems"),
        cgroup_parent: text("cgroupparent"),
        shm_size: number("shmsize")?,
        ulimits: json_of::<Vec<wire::ResourcesUlimits>>(call, "ulimits")?.unwrap_or_default(),
    })
}

pub(crate) fn json_of<T: DeserializeOwned>(call: &Call, key: &str) -> Result<Option<T>, Error> {
    let text = call.text(key).filter(|text| *text != "null");
    let parse = |text: &str| {
        serde_json::from_str(text)
            .map_err(|error| Error::parameter(format!("error reading {key}: {error}")))
    };
    text.map(parse).transpose()
}

/// As Docker: a header that is none counts as nobody.
fn credentials(call: &Call) -> Map<String, Value> {
    let header = call.headers().get(REGISTRIES);
    let text = header
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let engine = base64::engine::GeneralPurpose::new(
        &base64::alphabet::URL_SAFE,
        base64::engine::GeneralPurposeConfig::new()
            .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
    );
    let bytes = engine.decode(text).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Forgets what is remembered of builds.
pub(crate) async fn prune(services: &Services, call: Call) -> Reply {
    let keep = ["keep-storage", "reserved-space", "max-used-space"];
    let mut bytes = 0;
    for key in keep {
        bytes = bytes.max(call.number::<u64>(key)?.unwrap_or(0));
    }
    let options = PruneOptions {
        all: call.flag("all"),
        keep_bytes: bytes,
        filters: call.filters(Service::PRUNE_FILTERS)?,
    };
    let pruned = services.build.prune(&options).await;
    let mut pruned = pruned.map_err(|error| Error::service(&error))?;
    if bytes == 0 && call.text("filters").is_none() {
        pruned.reclaimed += services.build_clients.forget_contexts();
    }
    reply::json(&json!({
        "CachesDeleted": Some(pruned.ids).filter(|ids| !ids.is_empty()),
        "SpaceReclaimed": pruned.reclaimed,
    }))
}

/// Ends a build.
pub(crate) fn cancel(services: &Services, call: &Call) -> Reply {
    let id = call
        .text("id")
        .ok_or_else(|| Error::parameter("build ID not provided"))?;
    services.build.cancel(id);
    services.build_clients.cancel(id);
    Ok(reply::empty(hyper::StatusCode::NO_CONTENT))
}

/// Tells what is remembered, for `system df`.
pub(crate) async fn cache(services: &Services) -> Value {
    let entries = services.build.disk_usage().await;
    let one = |entry: hakone_build::CacheEntry| {
        json!({
            "ID": entry.id, "Parents": entry.parents, "Type": entry.kind,
            "Description": entry.description, "InUse": entry.in_use, "Shared": entry.shared,
            "Size": entry.size, "CreatedAt": entry.created.to_string(),
            "LastUsedAt": entry.last_used.to_string(), "UsageCount": 1,
        })
    };
    entries.into_iter().map(one).collect()
}
