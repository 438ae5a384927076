//! `hakone container inspect`.

use clap::Args;
use hakone_client::{
    Error, Request, Session,
    flag::shared::{Containers, ObjectFormat},
    output::inspect,
};

use super::path;

/// Display detailed information on one or more containers
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    format: ObjectFormat,
    /// Display total file sizes
    #[arg(short, long)]
    size: bool,
    #[command(flatten)]
    names: Containers,
}

/// Prints containers whole.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let client = session.client().await?;
    let mut found = Vec::new();
    for name in &arguments.names.containers {
        found.push(
            client
                .json(Request::get(path(name, "json")).flag("size", arguments.size))
                .await,
        );
    }
    inspect::print(&session.console, found, &arguments.format.format)
}
