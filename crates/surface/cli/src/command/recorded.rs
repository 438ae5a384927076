//! Runs every recorded command line against a fake daemon and compares our requests with those of the official docker CLI.
//!
//! `tests/record.py` made the recording. Zero values count as absent, for the docker CLI spells them all out.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use clap::FromArgMatches;
use hakone_client::{Address, Console, Session, Terminal};
use hakone_run_flags::Surroundings;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::UnixListener;

use super::{Cli, command, perform};

#[derive(Debug, Deserialize)]
struct Line {
    line: String,
    code: u8,
    stdout: String,
    requests: Vec<Sent>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Sent {
    method: String,
    target: String,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    upgrade: Option<String>,
}

/// The folder of the recording stands for the user's, one variable for the environment.
struct Recording(PathBuf);

impl Surroundings for Recording {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "RECORDED").then(|| "from-outside".to_owned())
    }
    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(self.0.join(path))
    }
    fn folder(&self) -> PathBuf {
        self.0.clone()
    }
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Log = Arc<Mutex<Vec<Sent>>>;

const ID: &str = "abababababababababababababababababababababababababababababababab";

#[tokio::test]
async fn requests_are_those_of_the_docker_cli() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let text = std::fs::read_to_string(folder.join("requests.json")).unwrap();
    let lines: Vec<Line> = serde_json::from_str(&text).unwrap();
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("s");
    let log = Log::default();
    let server = tokio::spawn(serve(
        UnixListener::bind(&socket).unwrap(),
        Arc::clone(&log),
    ));
    let mut differing = Vec::new();
    for line in &lines {
        let (code, stdout) = ours(&line.line, &socket, &folder).await;
        let sent = std::mem::take(&mut *log.lock().unwrap());
        let (wanted, found) = (comparable(line.requests.clone()), comparable(sent));
        if wanted != found || code != line.code || stdout != line.stdout {
            differing.push(format!(
                "{}\n  docker: {} {:?} {}\n  ours:   {code} {stdout:?} {}",
                line.line,
                line.code,
                line.stdout,
                shown(&wanted),
                shown(&found)
            ));
        }
    }
    server.abort();
    assert!(
        differing.is_empty(),
        "{} of {}:\n{}",
        differing.len(),
        lines.len(),
        differing.join("\n")
    );
}

async fn ours(line: &str, socket: &Path, folder: &Path) -> (u8, String) {
    let words: Vec<String> = std::iter::once("hakone".to_owned())
        .chain(split(line))
        .collect();
    let matches = command().try_get_matches_from(&words).unwrap();
    let cli = Cli::from_arg_matches(&matches).unwrap();
    let out = Shared::default();
    let console = Console::new(
        Box::new(out.clone()),
        Box::new(io::sink()),
        Terminal::default(),
    );
    let around = Box::new(Recording(folder.to_owned()));
    let session =
        Session::with_surroundings(console, around, Address::Unix(socket.to_owned()), None);
    let code = perform(&session, &cli.verb, command()).await;
    let bytes = out.0.lock().unwrap().clone();
    (code, String::from_utf8(bytes).unwrap())
}

/// Splits at blanks outside double quotes, as the recorder's shell words need.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![];
    let (mut word, mut quoted, mut started) = (String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' => (quoted, started) = (!quoted, true),
            ' ' if !quoted => {
                if started {
                    words.push(std::mem::take(&mut word));
                }
                started = false;
            }
            c => {
                word.push(c);
                started = true;
            }
        }
    }
    if started {
        words.push(word);
    }
    words
}

async fn serve(listener: UnixListener, log: Log) {
    while let Ok((stream, _)) = listener.accept().await {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&log)));
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            drop(served.with_upgrades().await);
        });
    }
}

async fn answer(
    mut request: Request<Incoming>,
    log: Log,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let method = request.method().to_string();
    let target = request.uri().to_string();
    let upgrade = request
        .headers()
        .get(header::UPGRADE)
        .map(|value| value.to_str().unwrap().to_owned());
    let upgraded = hyper::upgrade::on(&mut request);
    let bytes = request.into_body().collect().await.unwrap().to_bytes();
    if path != "/_ping" {
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        log.lock().unwrap().push(Sent {
            method: method.clone(),
            target,
            body,
            upgrade: upgrade.clone(),
        });
    }
    let reply = Response::builder().header("Api-Version", "1.51");
    if upgrade.is_some() {
        // The process ends at once: the connection closes as soon as it is ours.
        tokio::spawn(async move { drop(upgraded.await) });
        let reply = reply
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::CONNECTION, "Upgrade");
        return Ok(reply
            .header(header::UPGRADE, "tcp")
            .body(Full::default())
            .unwrap());
    }
    let (status, body) = canned(&method, &path);
    let bytes = if body.is_null() {
        Bytes::new()
    } else {
        Bytes::from(body.to_string())
    };
    Ok(reply.status(status).body(Full::new(bytes)).unwrap())
}

