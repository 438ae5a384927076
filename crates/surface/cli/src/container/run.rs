//! `hakone run`: create, attach, arm the wait, start, join the terminal; the order keeps every byte and the exit code.

use std::{future::Future, pin::pin};

use clap::Args;
use hakone_client::{
    Client, Error, Hijacked, Session,
    terminal::{
        detach::DetachKeys,
        pump::{self, Ended, Plan},
        raw, resize, signals,
    },
};
use hakone_engine_api::wire::ContainerCreateBody;
use hakone_run_flags::{CreateFlags, Creation};

use super::{create, path, post, wait};

/// Create and run a new container from an image
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    flags: CreateFlags,
    /// Run container in background and print container ID
    #[arg(short, long)]
    detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string")]
    detach_keys: Option<String>,
    /// Proxy received signals to the process (default true)
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", value_parser = hakone_client::flag::value::truth)]
    sig_proxy: bool,
}

/// The exit code when the container's process never came to be.
const FAILED: u8 = 125;

/// Runs a container; the result is the code of its process.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<u8, Error> {
    let creation = match prepare(session, arguments) {
        Ok(creation) => creation,
        Err(error) => return Ok(failed(session, &error, FAILED)),
    };
    if arguments.detach && !arguments.flags.attach.is_empty() {
        return Err(Error::usage(
            "conflicting options: cannot specify both --attach and --detach",
        ));
    }
    if !arguments.detach
        && arguments.flags.tty
        && creation.body.attach_stdin == Some(true)
        && !session.console.terminal().stdin
    {
        return Err(Error::usage("the input device is not a TTY"));
    }
    let keys = DetachKeys::parse(arguments.detach_keys.as_deref())?;
    // Signals that come while the container is made must not be lost, nor end us half-way.
    let caught = (arguments.sig_proxy && !arguments.detach).then(signals::catch);
    let id = match create::make(session, &arguments.flags, &creation).await {
        Ok(id) => id,
        Err(error) => return Ok(failed(session, &error, FAILED)),
    };
    let client = session.client().await?;
    let running = Box::pin(start_and_join(session, arguments, &creation, &id, keys));
    match caught {
        Some(caught) => beside(running, caught.forward(client, &id)).await,
        None => running.await,
    }
}

fn prepare(session: &Session, arguments: &Arguments) -> Result<Creation, Error> {
    let mut creation = hakone_run_flags::create::parse(&arguments.flags, session.around())?;
    if arguments.detach {
        let body = &mut creation.body;
        (body.attach_stdin, body.attach_stdout, body.attach_stderr) =
            (Some(false), Some(false), Some(false));
        body.stdin_once = Some(false);
    }
    if let (Some((rows, columns)), Some(host)) = (raw::size(), &mut creation.body.host_config)
        && arguments.flags.tty
    {
        host.console_size = Some(vec![rows.into(), columns.into()]);
    }
    Ok(creation)
}

async fn start_and_join(
    session: &Session,
    arguments: &Arguments,
    creation: &Creation,
    id: &str,
    keys: DetachKeys,
) -> Result<u8, Error> {
    let client = session.client().await?;
    let attached = attach(client, id, &creation.body, arguments.detach_keys.as_deref()).await;
    let connection = match attached {
        Ok(connection) => connection,
        Err(error) => return Ok(failed(session, &error, FAILED)),
    };
    let condition = if arguments.flags.rm {
        "removed"
    } else {
        "next-exit"
    };
    let exit = wait::arm(client, id, Some(condition)).await?;
    let started = client
        .done(post(id, "start").maybe("detachKeys", arguments.detach_keys.as_deref()))
        .await;
    if let Err(error) = started {
        let code = code_of_start(&error);
        return Ok(failed(session, &error, code));
    }
    let Some(connection) = connection else {
        if arguments.detach {
            session.console.line(id)?;
            return Ok(0);
        }
        return exit.code().await;
    };
    let body = &creation.body;
    let plan = Plan {
        stdin: body.attach_stdin == Some(true),
        tty: body.tty == Some(true),
        keys,
    };
    let sizes = path(id, "").trim_end_matches('/').to_owned();
    let follow = plan.tty && session.console.terminal().stdout;
    let pumped = pump::pump(&session.console, connection, plan);
    let ended = match follow {
        true => beside(pumped, resize::follow(client, &sizes)).await?,
        false => pumped.await?,
    };
    match ended {
        Ended::Detached => Ok(0),
        Ended::Output => exit.code().await,
    }
}

/// Attaches the streams that the body names; a container without any has no connection.
async fn attach(
    client: &Client,
    id: &str,
    body: &ContainerCreateBody,
    keys: Option<&str>,
) -> Result<Option<Hijacked>, Error> {
    let on = |flag: Option<bool>| flag == Some(true);
    if !(on(body.attach_stdin) || on(body.attach_stdout) || on(body.attach_stderr)) {
        return Ok(None);
    }
    let request = post(id, "attach")
        .flag("stream", true)
        .flag("stdin", on(body.attach_stdin))
        .flag("stdout", on(body.attach_stdout))
        .flag("stderr", on(body.attach_stderr))
        .maybe("detachKeys", keys);
    client.hijack(request).await.map(Some)
}

/// Runs something beside the main thing until that is done.
pub(crate) async fn beside<T>(main: impl Future<Output = T>, other: impl Future<Output = ()>) -> T {
    let mut main = pin!(main);
    tokio::select! {
        done = &mut main => return done,
        () = other => {}
    }
    main.await
}

/// 127 when the command is not there, 126 when it cannot be executed, as shells have it.
fn code_of_start(error: &Error) -> u8 {
    let text = error.to_string();
    let says = |part: &str| text.contains(part);
    if says("executable file not found") || says("no such file or directory") {
        127
    } else if says("permission denied") || says("is a directory") {
        126
    } else {
        FAILED
    }
}

fn failed(session: &Session, error: &Error, code: u8) -> u8 {
    session.console.complain(error);
    session
        .console
        .note("\nRun 'hakone run --help' for more information");
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_failures_have_the_codes_of_shells() {
        let code = |message: &str| {
            code_of_start(&Error::Daemon {
                status: 400,
                message: message.into(),
            })
        };
        assert_eq!(
            code("exec: \"nosuch\": executable file not found in $PATH: unknown"),
            127
        );
        assert_eq!(
            code("exec: \"/etc/passwd\": permission denied: unknown"),
            126
        );
        assert_eq!(code("network nonet not found"), 125);
    }
}
