//! Credential helpers: programs `docker-credential-NAME` that keep passwords elsewhere than in a file.
//!
//! They are the user's own programs, found and run in the user's own environment, as docker does.

use std::{process::Stdio, time::Duration};

use hakone_client::Error;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;

use super::config::Auth;

/// How long one may take: it may ask a person.
const PATIENCE: Duration = Duration::from_secs(300);
/// The user name of a token that stands for the password.
const TOKEN: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Stored<'a> {
    #[serde(rename = "ServerURL")]
    server_url: &'a str,
    username: &'a str,
    secret: &'a str,
}

/// Asks a helper; nothing when it has nothing.
pub(crate) async fn get(name: &str, server: &str) -> Result<Option<Auth>, Error> {
    let (good, said) = run(name, "get", server).await?;
    if !good && said.contains("not found") {
        return Ok(None);
    }
    let answer: Answer = serde_json::from_str(&said)
        .ok()
        .ok_or_else(|| failed(name, &said))?;
    let (user, password, token) = match answer.username.as_str() {
        TOKEN => (String::new(), String::new(), answer.secret),
        _ => (answer.username, answer.secret, String::new()),
    };
    Ok(Some(Auth {
        user,
        password,
        token,
        server: server.to_owned(),
    }))
}

/// Gives a helper something to keep.
pub(crate) async fn store(name: &str, auth: &Auth) -> Result<(), Error> {
    let (username, secret) = match auth.token.as_str() {
        "" => (auth.user.as_str(), auth.password.as_str()),
        token => (TOKEN, token),
    };
    let stored = Stored {
        server_url: &auth.server,
        username,
        secret,
    };
    let text = serde_json::to_string(&stored).unwrap_or_default();
    match run(name, "store", &text).await? {
        (true, _) => Ok(()),
        (false, said) => Err(failed(name, &said)),
    }
}

/// Makes a helper forget.
pub(crate) async fn erase(name: &str, server: &str) -> Result<(), Error> {
    run(name, "erase", server).await.map(drop)
}

async fn run(name: &str, verb: &str, input: &str) -> Result<(bool, String), Error> {
    if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    {
        return Err(Error::usage(format!(
            "{name:?} is no name of a credential helper"
        )));
    }
    let program = format!("docker-credential-{name}");
    let io = || Error::io(format!("run {program}"));
    let mut child = tokio::process::Command::new(&program)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .map_err(io())?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not listen says why by its answer.
        stdin.write_all(input.as_bytes()).await.ok();
    }
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = ended
        .map_err(|_late| failed(name, "it does not end"))?
        .map_err(io())?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok((output.status.success(), said))
}

/// Says what a helper said when it failed; its answers to questions are never shown.
fn failed(name: &str, said: &str) -> Error {
    let said = if said.starts_with('{') {
        "its answer is no JSON"
    } else {
        said
    };
    Error::usage(format!(
        "error getting credentials - docker-credential-{name}: {said}"
    ))
}
