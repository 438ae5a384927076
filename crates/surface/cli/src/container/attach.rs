//! `hakone attach`.

use clap::Args;
use hakone_client::{
    Error, Request, Session,
    terminal::{
        detach::DetachKeys,
        pump::{self, Ended, Plan},
        resize, signals,
    },
};
use hakone_engine_api::wire::ContainerInspectResponse;

use super::{path, post, run::beside, wait};

/// Attach local standard input, output, and error streams to a running container
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string")]
    detach_keys: Option<String>,
    /// Do not attach STDIN
    #[arg(long)]
    no_stdin: bool,
    /// Proxy all received signals to the process (default true)
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", value_parser = hakone_client::flag::value::truth)]
    sig_proxy: bool,
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

/// Joins a running container; ends with its code, or 0 when the user leaves.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<u8, Error> {
    let client = session.client().await?;
    let name = arguments.container.as_str();
    let keys = DetachKeys::parse(arguments.detach_keys.as_deref())?;
    // Armed before the look at the state, so that an exit in between is not missed.
    let exit = wait::arm(client, name, None).await?;
    let known: ContainerInspectResponse = client.json(Request::get(path(name, "json"))).await?;
    let config = known.config.unwrap_or_default();
    let tty = config.tty == Some(true);
    let stdin = !arguments.no_stdin && config.open_stdin == Some(true);
    check(&known.state.unwrap_or_default())?;
    if tty && stdin && !session.console.terminal().stdin {
        return Err(Error::usage("the input device is not a TTY"));
    }
    let request = post(name, "attach")
        .flag("stream", true)
        .flag("stdin", stdin)
        .flag("stdout", true)
        .flag("stderr", true)
        .maybe("detachKeys", arguments.detach_keys.as_deref());
    let caught = arguments.sig_proxy.then(signals::catch);
    let connection = client.hijack(request).await?;
    let sizes = path(name, "").trim_end_matches('/').to_owned();
    let pumped = pump::pump(&session.console, connection, Plan { stdin, tty, keys });
    let pumped = beside(pumped, async {
        if tty && session.console.terminal().stdout {
            resize::follow(client, &sizes).await;
        }
    });
    let ended = match caught {
        Some(caught) => Box::pin(beside(pumped, caught.forward(client, name))).await?,
        None => pumped.await?,
    };
    match ended {
        Ended::Detached => Ok(0),
        Ended::Output => exit.code().await,
    }
}

fn check(state: &hakone_engine_api::wire::ContainerState) -> Result<(), Error> {
    let says = |flag: Option<bool>| flag == Some(true);
    if !says(state.running) {
        return Err(Error::usage(
            "cannot attach to a stopped container, start it first",
        ));
    }
    if says(state.paused) {
        return Err(Error::usage(
            "cannot attach to a paused container, unpause it first",
        ));
    }
    if says(state.restarting) {
        return Err(Error::usage(
            "cannot attach to a restarting container, wait until it is running",
        ));
    }
    Ok(())
}
