//! `hakone image inspect`.

use clap::Args;
use hakone_client::{Error, Request, Session, flag::shared::ObjectFormat, output::inspect};

use super::path;

/// Display detailed information on one or more images
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    format: ObjectFormat,
    /// Inspect a specific platform of the multi-platform image
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// Prints images whole.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let client = session.client().await?;
    let mut found = Vec::new();
    for name in &arguments.images {
        found.push(
            client
                .json(
                    Request::get(path(name, "json"))
                        .maybe("platform", arguments.platform.as_deref()),
                )
                .await,
        );
    }
    inspect::print(&session.console, found, &arguments.format.format)
}
