//! `hakone network rm`.

use clap::Args;
use hakone_client::{Error, Request, Session};

use super::path;

/// Remove one or more networks
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Do not error if the network does not exist
    #[arg(short, long)]
    force: bool,
    /// Names or ids
    #[arg(value_name = "NETWORK", required = true)]
    networks: Vec<String>,
}

/// Removes networks.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let client = session.client().await?;
    let mut failed = false;
    for name in &arguments.networks {
        match client.done(Request::delete(path(name))).await {
            Ok(()) => session.console.line(name)?,
            Err(error) if arguments.force && error.is_not_found() => {}
            Err(error) => {
                failed = true;
                session.console.complain(&error);
            }
        }
    }
    if failed { Err(Error::Exit(1)) } else { Ok(()) }
}
