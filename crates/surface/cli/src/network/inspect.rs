//! `hakone network inspect`.

use clap::Args;
use hakone_client::{Error, Request, Session, flag::shared::ObjectFormat, output::inspect};

use super::path;

/// Display detailed information on one or more networks
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    format: ObjectFormat,
    /// Verbose output for diagnostics
    #[arg(short, long)]
    verbose: bool,
    /// Names or ids
    #[arg(value_name = "NETWORK", required = true)]
    networks: Vec<String>,
}

/// Prints networks whole.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let client = session.client().await?;
    let mut found = Vec::new();
    for name in &arguments.networks {
        let verbose = arguments.verbose.then_some("true");
        found.push(
            client
                .json(Request::get(path(name)).maybe("verbose", verbose))
                .await,
        );
    }
    inspect::print(&session.console, found, &arguments.format.format)
}