/// The same answers as the recorder's.
fn canned(method: &str, path: &str) -> (u16, Value) {
    let ends = |part: &str| path.ends_with(part);
    match method {
        _ if ends("/events") || ends("/logs") || ends("/_ping") => (200, Value::Null),
        "GET" if path.contains("/exec/") => {
            (200, json!({"ID": ID, "ExitCode": 0, "Running": false}))
        }
        "GET" if ends("/volumes") => (200, json!({"Volumes": []})),
        "GET" if ends("/c1/json") => (
            200,
            json!({"Id": ID, "Name": "/c1", "State": {"Running": true, "Status": "running"}, "Config": {"Tty": false},
                "HostConfig": {}, "NetworkSettings": {"Ports": {}}}),
        ),
        "GET" => (200, json!([])),
        "DELETE" if path.contains("/images/") => (200, json!([])),
        "DELETE" => (204, Value::Null),
        _ if ends("/containers/create") => (201, json!({"Id": ID, "Warnings": []})),
        _ if ends("/networks/create") => (201, json!({"Id": ID, "Warning": ""})),
        _ if ends("/volumes/create") => (
            201,
            json!({"Name": "v1", "Driver": "local", "Mountpoint": "", "Scope": "local", "Labels": {}, "Options": {}}),
        ),
        _ if ends("/exec") => (201, json!({"Id": ID})),
        _ if ends("/wait") => (200, json!({"StatusCode": 0})),
        _ if ends("/commit") => (201, json!({"Id": ID})),
        _ if ends("/update") => (200, json!({"Warnings": null})),
        _ if ends("/prune") => (200, json!({})),
        _ => (204, Value::Null),
    }
}

/// Takes away what may differ: the version, look-ups beside an action, zero values, orders that mean nothing.
fn comparable(requests: Vec<Sent>) -> Vec<Sent> {
    let acts = requests.iter().any(|request| request.method != "GET");
    requests
        .into_iter()
        .filter(|request| !acts || request.method != "GET")
        .map(|mut request| {
            let versioned = request
                .target
                .strip_prefix("/v")
                .and_then(|rest| rest.split_once('/'));
            if let Some((_, rest)) = versioned {
                request.target = format!("/{rest}");
            }
            if let Some(map) = request
                .body
                .as_object_mut()
                .filter(|_| request.target.ends_with("/exec"))
            {
                // Only the start of an exec says whether it is detached; daemons ignore it here.
                map.remove("Detach");
            }
            request.body = clean(request.body).unwrap_or(Value::Null);
            request
        })
        .collect()
}

fn clean(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) => {
            let kept: BTreeMap<String, Value> = map
                .into_iter()
                // Sets on the wire keep their members, whatever is in them.
                .filter_map(|(key, value)| match key.as_str() {
                    "ExposedPorts" | "Volumes" => {
                        value.as_object().filter(|map| !map.is_empty()).map(|map| {
                            let mut names: Vec<_> = map.keys().cloned().collect();
                            names.sort();
                            (key.clone(), json!(names))
                        })
                    }
                    "Tmpfs" | "EndpointsConfig" => keyed(&value).map(|map| (key.clone(), map)),
                    "Env" | "Config" => clean(value).map(|value| (key, sorted(value))),
                    _ => clean(value).map(|value| (key, value)),
                })
                .collect();
            (!kept.is_empty()).then(|| json!(kept))
        }
        Value::Array(items) => {
            let zero = items.iter().all(|item| item == 0);
            (!items.is_empty() && !zero).then(|| {
                items
                    .into_iter()
                    .map(|item| clean(item).unwrap_or(json!("")))
                    .collect()
            })
        }
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text.is_empty() => None,
        Value::Number(number) if number.as_f64() == Some(0.0) => None,
        other => Some(other),
    }
}

/// Cleans the members but keeps each of them.
fn keyed(value: &Value) -> Option<Value> {
    let map = value.as_object().filter(|map| !map.is_empty())?;
    let member = |(name, value): (&String, &Value)| {
        (name.clone(), clean(value.clone()).unwrap_or(Value::Null))
    };
    Some(json!(map.iter().map(member).collect::<BTreeMap<_, _>>()))
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Array(mut items) => {
            items.sort_by_key(ToString::to_string);
            Value::Array(items)
        }
        other => other,
    }
}

fn shown(requests: &[Sent]) -> String {
    let one = |sent: &Sent| {
        format!(
            "{} {} {:?} {}",
            sent.method, sent.target, sent.upgrade, sent.body
        )
    };
    requests.iter().map(one).collect::<Vec<_>>().join(" ; ")
}
