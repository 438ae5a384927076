//! `hakone login`.

use std::io::{BufRead as _, Read as _};

use clap::Args;
use hakone_client::{Error, Request, Session};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde::Deserialize;

use super::{
    config::{self, Auth, Config},
    helper,
};

/// Authenticate to a registry
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Username
    #[arg(short, long, value_name = "string")]
    username: Option<String>,
    /// Password or Personal Access Token (PAT)
    #[arg(short, long, value_name = "string")]
    password: Option<String>,
    /// Take the Password or Personal Access Token (PAT) from stdin
    #[arg(long)]
    password_stdin: bool,
    /// The registry; Docker Hub when not given
    #[arg(value_name = "SERVER")]
    server: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    status: String,
    #[serde(default)]
    identity_token: String,
}

/// Checks a password at a registry and keeps it.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    check(session, arguments)?;
    let server = config::key(arguments.server.as_deref().unwrap_or_default());
    let mut config = Config::load(session.around())?;
    let mut auth = ask(session, arguments, &server).await?;
    let request = Request::post("/auth").json(&auth.json());
    let answer: Answer = session.client().await?.json(request).await?;
    if !answer.identity_token.is_empty() {
        auth.password.clear();
        auth.token = answer.identity_token;
    }
    match config.helper(&server) {
        Some(name) => {
            helper::store(&name, &auth).await?;
            config.keep(&server, None)?;
        }
        None => {
            config.keep(&server, Some(&auth))?;
            let warning = format!(
                "\nWARNING! Your credentials are stored unencrypted in '{}'.\n",
                config.path()
            );
            session.console.note(&warning);
        }
    }
    session.console.line(&answer.status)
}

fn check(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    match (
        arguments.password.is_some(),
        arguments.password_stdin,
        &arguments.username,
    ) {
        (true, true, _) => Err(Error::usage(
            "--password and --password-stdin are mutually exclusive",
        )),
        (false, true, None) => Err(Error::usage(
            "Must provide --username with --password-stdin",
        )),
        (true, false, _) => {
            let warning =
                "WARNING! Using --password via the CLI is insecure. Use --password-stdin.";
            session.console.note(warning);
            Ok(())
        }
        (false, _, _) => Ok(()),
    }
}

/// Takes what was given, what is kept, or what a person types.
async fn ask(session: &Session, arguments: &Arguments, server: &str) -> Result<Auth, Error> {
    if arguments.username.is_none() && arguments.password.is_none() {
        let kept = super::credentials(session, server).await?;
        if !kept.user.is_empty() || !kept.token.is_empty() {
            session
                .console
                .note("Authenticating with existing credentials...");
            return Ok(kept);
        }
    }
    let person = session.console.terminal().stdin;
    if !person
        && !arguments.password_stdin
        && (arguments.username.is_none() || arguments.password.is_none())
    {
        return Err(Error::usage(
            "Error: Cannot perform an interactive login from a non TTY device",
        ));
    }
    let user = match &arguments.username {
        Some(user) => user.clone(),
        None => typed(session, "Username: ", false)?,
    };
    let password = match (&arguments.password, arguments.password_stdin) {
        (Some(password), _) => password.clone(),
        (None, true) => piped()?,
        (None, false) => typed(session, "Password: ", true)?,
    };
    if user.is_empty() || password.is_empty() {
        return Err(Error::usage("Error: Username and Password Required"));
    }
    Ok(Auth {
        user,
        password,
        token: String::new(),
        server: server.to_owned(),
    })
}

fn piped() -> Result<String, Error> {
    let mut text = String::new();
    let read = std::io::stdin()
        .lock()
        .take(1 << 16)
        .read_to_string(&mut text);
    read.map_err(Error::io("read the password"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// Reads a line that a person types, perhaps without showing it.
fn typed(session: &Session, prompt: &str, hidden: bool) -> Result<String, Error> {
    session.console.error_bytes(prompt.as_bytes())?;
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).ok().filter(|_| hidden);
    if let Some(before) = &before {
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &quiet).ok();
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    if let Some(before) = &before {
        tcsetattr(&stdin, OptionalActions::Flush, before).ok();
        session.console.error_bytes(b"\n")?;
    }
    read.map_err(Error::io("read the answer"))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
