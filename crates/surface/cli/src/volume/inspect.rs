//! `hakone volume inspect`.

use clap::Args;
use hakone_client::{Error, Request, Session, flag::shared::ObjectFormat, output::inspect};

use super::path;

/// Display detailed information on one or more volumes
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    format: ObjectFormat,
    /// Names
    #[arg(value_name = "VOLUME", required = true)]
    volumes: Vec<String>,
}

/// Prints volumes whole.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let client = session.client().await?;
    let mut found = Vec::new();
    for name in &arguments.volumes {
        found.push(client.json(Request::get(path(name))).await);
    }
    inspect::print(&session.console, found, &arguments.format.format)
}
