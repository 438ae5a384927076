//! `hakone start`.

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

/// Start one or more stopped containers
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Attach STDOUT/STDERR and forward signals
    #[arg(short, long)]
    attach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string")]
    detach_keys: Option<String>,
    /// Attach container's STDIN
    #[arg(short, long)]
    interactive: bool,
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

/// Starts containers, or starts one and joins it.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<u8, Error> {
    match (
        arguments.attach || arguments.interactive,
        arguments.containers.as_slice(),
    ) {
        (true, [one]) => Box::pin(joined(session, arguments, one)).await,
        (true, _) => Err(Error::usage(
            "you cannot start and attach multiple containers at once",
        )),
        (false, names) => {
            let client = session.client().await?;
            let each = async |name: &str| {
                client
                    .done(post(name, "start"))
                    .await
                    .map(|()| name.to_owned())
            };
            session.each(names, each).await.map(|()| 0)
        }
    }
}

async fn joined(session: &Session, arguments: &Arguments, name: &str) -> Result<u8, Error> {
    let client = session.client().await?;
    let known: ContainerInspectResponse = client.json(Request::get(path(name, "json"))).await?;
    let id = known.id.unwrap_or_else(|| name.to_owned());
    let config = known.config.unwrap_or_default();
    let tty = config.tty == Some(true);
    let stdin = arguments.interactive && config.open_stdin == Some(true);
    let keys = DetachKeys::parse(arguments.detach_keys.as_deref())?;
    let request = post(&id, "attach")
        .flag("stream", true)
        .flag("stdin", stdin)
        .flag("stdout", true)
        .flag("stderr", true)
        .maybe("detachKeys", arguments.detach_keys.as_deref());
    let caught = signals::catch();
    let connection = client.hijack(request).await?;
    let removed = known.host_config.and_then(|host| host.auto_remove) == Some(true);
    let exit = wait::arm(
        client,
        &id,
        Some(if removed { "removed" } else { "next-exit" }),
    )
    .await?;
    client.done(post(&id, "start")).await?;
    let pumped = pump::pump(&session.console, connection, Plan { stdin, tty, keys });
    let sizes = format!("/containers/{id}");
    let pumped = beside(pumped, async {
        if tty && session.console.terminal().stdout {
            resize::follow(client, &sizes).await;
        }
    });
    match Box::pin(beside(pumped, caught.forward(client, &id))).await? {
        Ended::Detached => Ok(0),
        Ended::Output => exit.code().await,
    }
}
