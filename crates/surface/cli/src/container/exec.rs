//! `hakone exec`.

use std::path::PathBuf;

use clap::Args;
use hakone_client::{
    Client, Error, Request, Session,
    terminal::{
        detach::DetachKeys,
        pump::{self, Ended, Plan},
        raw, resize,
    },
};
use hakone_engine_api::wire::{ExecConfig, ExecInspectResponse, ExecStartConfig, IdResponse};

use hakone_run_flags::{Surroundings, environment, value};

use super::{path, post, run::beside};

/// Execute a command in a running container
#[expect(clippy::struct_excessive_bools, reason = "docker's switches, one each")]
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Detached mode: run command in the background
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string")]
    pub(crate) detach_keys: Option<String>,
    /// Set environment variables
    #[arg(short, long, value_name = "list", value_parser = value::variable)]
    pub(crate) env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "list")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give extended privileges to the command
    #[arg(long)]
    pub(crate) privileged: bool,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Username or UID (format: "<name|uid>[:<group|gid>]")
    #[arg(short, long, value_name = "string")]
    pub(crate) user: Option<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "string")]
    pub(crate) workdir: Option<String>,
    /// The container, the command to run there, and its arguments
    #[arg(value_name = "CONTAINER COMMAND [ARG...]", required = true, trailing_var_arg = true, num_args = 2..)]
    container_and_command: Vec<String>,
}

impl Arguments {
    fn container(&self) -> &str {
        self.container_and_command
            .first()
            .map_or("", String::as_str)
    }

    /// Gives the command and its arguments.
    pub(crate) fn command(&self) -> &[String] {
        self.container_and_command.get(1..).unwrap_or_default()
    }
}

/// Runs a command in a container; the result is its code.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<u8, Error> {
    let mut config = parse(arguments, session.around())?;
    let keys = DetachKeys::parse(arguments.detach_keys.as_deref())?;
    if !arguments.detach
        && arguments.tty
        && arguments.interactive
        && !session.console.terminal().stdin
    {
        return Err(Error::usage("the input device is not a TTY"));
    }
    let client = session.client().await?;
    // A container that does not exist is told apart from an exec that fails.
    client
        .done(Request::get(path(arguments.container(), "json")))
        .await?;
    config.console_size = console(arguments);
    let made: IdResponse = client
        .json(post(arguments.container(), "exec").json(&config))
        .await?;
    let start = ExecStartConfig {
        detach: Some(arguments.detach),
        tty: Some(arguments.tty),
        console_size: console(arguments),
    };
    let request = Request::post(format!("/exec/{}/start", made.id)).json(&start);
    if arguments.detach {
        return client.done(request).await.map(|()| 0);
    }
    let connection = client.hijack(request).await?;
    let plan = Plan {
        stdin: arguments.interactive,
        tty: arguments.tty,
        keys,
    };
    let pumped = pump::pump(&session.console, connection, plan);
    let sizes = format!("/exec/{}", made.id);
    let ended = beside(pumped, async {
        if arguments.tty && session.console.terminal().stdout {
            resize::follow(client, &sizes).await;
        }
    });
    match ended.await? {
        Ended::Detached => Ok(0),
        Ended::Output => code(client, &made.id).await,
    }
}

/// Builds the request to make the exec; streams are attached unless detached.
fn parse(flags: &Arguments, around: &dyn Surroundings) -> Result<ExecConfig, Error> {
    let env = environment::variables(&flags.env_file, &flags.env, around)?;
    let attached = !flags.detach;
    Ok(ExecConfig {
        attach_stdin: Some(attached && flags.interactive),
        attach_stdout: Some(attached),
        attach_stderr: Some(attached),
        detach_keys: flags.detach_keys.clone(),
        tty: Some(flags.tty),
        env: (!env.is_empty()).then_some(env),
        cmd: Some(flags.command().to_vec()),
        privileged: Some(flags.privileged),
        user: flags.user.clone(),
        working_dir: flags.workdir.clone(),
        console_size: None,
    })
}

fn console(arguments: &Arguments) -> Option<Vec<usize>> {
    raw::size()
        .filter(|_| arguments.tty)
        .map(|(rows, columns)| vec![rows.into(), columns.into()])
}

async fn code(client: &Client, id: &str) -> Result<u8, Error> {
    let known: ExecInspectResponse = client
        .json(Request::get(format!("/exec/{id}/json")))
        .await?;
    Ok(u8::try_from(known.exit_code.unwrap_or_default() & 0xff).unwrap_or(1))
}
